//! The line: processing of readings after they are durable.
//!
//! One worker per partition reads the records of the topic raw-sensor-data in order and runs its own instances of
//! featurize, detect and alert. The planner runs schedule on the alerts of all partitions. The dead-letter writer
//! stores what ingest rejected. Results are committed together with the offset up to which they were computed, in one
//! transaction, so that a restart continues at exactly that offset.

mod batch;
mod checkpoint;
mod dead_letter_writer;
mod pending_output;
mod planner;
mod replay_filter;
mod replayability;
mod restored_alerts;
mod signals;
#[cfg(test)]
mod simulation;
mod snapshot_folder;
mod stages;
mod worker;
mod worker_handle;
mod worker_queries;

pub(crate) use checkpoint::OpenGate;
pub(crate) use dead_letter_writer::DEAD_LETTER_OWNER;
pub use dead_letter_writer::DeadLetterWriter;
pub use planner::Planner;
pub(crate) use planner::{PLANNER_SNAPSHOT, PlannerCommand, PlannerConfig, ScheduleFactory};
pub(crate) use replayability::Replayability;
pub(crate) use restored_alerts::{RESTORED_ALERTS_KEY, RestoredAlerts};
pub use signals::LineSignals;
pub(crate) use stages::{StageConfigs, StageFactory};
pub(crate) use worker::MIN_COMMIT_INTERVAL;
pub use worker::{WorkerConfig, start_worker};
pub use worker_handle::WorkerHandle;
pub use worker_queries::{Unstored, UnstoredQuery, WorkerQuery};
