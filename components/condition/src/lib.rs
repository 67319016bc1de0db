//! Waveform features, bearing diagnosis from physics, scalar trends and remaining useful life.
//!
//! Everything is a pure function or a fold over windows: no clock, no entropy, no I/O. State that lives from window to
//! window is serde-serialisable.
pub mod baseline;
pub mod bearing;
pub mod life;

pub mod scalar;
pub mod speed;
pub mod stats;
pub mod wave;
