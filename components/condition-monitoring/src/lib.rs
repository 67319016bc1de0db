//! Waveform features, physics-based bearing diagnosis, trends of scalar sensors and remaining useful life.
//!
//! Everything is a pure function or a fold over windows: no clock, no entropy, no I/O. State that is carried from
//! window to window is serialisable with serde.
pub mod baseline;
pub mod bearing;
pub mod life;

pub mod scalar;
pub mod speed;
pub mod stats;
pub mod waveform;
