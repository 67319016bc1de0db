//! What the tests of the hosts share.
#![allow(dead_code, reason = "each test uses its part")]

pub mod postgres;
pub mod server;

use std::time::Instant;

use wheeltapper_conformance::{Case, Host, check};

/// Runs every case on a host, and tells of all that fail.
pub fn all_cases(host: &mut dyn Host) {
    let mut failed = Vec::new();
    for case in Case::all().unwrap() {
        let began = Instant::now();
        let result = check(&case, host);
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        println!("{} ... {word} ({:.1} s)", case.name, began.elapsed().as_secs_f64());
        failed.extend(result.err().map(|error| format!("{error:#}")));
    }
    assert!(failed.is_empty(), "{} cases failed\n{}", failed.len(), failed.join("\n"));
}
