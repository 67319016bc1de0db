//! Bills of materials: CycloneDX 1.5, from what cargo says that a component is built of.

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
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Reads Cargo.lock.
pub(super) fn checksums(path: &Path) -> anyhow::Result<Checksums> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let lock: Lock = toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    let hashed = lock.package.into_iter().filter_map(|each| Some(((each.name, each.version), each.checksum?)));
    Ok(hashed.collect())
}

/// A package of a given version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    license: String,
}

/// A package with all that it needs.
#[derive(Clone, Debug, Default)]
struct Tree {
    root: Option<Crate>,
    /// By package, what it needs itself.
    needs: BTreeMap<Crate, BTreeSet<Crate>>,
}

/// Trees that were asked for.
#[derive(Debug, Default)]
pub(super) struct Trees(BTreeMap<(String, Option<String>), Tree>);

impl Trees {
    /// The bill of a component, as JSON.
    pub(super) fn bill(&mut self, of: &Component, commit: &Commit, lock: &Checksums) -> anyhow::Result<Vec<u8>> {
        let mut needs: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
        let mut roots = BTreeSet::new();
        for (package, features) in &of.packages {
            let tree = self.tree(package, features.as_deref())?;
            roots.extend(tree.root.clone());
            for (package, direct) in &tree.needs {
                needs.entry(package.clone()).or_default().extend(direct.iter().cloned());
            }
        }
        let hash = sha256(&of.bytes);
        let itself = format!("wheeltapper:{}@{}", of.name, commit.version);
        let components: Vec<Value> = needs.keys().map(|package| package.component(lock)).collect();
        let mut dependencies = vec![json!({ "ref": itself, "dependsOn": references(&roots) })];
        dependencies.extend(
            needs.iter().map(|(package, direct)| json!({ "ref": package.purl(), "dependsOn": references(direct) })),
        );
        let bill = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "serialNumber": serial(&hash),
            "version": 1,
            "metadata": {
                "timestamp": commit.created,
                "component": {
                    "bom-ref": itself, "type": "application", "name": format!("wheeltapper-{}", of.name),
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

    fn tree(&mut self, package: &str, features: Option<&str>) -> anyhow::Result<&Tree> {
        let key = (package.to_owned(), features.map(str::to_owned));
        if !self.0.contains_key(&key) {
            let tree = Tree::ask(package, features)?;
            self.0.insert(key.clone(), tree);
        }
        self.0.get(&key).context("a tree that was just read")
    }
}

impl Tree {
    /// Asks cargo, for the components' target, without what only builds and tests need.
    fn ask(package: &str, features: Option<&str>) -> anyhow::Result<Self> {
        let mut cargo = cargo_command();
        cargo.args(["tree", "--package", package, "--target", components::TARGET]);
        cargo.args(["--edges", "normal", "--prefix", "depth", "--format", ";{p};{l}"]);
        if let Some(features) = features {
            cargo.args(["--no-default-features", "--features", features]);
        }
        let out = cargo.output().context("starting cargo")?;
        ensure!(out.status.success(), "cargo tree: {}", String::from_utf8_lossy(&out.stderr).trim());
        Self::read(&String::from_utf8(out.stdout)?)
    }

    /// Reads lines such as `2;serde v1.0.0 (*);MIT OR Apache-2.0`: each package below the one that needs it.
    fn read(text: &str) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        let mut above: Vec<Crate> = Vec::new();
        for line in text.lines() {
            let mut cells = line.split(';');
            let (depth, package, license) = (cells.next(), cells.next(), cells.next());
            let depth: usize = depth.unwrap_or_default().parse().with_context(|| format!("{line:?} of cargo tree"))?;
            let mut words = package.unwrap_or_default().split(' ');
            let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let found = Crate {
                name: name.to_owned(),
                version: version.trim_start_matches('v').to_owned(),
                // Older manifests write a slash for OR. A tree that was shown before is marked after the license.
                license: license.unwrap_or_default().trim_end_matches("(*)").trim().replace('/', " OR "),
            };
            above.truncate(depth);
            match above.last() {
                Some(parent) => {
                    tree.needs.entry(parent.clone()).or_default().insert(found.clone());
                }
                None => tree.root = Some(found.clone()),
            }
            tree.needs.entry(found.clone()).or_default();
            above.push(found);
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

/// A UUID that is the component's own, of version 8: by its hash.
fn serial(hash: &str) -> String {
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_read_with_their_edges() {
        let text = "0;app v0.1.0 (/somewhere/app);Apache-2.0\n1;a v1.0.0;MIT/Apache-2.0\n2;c v3.0.0;MIT\n1;b v2.0.0 (proc-macro);\n2;c v3.0.0;MIT (*)\n";
        let tree = Tree::read(text).unwrap();
        let names = |of: &BTreeSet<Crate>| of.iter().map(Crate::purl).collect::<Vec<_>>();
        let root = tree.root.clone().unwrap();
        assert_eq!(names(&tree.needs[&root]), ["pkg:cargo/a@1.0.0", "pkg:cargo/b@2.0.0"]);
        assert_eq!(tree.needs.len(), 4, "{tree:?}");
        let a = tree.needs.keys().find(|each| each.name == "a").unwrap();
        assert_eq!(a.license, "MIT OR Apache-2.0");
        assert_eq!(names(&tree.needs[a]), ["pkg:cargo/c@3.0.0"]);
        assert!(Tree::read("").is_err() && Tree::read("x;y;z").is_err());
    }

    #[test]
    fn a_serial_is_a_uuid() {
        let hash = "0123456789abcdef0123456789abcdef".repeat(2);
        assert_eq!(serial(&hash), "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
    }
}
