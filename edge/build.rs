//! Builds the five stages for WASI and puts them where the host can embed them, so that one binary is the whole product.

use std::{env, error::Error, fs, path::PathBuf, process::Command};

const STAGES: [&str; 5] = ["ingest", "featurize", "detect", "alert", "schedule"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let target = out.ancestors().nth(4).ok_or("OUT_DIR is not inside a target folder")?.join("components");

    println!("cargo::rerun-if-changed={}", root.join("wit").display());
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());
    // The stages, and the libraries that they share.
    for stage in STAGES.iter().chain(&["condition", "detectors"]) {
        let folder = root.join("components").join(stage);
        println!("cargo::rerun-if-changed={}", folder.join("src").display());
        println!("cargo::rerun-if-changed={}", folder.join("Cargo.toml").display());
    }

    let mut cargo = Command::new(env::var("CARGO")?);
    cargo.current_dir(&root).args(["build", "--profile", "component", "--target", "wasm32-wasip2", "--lib"]);
    cargo.arg("--target-dir").arg(&target);
    for stage in STAGES {
        cargo.args(["--package", &format!("wheeltapper-{stage}")]);
    }
    // What cargo sets for this package must not leak into a build for another target.
    for variable in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(variable);
    }
    if !cargo.status()?.success() {
        return Err("the components did not build; if the target is missing: rustup target add wasm32-wasip2".into());
    }
    for stage in STAGES {
        let built = target.join(format!("wasm32-wasip2/component/wheeltapper_{stage}.wasm"));
        fs::copy(&built, out.join(format!("{stage}.wasm")))?;
    }
    Ok(())
}
