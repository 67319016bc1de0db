//! Building components for WASI.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{root, run, target};

/// The stages of the line, in the order in which a reading meets them.
pub(crate) const STAGES: [&str; 5] = ["ingest", "featurize", "detect", "alert", "schedule"];

/// Builds a package for WASI with these features instead of its default ones; gives the file.
pub(crate) fn build(package: &str, features: Option<&str>) -> anyhow::Result<PathBuf> {
    let folder = target().join("components");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args([
        "build",
        "--quiet",
        "--profile",
        "component",
        "--target",
        "wasm32-wasip2",
        "--lib",
    ]);
    cargo.arg("--target-dir").arg(&folder).args(["--package", package]);
    if let Some(features) = features {
        cargo.args(["--no-default-features", "--features", features]);
    }
    // What cargo sets for this program must not leak into a build for another target.
    for variable in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_TARGET_DIR"] {
        cargo.env_remove(variable);
    }
    run(&mut cargo)?;
    let name = package.replace('-', "_");
    Ok(Path::new(&folder).join(format!("wasm32-wasip2/component/{name}.wasm")))
}
