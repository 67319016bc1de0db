//! Builds the five stages and the API for WASI and puts them where the host can embed them, so that one binary is the whole product.

use std::{env, error::Error, fs, path::PathBuf};

use wheeltapper_wasm::{Build, SHARED, STAGES};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // OUT_DIR is <target>/<profile>/build/<package>/out. With `--target` there is a folder for it above the profile.
    let mut target = out.ancestors().nth(4).ok_or("OUT_DIR is not inside a target folder")?;
    if target.ends_with(env::var("TARGET")?) {
        target = target.parent().unwrap_or(target);
    }
    let target = target.join("components");

    println!("cargo::rerun-if-changed={}", root.join("wit").display());
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());
    println!("cargo::rerun-if-changed={}", root.join("dashboard/dist").display());
    for stage in STAGES.iter().chain(&SHARED).chain(&["api"]) {
        let folder = root.join("components").join(stage);
        println!("cargo::rerun-if-changed={}", folder.join("src").display());
        println!("cargo::rerun-if-changed={}", folder.join("Cargo.toml").display());
    }

    let build = Build::new(&root, &target)?;
    let packages = STAGES.map(|stage| format!("wheeltapper-{stage}"));
    let all: Vec<&str> = packages.iter().map(String::as_str).chain(["wheeltapper-api"]).collect();
    build.run(&all, &[])?;
    for (name, package) in STAGES.iter().chain(&["api"]).zip(all) {
        fs::copy(build.artifact(package), out.join(format!("{name}.wasm")))?;
    }
    Ok(())
}
