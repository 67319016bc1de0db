//! Code that the tests of all hosts share.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod postgres;
pub mod server;

use std::time::Instant;

use wheeltapper_conformance::{Case, Host, run_case};

/// Runs every case on a host and panics with the errors of all failed cases.
pub fn run_all_cases(host: &mut dyn Host) {
    let mut failed = Vec::new();
    for case in Case::all().unwrap() {
        let started = Instant::now();
        let result = run_case(&case, host);
        let outcome = if result.is_ok() { "ok" } else { "FAILED" };
        println!("{} ... {outcome} ({:.1} s)", case.name, started.elapsed().as_secs_f64());
        failed.extend(result.err().map(|error| format!("{error:#}")));
    }
    assert!(failed.is_empty(), "{} cases failed\n{}", failed.len(), failed.join("\n"));
}
