//! A test host that provides exactly what Spin 4.1 provides to a component: WASI 0.2 up to 0.2.6, Spin's SQLite,
//! key-value, Redis, MQTT and variables, and `wasi:keyvalue@0.2.0-draft2`. Each event gets a new instance.
//!
//! The services behind it are real: SQLite files with Spin's layout, a Redis server, an MQTT broker.

mod host;
mod host_state;
mod imports;
mod interfaces;
pub mod manifest;

pub use host::{LoadedComponent, Settings, SpinTestHost, TriggerEvent};
pub use imports::unsupported_imports;
