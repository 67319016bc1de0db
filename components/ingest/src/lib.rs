//! The ingest stage: decodes the bytes that a device sent to readings, or rejects them with the reason.
//!
//! [`Ingester::decode`] decodes events in any of the formats in [`formats`] to columns of readings. Only the invalid
//! parts of an event are rejected: an invalid line does not affect the other lines.

pub mod config;
pub mod formats;
mod ingester;
mod collector;
mod dead_letters;
mod name_table;
mod rejection;
pub mod time;

#[cfg(target_family = "wasm")]
mod component;

pub use config::{Config, ConfigError};
pub use ingester::{Ingester, RestoreError};
pub use collector::{Decoded, Envelope, Waveform};
pub use dead_letters::RejectedPart;
pub use name_table::sensor_id_fault;
pub use rejection::{Reason, Rejection};
