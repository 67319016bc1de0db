//! The dashboard's own tests: its sums by Node.js, and a walk through its pages by a real browser, at desk and phone width,
//! light and dark, with a check of its accessibility.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

fn npm(script: &str) {
    // `cargo xtask test` sets it, where there is Node.js.
    if std::env::var_os("WHEELTAPPER_CHROMIUM").is_none() {
        eprintln!("left out, as there is no browser; `cargo xtask test` installs one");
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
fn its_sums_are_right_and_its_pages_can_be_walked() {
    // One after the other: both build it first.
    npm("test");
    npm("walk");
}
