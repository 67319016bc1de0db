//! What the composed components ask of a host.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::{STAGES, composed};
use wheeltapper_wasmcloud_world::strangers;

#[test]
fn every_component_asks_only_for_what_wasmcloud_has() {
    for name in STAGES.iter().map(|(name, _)| *name).chain(["whole", "http"]) {
        let component = fs::read(composed(name)).unwrap();
        assert_eq!(strangers(&component).unwrap(), [""; 0], "{name}");
    }
}
