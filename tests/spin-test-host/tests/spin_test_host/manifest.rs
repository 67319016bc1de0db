//! The manifests follow Spin's rules, and their components import only what Spin has.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use crate::common::composed;
use wheeltapper_spin_test_host::{manifest::manifest_faults, unsupported_imports};

#[test]
fn the_manifests_follow_spins_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for manifest in ["spin.toml", "infra/spin/small.toml"] {
        let faults = manifest_faults(&root.join(manifest)).unwrap();
        // With another target folder the composed components are in that folder.
        let elsewhere = std::env::var_os("CARGO_TARGET_DIR").is_some();
        let faults: Vec<_> = faults.into_iter().filter(|fault| !(elsewhere && fault.contains("is missing"))).collect();
        assert!(faults.is_empty(), "{manifest}: {faults:#?}");
    }
}

#[test]
fn components_import_only_what_spin_has() {
    for name in ["http", "redis", "mqtt", "cron"] {
        let path = composed(name);
        let bytes =
            fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask compose`", path.display()));
        let unsupported = unsupported_imports(&bytes).unwrap();
        assert!(unsupported.is_empty(), "{name} imports {unsupported:?}, which Spin does not have");
    }
}
