//! The featurize stage: event-time windows for each sensor, and their features.
//!
//! [`Featurizer`] keeps the windows, [`features`] computes the features of a window. Windows are aligned to the epoch:
//! window `k` is `[k · slide, k · slide + size)`. A window closes when the watermark of its sensor (its newest reading
//! minus the allowed lateness) reaches the end of the window.

mod batch;
pub mod config;
mod feature_names;
pub mod features;
mod featurizer;
mod numeric;
mod pace;
mod pending;
mod sensor;
mod spectrum;
mod trend;
mod waveform;

#[cfg(target_family = "wasm")]
mod component;

pub use batch::{Batch, Waveform};
pub use config::ConfigError;
pub use featurizer::{FeatureRow, Featurized, Featurizer, PushError, RestoreError};
