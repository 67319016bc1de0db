//! `cargo xtask package`: writes every component as an OCI image in a folder, with a bill of materials.
//!
//! The layout is that of `wkg oci push` (one layer, the component; a config that names its imports and exports), so
//! that Spin, wasmCloud and `wkg` can pull it from any registry. The bill of materials is a separate manifest that
//! refers to the image, where tools that verify images look for it, because runtimes reject a second layer. The same
//! commit gives the same bytes.

mod oci;
mod sbom;

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use crate::{
    components::{STAGES, build},
    compose, composed_folder, root, target,
};
use oci::Image;

/// Writes an OCI image layout and a CycloneDX bill of materials for every component: target/oci/NAME
#[derive(Debug, clap::Args)]
pub(crate) struct Package {
    /// The URL of the source code, for the images' annotations
    #[arg(long)]
    source: Option<String>,
}

/// The metadata that all images of a commit share.
struct Commit {
    version: String,
    /// The hash of the commit, with `-dirty` if there are uncommitted changes.
    revision: String,
    /// The time of the commit: RFC 3339, UTC.
    created: String,
    source: Option<String>,
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
            let sbom = trees.bill_of_materials(&component, &commit, &lock)?;
            let image = Image::new(&component, &commit, &sbom)?;
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

impl Commit {
    /// Returns the commit that is checked out.
    fn current(source: Option<String>) -> anyhow::Result<Self> {
        let mut revision = git(&["rev-parse", "HEAD"])?;
        if !git(&["status", "--porcelain"])?.is_empty() {
            revision.push_str("-dirty");
        }
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision,
            created: git(&["log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"])?,
            source,
        })
    }
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let out = Command::new("git").args(arguments).current_dir(root()).env("TZ", "UTC0").output();
    let out = out.context("starting git, which returns the commit")?;
    ensure!(out.status.success(), "git {}: {}", arguments.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
