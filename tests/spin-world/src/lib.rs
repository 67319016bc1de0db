//! A host that offers just what Spin 4.1 offers to a component, for the tests: WASI 0.2 up to 0.2.6, Spin's SQLite,
//! key-value, Redis, MQTT and variables, and `wasi:keyvalue@0.2.0-draft2`; each event gets a fresh instance.
//!
//! What is behind is real: SQLite files, laid out as Spin lays them out, a Redis server, an MQTT broker.

mod guest;
mod imports;
mod interfaces;
pub mod manifest;
mod world;

pub use imports::strangers;
pub use world::{Event, Loaded, Settings, SpinWorld};
