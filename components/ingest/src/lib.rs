//! The ingest stage: decodes the bytes that a device sent to readings, or rejects them with the reason.
//!
//! [`Ingester::decode`] decodes events in any of the formats in [`formats`] to columns of readings. Only the invalid
//! parts of an event are rejected: an invalid line does not affect the other lines.

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
pub use names::sensor_id_fault;
pub use rejection::{Reason, Rejection};
