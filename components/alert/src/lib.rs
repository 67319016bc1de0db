//! The alert stage: gathers anomalies into alerts, so that a person is told once, and told what to do.
//!
//! [`Alerter`] is a fold over scored windows: it opens an alert when an asset is abnormal often enough, repeats it only
//! when something worth knowing changed, and resolves it after a run of quiet windows. It has no clock and no entropy.

mod alerter;
mod columns;
#[cfg(target_family = "wasm")]
mod component;
mod config;
mod error;
mod gathered;
mod record;
mod snapshot;
mod words;

pub use alerter::Alerter;
pub use columns::{Scores, names};
pub use config::Config;
pub use error::StageError;
pub use record::{Alert, AlertState, Anomaly, Severity};
