//! Short runs of faults and attacks against the built binary; `tests/faults/README.md` describes long runs of the
//! scripts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bodies;
mod bombs;
mod damage;
mod dead_letters;
mod disk;
mod http;
mod kill;
mod mqtt_client;
mod mqtt_exchanges;
mod mqtt_rights;
mod queries;
mod requests;
mod routes;
mod signatures;
