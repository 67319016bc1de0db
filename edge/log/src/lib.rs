//! The durable log: topics cut into partitions, each an append-only stream of records on disk.
//!
//! An **offset** is a position in bytes from the start of the partition's stream; a record's offset is where it begins,
//! and the offset after it is where the next one begins. Records lie in segment files named by the offset of their first
//! byte, so that old ones are dropped by deleting files. The format of the files and the rules of recovery are described
//! in this crate's `README.md`.
//!
//! [`Partition`] writes and reads one stream. [`Committer`] owns the partitions that many senders append to and makes
//! all the records that arrived while it was busy durable with one `fdatasync` a partition, then tells their senders.
//! Both reach files and clock through [`storage::Storage`], so that a test can make either fail.

mod committer;
mod error;
mod format;
mod partition;
mod reader;
mod scan;
pub mod storage;

pub use committer::{Append, CommitError, CommitErrorKind, Committer, CommitterCore, Job, PartitionHealth};
pub use error::LogError;
pub use format::{FRAME, MAX_PAYLOAD, SEGMENT_HEADER, frame};
pub use partition::{Damage, Partition, Recovery, Retention};
pub use reader::{Reader, Record};
pub use scan::{SegmentScan, recover_bytes};
