//! Runs the conformance cases on each host.

mod common;
mod edge;
mod platform;
mod spin;
mod spin_test_host;
mod wash;
mod wasmcloud_test_host;
