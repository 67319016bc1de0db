//! The detect stage: learns what is normal for each asset and scores its windows, with the reason.
//!
//! [`Stage`] gathers the rows of an asset's sensors into one window, learns from the first windows, then scores by a
//! [`detectors::Detector`] and explains what stands out.

mod columns;
pub mod config;
pub mod detectors;
mod explain;
mod robust;
mod stage;
mod unit;

#[cfg(target_family = "wasm")]
mod component;

pub use config::ConfigError;
pub use explain::{Anomaly, Contribution, Severity};
pub use stage::{Block, Detected, PushError, RestoreError, Score, Stage};
