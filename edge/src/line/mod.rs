//! The line: what becomes of a reading once it is durable.
//!
//! One worker a partition takes records off the topic raw-sensor-data in order and drives its own instances of
//! featurize, detect and alert; the planner takes the alerts of all partitions through schedule; the dead-letter writer
//! stores what ingest rejected. What they find is committed with the offset up to which it was found, in one transaction, so that
//! a restart goes on exactly there.

mod adopted;
mod batch;
mod checkpoint;
mod dead_letter_writer;
mod effects;
mod handle;
mod kept;
mod planner;
mod proposal;
mod questions;
mod read;
mod record;
mod recovery;
mod sieve;
#[cfg(test)]
mod simulation;
mod stages;
mod topics;
mod wishes;
mod worker;

pub(crate) use adopted::{Adopted, KEY as ADOPTED};
pub(crate) use checkpoint::OpenGate;
pub use dead_letter_writer::DeadLetterWriter;
pub(crate) use dead_letter_writer::OWNER as DEAD_LETTER_OWNER;
pub use effects::Finding;
pub(crate) use effects::{alert_row, severity_name};
pub use handle::WorkerHandle;
pub(crate) use kept::Kept;
pub use planner::Planner;
pub(crate) use planner::{PlannerConfig, SNAPSHOT as PLANNER, ScheduleFactory};
pub use questions::{Fresh, Question, Wanted};
pub(crate) use read::{Read, read};
pub(crate) use record::encode_readings;
pub use record::{DeadLetterEvent, RawRecord};
pub(crate) use stages::{StageConfigs, StageFactory};
pub(crate) use topics::partition_of;
pub use topics::{Topic, Topics};
pub(crate) use wishes::Wish;
pub(crate) use worker::COMMIT_PAUSE;
pub use worker::{WorkerConfig, start_worker};
