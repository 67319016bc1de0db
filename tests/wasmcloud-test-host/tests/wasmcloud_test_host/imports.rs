//! The imports of the composed components.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use crate::common::{STAGES, composed};
use wheeltapper_wasmcloud_test_host::unsupported_imports;

#[test]
fn every_component_imports_only_what_wasmcloud_has() {
    for name in STAGES.iter().map(|(name, _)| *name).chain(["all-stages", "http"]) {
        let component = fs::read(composed(name)).unwrap();
        assert_eq!(unsupported_imports(&component).unwrap(), [""; 0], "{name}");
    }
}
