//! Tests of the API over an in-memory line.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod actions;
mod bad_input;
mod behaviour;
mod detect;
mod document;
mod graphql;
mod ingest;
mod listings;
mod maintenance;
mod memory;
mod overview;
mod readings;
mod streams;
