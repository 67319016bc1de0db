//! Faults and attacks: what clients and receivers do to a running host, and what it answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod http;

mod bodies;
mod queries;
mod requests;
mod routes;
mod signatures;
