//! The libraries in the dashboard, from npm's lock file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::Context as _;
use serde::Deserialize;

use super::sbom::Library;
use crate::root;

/// The package that embeds the dashboard.
pub(super) const EMBEDDING_PACKAGE: &str = "wheeltapper-api";

#[derive(Deserialize)]
struct LockFile {
    /// By path, such as `node_modules/preact`. The empty path is the dashboard itself.
    packages: BTreeMap<String, LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    #[serde(default)]
    version: String,
    #[serde(default)]
    license: String,
    /// Whether only the build and the tests need it.
    #[serde(default)]
    dev: bool,
}

/// Reads the libraries that the dashboard contains.
pub(super) fn libraries() -> anyhow::Result<BTreeSet<Library>> {
    let path = root().join("dashboard/package-lock.json");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| format!("reading {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<BTreeSet<Library>> {
    let lock: LockFile = serde_json::from_str(text)?;
    let libraries = lock.packages.into_iter().filter(|(_, package)| !package.dev).filter_map(|(path, package)| {
        let (_, name) = path.rsplit_once("node_modules/")?;
        // A scope is a namespace of the package URL, whose `@` is encoded.
        let name = name.replace('@', "%40");
        Some(Library { ecosystem: "npm", name, version: package.version, license: package.license })
    });
    Ok(libraries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_the_build_are_left_out() {
        let text = r#"{"packages": {
            "": {"version": "1.0.0", "license": "Apache-2.0"},
            "node_modules/plot": {"version": "2.0.0", "license": "MIT"},
            "node_modules/@scope/view": {"version": "3.0.0", "license": "ISC"},
            "node_modules/bundler": {"version": "4.0.0", "license": "MIT", "dev": true}
        }}"#;
        let libraries: Vec<_> = parse(text).unwrap().into_iter().map(|library| library.name).collect();
        assert_eq!(libraries, ["%40scope/view", "plot"]);
        assert!(parse("{}").is_err());
    }
}
