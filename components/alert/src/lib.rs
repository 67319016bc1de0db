//! The alert stage: groups anomalies into alerts, so that a person is notified once and gets a recommendation.
//!
//! [`Alerter`] is a fold over scored windows: it opens an alert when an asset is abnormal often enough, repeats it only
//! after a significant change, and resolves it after a run of quiet windows. It has no clock and no entropy.

mod alerter;
mod asset_state;
#[cfg(target_family = "wasm")]
mod component;
mod config;
mod error;
mod messages;
mod open_alert;
mod record;
mod score_columns;
mod snapshot;

pub use alerter::Alerter;
pub use config::Config;
pub use error::StageError;
pub use record::{Alert, AlertState, Anomaly, Severity};
pub use score_columns::{Scores, dictionary_names};
