//! The detect stage: learns what is normal for each asset and scores its windows, with the reason.
//!
//! [`Stage`] gathers the rows of an asset's sensors into one window, learns from the first windows, then scores by a
//! detector of [`wheeltapper_detectors`] and explains what stands out; of bursts, octave levels and bearing lines. It tells drift
//! from faults, sensors' faults from machines', and how long a machine has left.

mod burst;
mod columns;
pub mod config;
mod drift;
mod explain;
mod faults;
mod life;
mod probe;
mod robust;
mod scalars;
mod stage;
mod unit;

#[cfg(target_family = "wasm")]
mod component;

pub use config::ConfigError;
pub use drift::DriftKind;
pub use explain::{Anomaly, Contribution, Severity, Trend};
pub use life::Prognosis;
pub use probe::{ProbeError, Probed};
pub use stage::{Block, Detected, Drift, PushError, RestoreError, Score, Stage};
