//! Bills of materials in CycloneDX 1.5, from cargo's dependency tree of a component or a program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Commit, npm};
use crate::cargo_command;

/// SHA-256 of the packages from a registry, by name and version.
pub(crate) type Checksums = BTreeMap<(String, String), String>;

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
pub(crate) fn checksums(path: &Path) -> anyhow::Result<Checksums> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let lock: LockFile = toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    let checksums =
        lock.package.into_iter().filter_map(|package| Some(((package.name, package.version), package.checksum?)));
    Ok(checksums.collect())
}

/// What a bill of materials describes.
pub(crate) struct Subject {
    /// The type in CycloneDX, such as `application` or `container`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// SHA-256, in hexadecimal.
    pub(crate) hash: String,
    /// The SHA-256 of the program that the subject contains, if it is not a program itself.
    pub(crate) program: Option<String>,
}

/// A package of this workspace from which something was built. `features` replace the default ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) features: Option<String>,
    /// The compilation target.
    pub(crate) target: &'static str,
}

/// A version of a library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Library {
    /// The type of its package URL: `cargo` or `npm`.
    pub(super) ecosystem: &'static str,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: String,
}

/// A package with all its dependencies.
#[derive(Clone, Debug, Default)]
struct DependencyTree {
    root: Option<Library>,
    /// The direct dependencies of each package.
    dependencies: BTreeMap<Library, BTreeSet<Library>>,
}

/// The dependency trees that were read.
#[derive(Debug, Default)]
pub(crate) struct DependencyTrees(BTreeMap<Package, DependencyTree>);

impl DependencyTrees {
    /// Returns the bill of materials of something that was built from these packages, as JSON.
    pub(crate) fn bill_of_materials(
        &mut self,
        subject: &Subject,
        packages: &[Package],
        commit: &Commit,
        lock: &Checksums,
    ) -> anyhow::Result<Vec<u8>> {
        let mut all_dependencies: BTreeMap<Library, BTreeSet<Library>> = BTreeMap::new();
        let mut roots = BTreeSet::new();
        for package in packages {
            let tree = self.tree(package)?;
            roots.extend(tree.root.clone());
            for (package, direct) in &tree.dependencies {
                all_dependencies.entry(package.clone()).or_default().extend(direct.iter().cloned());
            }
        }
        let mut metadata = subject.component(commit);
        metadata["properties"] = json!([{ "name": "wheeltapper:revision", "value": commit.revision }]);
        let mut components: Vec<Value> = all_dependencies.keys().map(|library| library.component(lock)).collect();
        let mut dependencies = Vec::new();
        let mut top = subject.reference(commit);
        if let Some(hash) = &subject.program {
            let program =
                Subject { kind: "application", name: "wheeltapper".to_owned(), hash: hash.clone(), program: None };
            components.push(program.component(commit));
            dependencies.push(json!({ "ref": top, "dependsOn": [program.reference(commit)] }));
            top = program.reference(commit);
        }
        dependencies.push(json!({ "ref": top, "dependsOn": references(&roots) }));
        dependencies.extend(
            all_dependencies
                .iter()
                .map(|(library, direct)| json!({ "ref": library.purl(), "dependsOn": references(direct) })),
        );
        let bill = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "serialNumber": serial_number(&subject.hash),
            "version": 1,
            "metadata": { "timestamp": commit.created, "component": metadata },
            "components": components,
            "dependencies": dependencies,
        });
        let mut json = serde_json::to_vec_pretty(&bill)?;
        json.push(b'\n');
        Ok(json)
    }

    fn tree(&mut self, package: &Package) -> anyhow::Result<&DependencyTree> {
        if !self.0.contains_key(package) {
            let mut tree = DependencyTree::from_cargo(package)?;
            if package.name == npm::EMBEDDING_PACKAGE {
                tree.add_dashboard(npm::libraries()?);
            }
            self.0.insert(package.clone(), tree);
        }
        self.0.get(package).context("the tree was just inserted")
    }
}

impl Subject {
    fn reference(&self, commit: &Commit) -> String {
        format!("{}@{}", self.name, commit.version)
    }

    fn component(&self, commit: &Commit) -> Value {
        json!({
            "bom-ref": self.reference(commit), "type": self.kind, "name": self.name,
            "version": commit.version, "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
            "hashes": [{ "alg": "SHA-256", "content": self.hash }],
        })
    }
}

impl DependencyTree {
    /// Runs `cargo tree` for the package's target, without build and development dependencies.
    fn from_cargo(package: &Package) -> anyhow::Result<Self> {
        let mut cargo = cargo_command();
        cargo.args(["tree", "--package", &package.name, "--target", package.target]);
        cargo.args(["--edges", "normal", "--prefix", "depth", "--format", ";{p};{l}"]);
        if let Some(features) = &package.features {
            cargo.args(["--no-default-features", "--features", features]);
        }
        let out = cargo.output().context("starting cargo")?;
        ensure!(out.status.success(), "cargo tree: {}", String::from_utf8_lossy(&out.stderr).trim());
        Self::parse(&String::from_utf8(out.stdout)?)
    }

    /// Adds the libraries of the dashboard to the package that embeds it.
    fn add_dashboard(&mut self, libraries: BTreeSet<Library>) {
        self.dependencies.extend(libraries.iter().map(|library| (library.clone(), BTreeSet::new())));
        if let Some(root) = &self.root {
            self.dependencies.entry(root.clone()).or_default().extend(libraries);
        }
    }

    /// Parses lines such as `2;serde v1.0.0 (*);MIT OR Apache-2.0`. Each package is below the one that depends on it.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        let mut ancestors: Vec<Library> = Vec::new();
        for line in text.lines() {
            let mut cells = line.split(';');
            let (depth, package, license) = (cells.next(), cells.next(), cells.next());
            let depth: usize = depth.unwrap_or_default().parse().with_context(|| format!("{line:?} of cargo tree"))?;
            let mut words = package.unwrap_or_default().split(' ');
            let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let package = Library {
                ecosystem: "cargo",
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

impl Library {
    fn purl(&self) -> String {
        format!("pkg:{}/{}@{}", self.ecosystem, self.name, self.version)
    }

    fn component(&self, lock: &Checksums) -> Value {
        let purl = self.purl();
        let mut component = json!({
            "bom-ref": purl, "type": "library", "name": self.name, "version": self.version, "purl": purl,
        });
        if !self.license.is_empty() {
            component["licenses"] = json!([{ "expression": self.license }]);
        }
        let checksum = lock.get(&(self.name.clone(), self.version.clone())).filter(|_| self.ecosystem == "cargo");
        if let Some(checksum) = checksum {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    }
}

fn references(packages: &BTreeSet<Library>) -> Vec<String> {
    packages.iter().map(Library::purl).collect()
}

/// Returns a UUID of version 8 that is derived from the subject's hash.
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
        let names = |packages: &BTreeSet<Library>| packages.iter().map(Library::purl).collect::<Vec<_>>();
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
