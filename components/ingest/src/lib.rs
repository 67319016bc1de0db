//! The ingest stage: decodes the bytes that a device sent to readings, or rejects them with the reason.
//!
//! [`Ingester::decode`] decodes events in any of the formats in [`formats`] to columns of readings. Only the invalid
//! parts of an event are rejected: an invalid line does not affect the other lines.

mod collector;
pub mod config;
mod dead_letters;
pub mod formats;
mod ingester;
mod name_table;
mod rejection;
pub mod time;

#[cfg(target_family = "wasm")]
mod component;

pub use collector::{Decoded, Envelope, Waveform};
pub use config::{Config, ConfigError};
pub use dead_letters::RejectedPart;
pub use ingester::{Ingester, RestoreError};
pub use name_table::sensor_id_fault;
pub use rejection::{Reason, Rejection};
