//! Runs the dashboard's own tests: unit tests in Node.js, and a crawl of every page in a real browser, at desktop and
//! phone width, light and dark, with an accessibility check.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

fn npm(script: &str) {
    // `cargo xtask test` sets this variable if Node.js is installed.
    if std::env::var_os("WHEELTAPPER_CHROMIUM").is_none() {
        eprintln!("skipped: no browser; `cargo xtask test` installs one");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard");
    let run = Command::new("npm").args(["run", script]).current_dir(folder).output().unwrap();
    assert!(
        run.status.success(),
        "npm run {script}: {}\n{}\n{}",
        run.status,
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
}

#[test]
fn unit_tests_and_crawl_pass() {
    // Sequentially, because both scripts build the page first.
    npm("test");
    npm("crawl");
}
