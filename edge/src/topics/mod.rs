//! The topics of the log: their names and folders, the records in them, and how they are followed.
//!
//! The intake and the line write them; the line, the notifier and the streams read them.

mod dead_letter_event;
mod exchange_tag;
mod finding;
mod follower;
mod reader;
mod record;
mod topic;

pub use dead_letter_event::DeadLetterEvent;
pub(crate) use exchange_tag::{ExchangeTag, SessionKey};
pub use finding::Finding;
pub use follower::{NextStep, PublishedEnd, PublishedPartition, PublishedTopic, follow};
pub(crate) use reader::{ReadOutcome, read_or_skip};
pub(crate) use record::encode_readings;
pub use record::{RawRecord, RecordError};
pub(crate) use topic::partition_of;
pub use topic::{Topic, Topics};
