//! The API over a line in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod behaviour;
mod ingest;
mod listings;
mod memory;
mod overview;
mod readings;
