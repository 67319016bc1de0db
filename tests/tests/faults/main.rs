//! Faults and attacks against the built binary, each for a short time; `tests/faults/README.md` says how to run the scripts
//! behind them for longer.
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
