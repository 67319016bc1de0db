//! The ingest stage: from the bytes that a device sent to readings, or to the reason why they are none.
//!
//! [`Ingester::decode`] takes events in any of the formats in [`formats`] and gives columns of readings. What is not a
//! reading is refused, alone: a bad line costs its neighbours nothing.

pub mod config;
pub mod formats;
mod ingester;
mod intake;
mod letters;
mod names;
mod rejection;
pub mod time;

#[cfg(target_family = "wasm")]
mod component;

pub use config::{Config, ConfigError};
pub use ingester::{Ingester, RestoreError};
pub use intake::{Decoded, Envelope, Waveform};
pub use letters::Refusal;
pub use names::fault as name_fault;
pub use rejection::{Reason, Rejection};
