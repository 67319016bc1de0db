//! The host under faults and attacks, seen from outside.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod mqtt_client;
mod mqtt_exchanges;
mod mqtt_rights;
