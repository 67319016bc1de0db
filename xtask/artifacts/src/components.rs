//! Builds components for WASI.

use std::path::PathBuf;

use crate::{root, target};

pub(crate) use wheeltapper_wasm::{STAGES, TARGET};

/// Builds a package for WASI and returns the path of the component. `features` replace the default ones.
pub(crate) fn build(package: &str, features: Option<&str>) -> anyhow::Result<PathBuf> {
    let build = wheeltapper_wasm::Build::new(&root(), &target().join("components"))?;
    let mut arguments = vec!["--quiet"];
    if let Some(features) = features {
        arguments.extend(["--no-default-features", "--features", features]);
    }
    build.run(&[package], &arguments)?;
    Ok(build.artifact(package))
}
