//! The detect stage: learns what is normal for each asset, scores its windows and explains the scores.
//!
//! [`Stage`] collects the rows of an asset's sensors into windows, learns from the first windows, then scores later
//! ones with a detector of [`wheeltapper_detectors`] and explains what stands out. For waveforms it uses octave levels
//! and bearing lines. It distinguishes drift from faults and sensor faults from machine faults, and estimates the
//! remaining life.

mod columns;
mod condition;
pub mod config;
mod drift;
mod dry_run;
mod explain;
mod faults;
mod growth;
mod life;
mod physical;
mod robust;
mod run_library;
mod scalars;
mod scoring_unit;
mod sensor_kind;
mod severity;
mod stage;
mod waveform;
mod window;

#[cfg(target_family = "wasm")]
mod component;

pub use config::ConfigError;
pub use drift::DriftKind;
pub use dry_run::{DryRunError, DryRunResult};
pub use explain::{Anomaly, Contribution, Trend};
pub use life::Prognosis;
pub use severity::Severity;
pub use stage::{Detected, Drift, FeatureBlock, PushError, RestoreError, Score, Stage};
