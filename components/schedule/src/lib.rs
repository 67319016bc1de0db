//! The schedule stage: turns open alerts into work orders and assigns them to technicians.
//!
//! [`Scheduler`] is a fold over alerts and ticks. It plans with a list scheduler: the most urgent job first, each at
//! the earliest time at which the asset is free and a technician with the skills is on shift and free. It has no clock
//! and no entropy.

mod amendments;
mod availability;
mod calendar;
mod catalogue;
#[cfg(target_family = "wasm")]
mod component;
mod config;
mod error;
mod interval_set;
mod list_scheduler;
mod messages;
mod record;
mod scheduler;
mod snapshot;
mod tracked_orders;

pub use catalogue::JobTemplate;
pub use config::{AssetConfig, Config, ShiftConfig, TechnicianConfig};
pub use error::StageError;
pub use record::{Alert, Amendment, OrderStatus, Severity, WorkOrder};
pub use scheduler::Scheduler;
