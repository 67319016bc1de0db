//! The line: processing of readings after they are durable.
//!
//! One worker per partition reads the records of the topic raw-sensor-data in order and runs its own instances of
//! featurize, detect and alert. The planner runs schedule on the alerts of all partitions. The dead-letter writer
//! stores what ingest rejected. Results are committed together with the offset up to which they were computed, in one
//! transaction, so that a restart continues at exactly that offset.

mod restored_alerts;
mod batch;
mod checkpoint;
mod dead_letter_writer;
mod pending_output;
mod worker_handle;
mod replayability;
mod planner;
mod what_if;
mod worker_queries;
mod topic_reader;
mod record;
mod snapshot_folder;
mod replay_filter;
#[cfg(test)]
mod simulation;
mod stages;
mod topics;
mod planner_commands;
mod worker;

pub(crate) use restored_alerts::{RestoredAlerts, RESTORED_ALERTS_KEY};
pub(crate) use checkpoint::OpenGate;
pub(crate) use dead_letter_writer::DEAD_LETTER_OWNER;
pub use dead_letter_writer::DeadLetterWriter;
pub use pending_output::Finding;
pub(crate) use pending_output::{alert_row, severity_name};
pub use worker_handle::WorkerHandle;
pub(crate) use replayability::Replayability;
pub use planner::Planner;
pub(crate) use planner::{PLANNER_SNAPSHOT, PlannerConfig, ScheduleFactory};
pub use worker_queries::{Unstored, WorkerQuery, UnstoredQuery};
pub(crate) use topic_reader::{ReadOutcome, read_or_skip};
pub(crate) use record::encode_readings;
pub use record::{DeadLetterEvent, RawRecord};
pub(crate) use stages::{StageConfigs, StageFactory};
pub(crate) use topics::partition_of;
pub use topics::{Topic, Topics};
pub(crate) use planner_commands::PlannerCommand;
pub(crate) use worker::MIN_COMMIT_INTERVAL;
pub use worker::{WorkerConfig, start_worker};
