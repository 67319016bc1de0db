//! The cases on the edge host, which defines the expected files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

use crate::common;

#[test]
fn the_edge_host_conforms() {
    common::run_all_cases(&mut host::Edge::default());
}
