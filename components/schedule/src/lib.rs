//! The schedule stage: turns open alerts into work orders and places them on technicians.
//!
//! [`Scheduler`] is a fold over alerts and ticks. It plans with a list scheduler: the most urgent job
//! first, each at the earliest time at which a technician with the skills is on shift and free, and the asset is free.
//! It has no clock and no entropy.

mod amend;
mod board;
mod calendar;
mod catalogue;
#[cfg(target_family = "wasm")]
mod component;
mod config;
mod error;
mod orders;
mod place;
mod plan;
mod record;
mod scheduler;
mod snapshot;
mod words;

pub use catalogue::JobKind;
pub use config::{AssetConfig, Config, ShiftConfig, TechnicianConfig};
pub use error::StageError;
pub use record::{Alert, Amendment, OrderStatus, Severity, WorkOrder};
pub use scheduler::Scheduler;
