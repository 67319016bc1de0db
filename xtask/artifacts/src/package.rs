//! `cargo xtask package`: writes every component as an OCI image in a folder, with a bill of materials.
//!
//! The layout is that of `wkg oci push` (one layer, the component; a config that names its imports and exports), so
//! that Spin, wasmCloud and `wkg` can pull it from any registry. The bill of materials is a separate manifest that
//! refers to the image, where tools that verify images look for it, because runtimes reject a second layer. The same
//! commit gives the same bytes.

mod npm;
pub(crate) mod oci;
pub(crate) mod sbom;

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    components::{STAGES, TARGET, build},
    compose, composed_folder, root, target,
};
use oci::Image;

const WASM_CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const WASM_LAYER_TYPE: &str = "application/wasm";

/// Writes an OCI image layout and a CycloneDX bill of materials for every component: target/oci/NAME
#[derive(Debug, clap::Args)]
pub(crate) struct Package {
    /// The URL of the source code, for the images' annotations
    #[arg(long)]
    source: Option<String>,
}

/// The metadata that all packages of a commit share.
pub(crate) struct Commit {
    pub(crate) version: String,
    /// The hash of the commit, with `-dirty` if there are uncommitted changes.
    revision: String,
    /// The time that all files of the packages get, in seconds since 1970: that of the commit, unless
    /// `SOURCE_DATE_EPOCH` is set.
    pub(crate) epoch: u64,
    /// The same as RFC 3339, UTC.
    pub(crate) created: String,
    /// The URL of the source code.
    pub(crate) source: Option<String>,
}

/// A component to be packaged, and the packages from which it was built, each with its features. `None`: the default
/// features.
struct Component {
    name: String,
    bytes: Vec<u8>,
    packages: Vec<(String, Option<String>)>,
}

impl Package {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let commit = Commit::current(self.source.clone())?;
        let folder = target().join("oci");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        let lock = sbom::checksums(&root().join("Cargo.lock"))?;
        let mut trees = sbom::DependencyTrees::default();
        for component in components()? {
            let subject = sbom::Subject {
                kind: "application",
                name: format!("wheeltapper-{}", component.name),
                hash: sha256(&component.bytes),
                program: None,
            };
            let sbom = trees.bill_of_materials(&subject, &component.packages(), &commit, &lock)?;
            let image = Image::new(component.contents(&commit)?, &commit, &sbom)?;
            let path = folder.join(&component.name);
            image.write(&path)?;
            let sbom_path = folder.join(format!("{}.cdx.json", component.name));
            fs::write(&sbom_path, &sbom).with_context(|| format!("writing {}", sbom_path.display()))?;
            println!("{}  {}", image.digest(), path.display());
        }
        Ok(())
    }
}

/// Builds all components: the stages and the composed ones.
fn components() -> anyhow::Result<Vec<Component>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let mut all = Vec::new();
    for stage in STAGES {
        let package = format!("wheeltapper-{stage}");
        let bytes = read(&build(&package, None)?)?;
        all.push(Component { name: stage.to_owned(), bytes, packages: vec![(package, None)] });
    }
    compose::Compose::all().run()?;
    for name in compose::names() {
        let bytes = read(&composed_folder().join(format!("{name}.wasm")))?;
        all.push(Component { packages: compose::packages(&name), name: name.replace('/', "-"), bytes });
    }
    Ok(all)
}

impl Component {
    fn packages(&self) -> Vec<sbom::Package> {
        let package = |(name, features): &(String, Option<String>)| sbom::Package {
            name: name.clone(),
            features: features.clone(),
            target: TARGET,
        };
        self.packages.iter().map(package).collect()
    }

    /// Returns the contents of the component's image, after the Wasm OCI artifact layout.
    fn contents(&self, commit: &Commit) -> anyhow::Result<oci::Contents> {
        let (imports, exports) = compose::imports_and_exports(&self.bytes)?;
        // The specification requires the field `target`. No runtime uses it.
        let config = json!({
            "created": commit.created, "author": null, "architecture": "wasm", "os": "wasip2",
            "layerDigests": [format!("sha256:{}", sha256(&self.bytes))],
            "component": { "exports": exports, "imports": imports, "target": null },
        });
        Ok(oci::Contents {
            title: format!("wheeltapper-{}", self.name),
            config: oci::Blob { media_type: WASM_CONFIG_TYPE, bytes: serde_json::to_vec(&config)? },
            layer: oci::Blob { media_type: WASM_LAYER_TYPE, bytes: self.bytes.clone() },
        })
    }
}

impl Commit {
    /// Returns the commit that is checked out.
    pub(crate) fn current(source: Option<String>) -> anyhow::Result<Self> {
        let mut revision = git(&["rev-parse", "HEAD"])?;
        if !git(&["status", "--porcelain"])?.is_empty() {
            revision.push_str("-dirty");
        }
        let epoch = match env::var("SOURCE_DATE_EPOCH") {
            Ok(epoch) => epoch,
            Err(_) => git(&["log", "-1", "--format=%ct"])?,
        };
        let epoch: u64 = epoch.parse().with_context(|| {
            format!("SOURCE_DATE_EPOCH is {epoch:?}; expected the seconds since 1970, such as 1767571200")
        })?;
        Ok(Self { version: env!("CARGO_PKG_VERSION").to_owned(), revision, epoch, created: rfc3339(epoch)?, source })
    }
}

#[cfg(test)]
impl Commit {
    /// Returns a commit of this time, in seconds since 1970.
    pub(crate) fn test(epoch: u64) -> Self {
        Self {
            version: "0.1.0".to_owned(),
            revision: "0123abcd".to_owned(),
            epoch,
            created: rfc3339(epoch).unwrap(),
            source: None,
        }
    }
}

/// Formats seconds since 1970.
fn rfc3339(epoch: u64) -> anyhow::Result<String> {
    output(Command::new("date").args(["--utc", &format!("--date=@{epoch}"), "+%Y-%m-%dT%H:%M:%SZ"]))
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    output(Command::new("git").args(arguments).current_dir(root())).context("git returns the commit")
}

/// Runs a command that must succeed, and returns its output without the line end.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let out = command.output().with_context(|| format!("starting {}", command.get_program().display()))?;
    ensure!(out.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&out.stderr).trim());
    Ok(String::from_utf8(out.stdout)?.trim_end().to_owned())
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
