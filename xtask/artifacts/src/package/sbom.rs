//! Bills of materials in CycloneDX 1.5, from cargo's dependency tree of a component.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Commit, Component, sha256};
use crate::{cargo_command, components};

/// SHA-256 of the packages from a registry, by name and version.
pub(super) type Checksums = BTreeMap<(String, String), String>;

#[derive(Deserialize)]
struct LockFile {
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Reads the checksums of a Cargo.lock.
pub(super) fn checksums(path: &Path) -> anyhow::Result<Checksums> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let lock: LockFile = toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    let checksums =
        lock.package.into_iter().filter_map(|package| Some(((package.name, package.version), package.checksum?)));
    Ok(checksums.collect())
}

/// A version of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    license: String,
}

/// A package with all its dependencies.
#[derive(Clone, Debug, Default)]
struct DependencyTree {
    root: Option<Crate>,
    /// The direct dependencies of each package.
    dependencies: BTreeMap<Crate, BTreeSet<Crate>>,
}

/// The dependency trees that were read, by package and features.
#[derive(Debug, Default)]
pub(super) struct DependencyTrees(BTreeMap<(String, Option<String>), DependencyTree>);

impl DependencyTrees {
    /// Returns the bill of materials of a component, as JSON.
    pub(super) fn bill_of_materials(
        &mut self,
        component: &Component,
        commit: &Commit,
        lock: &Checksums,
    ) -> anyhow::Result<Vec<u8>> {
        let mut all_dependencies: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
        let mut roots = BTreeSet::new();
        for (package, features) in &component.packages {
            let tree = self.tree(package, features.as_deref())?;
            roots.extend(tree.root.clone());
            for (package, direct) in &tree.dependencies {
                all_dependencies.entry(package.clone()).or_default().extend(direct.iter().cloned());
            }
        }
        let hash = sha256(&component.bytes);
        let reference = format!("wheeltapper:{}@{}", component.name, commit.version);
        let components: Vec<Value> = all_dependencies.keys().map(|package| package.component(lock)).collect();
        let mut dependencies = vec![json!({ "ref": reference, "dependsOn": references(&roots) })];
        dependencies.extend(
            all_dependencies
                .iter()
                .map(|(package, direct)| json!({ "ref": package.purl(), "dependsOn": references(direct) })),
        );
        let bill = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "serialNumber": serial_number(&hash),
            "version": 1,
            "metadata": {
                "timestamp": commit.created,
                "component": {
                    "bom-ref": reference, "type": "application", "name": format!("wheeltapper-{}", component.name),
                    "version": commit.version, "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
                    "hashes": [{ "alg": "SHA-256", "content": hash }],
                    "properties": [{ "name": "wheeltapper:revision", "value": commit.revision }],
                },
            },
            "components": components,
            "dependencies": dependencies,
        });
        let mut json = serde_json::to_vec_pretty(&bill)?;
        json.push(b'\n');
        Ok(json)
    }

    fn tree(&mut self, package: &str, features: Option<&str>) -> anyhow::Result<&DependencyTree> {
        let key = (package.to_owned(), features.map(str::to_owned));
        if !self.0.contains_key(&key) {
            let tree = DependencyTree::from_cargo(package, features)?;
            self.0.insert(key.clone(), tree);
        }
        self.0.get(&key).context("the tree was just inserted")
    }
}

impl DependencyTree {
    /// Runs `cargo tree` for the components' target, without build and development dependencies.
    fn from_cargo(package: &str, features: Option<&str>) -> anyhow::Result<Self> {
        let mut cargo = cargo_command();
        cargo.args(["tree", "--package", package, "--target", components::TARGET]);
        cargo.args(["--edges", "normal", "--prefix", "depth", "--format", ";{p};{l}"]);
        if let Some(features) = features {
            cargo.args(["--no-default-features", "--features", features]);
        }
        let out = cargo.output().context("starting cargo")?;
        ensure!(out.status.success(), "cargo tree: {}", String::from_utf8_lossy(&out.stderr).trim());
        Self::parse(&String::from_utf8(out.stdout)?)
    }

    /// Parses lines such as `2;serde v1.0.0 (*);MIT OR Apache-2.0`. Each package is below the one that depends on it.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        let mut ancestors: Vec<Crate> = Vec::new();
        for line in text.lines() {
            let mut cells = line.split(';');
            let (depth, package, license) = (cells.next(), cells.next(), cells.next());
            let depth: usize = depth.unwrap_or_default().parse().with_context(|| format!("{line:?} of cargo tree"))?;
            let mut words = package.unwrap_or_default().split(' ');
            let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let package = Crate {
                name: name.to_owned(),
                version: version.trim_start_matches('v').to_owned(),
                // Older manifests use a slash instead of OR. After the license, `(*)` marks a repeated tree.
                license: license.unwrap_or_default().trim_end_matches("(*)").trim().replace('/', " OR "),
            };
            ancestors.truncate(depth);
            match ancestors.last() {
                Some(parent) => {
                    tree.dependencies.entry(parent.clone()).or_default().insert(package.clone());
                }
                None => tree.root = Some(package.clone()),
            }
            tree.dependencies.entry(package.clone()).or_default();
            ancestors.push(package);
        }
        ensure!(tree.root.is_some(), "cargo tree named no package");
        Ok(tree)
    }
}

impl Crate {
    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }

    fn component(&self, lock: &Checksums) -> Value {
        let purl = self.purl();
        let mut component = json!({
            "bom-ref": purl, "type": "library", "name": self.name, "version": self.version, "purl": purl,
        });
        if !self.license.is_empty() {
            component["licenses"] = json!([{ "expression": self.license }]);
        }
        if let Some(checksum) = lock.get(&(self.name.clone(), self.version.clone())) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    }
}

fn references(packages: &BTreeSet<Crate>) -> Vec<String> {
    packages.iter().map(Crate::purl).collect()
}

/// Returns a UUID of version 8 that is derived from the component's hash.
fn serial_number(hash: &str) -> String {
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependency_trees_are_parsed() {
        let text = "0;app v0.1.0 (/somewhere/app);Apache-2.0\n1;a v1.0.0;MIT/Apache-2.0\n2;c v3.0.0;MIT\n1;b v2.0.0 (proc-macro);\n2;c v3.0.0;MIT (*)\n";
        let tree = DependencyTree::parse(text).unwrap();
        let names = |packages: &BTreeSet<Crate>| packages.iter().map(Crate::purl).collect::<Vec<_>>();
        let root = tree.root.clone().unwrap();
        assert_eq!(names(&tree.dependencies[&root]), ["pkg:cargo/a@1.0.0", "pkg:cargo/b@2.0.0"]);
        assert_eq!(tree.dependencies.len(), 4, "{tree:?}");
        let a = tree.dependencies.keys().find(|package| package.name == "a").unwrap();
        assert_eq!(a.license, "MIT OR Apache-2.0");
        assert_eq!(names(&tree.dependencies[a]), ["pkg:cargo/c@3.0.0"]);
        assert!(DependencyTree::parse("").is_err() && DependencyTree::parse("x;y;z").is_err());
    }

    #[test]
    fn a_serial_number_is_a_uuid() {
        let hash = "0123456789abcdef0123456789abcdef".repeat(2);
        assert_eq!(serial_number(&hash), "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
    }
}
