//! The line: processing of readings after they are durable.
//!
//! One worker per partition reads the records of the topic raw-sensor-data in order and runs its own instances of
//! featurize, detect and alert. The planner runs schedule on the alerts of all partitions. The dead-letter writer
//! stores what ingest rejected. Results are committed together with the offset up to which they were computed, in one
//! transaction, so that a restart continues at exactly that offset.

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

pub(crate) use adopted::{Adopted, RESTORED_ALERTS_KEY};
pub(crate) use checkpoint::OpenGate;
pub(crate) use dead_letter_writer::DEAD_LETTER_OWNER;
pub use dead_letter_writer::DeadLetterWriter;
pub use effects::Finding;
pub(crate) use effects::{alert_row, severity_name};
pub use handle::WorkerHandle;
pub(crate) use kept::Kept;
pub use planner::Planner;
pub(crate) use planner::{PLANNER_SNAPSHOT, PlannerConfig, ScheduleFactory};
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
