//! `cargo xtask compose`: joins the stages with the adapter of a platform.
//!
//! The bytes of a stage are the same on every host; the manifest's hashes prove it, and that they stand unchanged inside
//! of what was composed is checked. A component that exports `wasi:nn` is joined in the same way, as one more part, when a
//! stage comes to import it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, types::Package};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use crate::{
    components::{STAGES, build},
    root, setup, target,
};

/// The API's package.
const API: &str = "wheeltapper-api";

/// A component for a platform.
struct Recipe {
    host: &'static str,
    name: &'static str,
    /// The adapter's package, and the feature that makes it this component.
    adapter: &'static str,
    feature: &'static str,
    stages: &'static [&'static str],
    /// Whether the API stands before it.
    api: bool,
}

impl Recipe {
    fn path(&self) -> String {
        format!("{}/{}", self.host, self.name)
    }
}

const SPIN: &str = "wheeltapper-on-spin";

const fn spin(name: &'static str, api: bool) -> Recipe {
    Recipe { host: "spin", name, adapter: SPIN, feature: name, stages: &STAGES, api }
}

const WASMCLOUD: &str = "wheeltapper-on-wasmcloud";

const fn wasmcloud(name: &'static str, stages: &'static [&'static str]) -> Recipe {
    Recipe { host: "wasmcloud", name, adapter: WASMCLOUD, feature: name, stages, api: false }
}

/// All that is composed.
const RECIPES: &[Recipe] = &[
    spin("http", true),
    spin("redis", false),
    spin("mqtt", false),
    spin("cron", false),
    // Values that somebody wants judged go through the stages on the side.
    Recipe { api: true, ..wasmcloud("http", &["ingest", "featurize", "detect"]) },
    wasmcloud("whole", &STAGES),
    wasmcloud("ingest", &["ingest"]),
    wasmcloud("featurize", &["featurize"]),
    wasmcloud("detect", &["detect"]),
    wasmcloud("alert", &["alert"]),
    wasmcloud("schedule", &["schedule"]),
];

/// The API before an answer that is always the same, for a host that has no line: what `cargo xtask bench api` compares with.
const STAND_IN: Recipe = Recipe {
    host: "bench",
    name: "api",
    adapter: "wheeltapper-mock-line",
    feature: "line-api",
    stages: &[],
    api: true,
};

/// Composes the API with what stands in for a line; gives its file.
pub(crate) fn stand_in() -> anyhow::Result<PathBuf> {
    setup::dashboard()?;
    let types = Part { name: "types".to_owned(), bytes: types()? };
    let api = Part::read("api", &build(API, None)?)?;
    let adapter = Part::read("adapter", &build(STAND_IN.adapter, Some(STAND_IN.feature))?)?;
    let path = folder().join(format!("{}.wasm", STAND_IN.path()));
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(&path, join(&[&types, &adapter, &api])?).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// Joins the stages with a platform's adapter
#[derive(Debug, clap::Args)]
pub(crate) struct Compose {
    /// Only for this host: spin or wasmcloud
    host: Option<String>,
    /// And of these only the one of this name
    name: Option<String>,
}

/// What was made of what. SHA-256, hexadecimal.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Manifest {
    stages: BTreeMap<String, String>,
    composed: BTreeMap<String, Composed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Composed {
    sha256: String,
    bytes: usize,
    /// What a host has to offer.
    imports: Vec<String>,
    exports: Vec<String>,
    /// The stages in it, unchanged.
    stages: Vec<String>,
    adapter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<String>,
}

/// One component on its way into another.
struct Part {
    name: String,
    bytes: Vec<u8>,
}

impl Part {
    fn read(name: &str, path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { name: name.to_owned(), bytes })
    }

    fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.bytes))
    }
}

/// Composes everything.
pub(crate) fn all() -> anyhow::Result<()> {
    Compose { host: None, name: None }.run()
}

/// What is composed: `HOST/NAME`.
pub(crate) fn names() -> Vec<String> {
    RECIPES.iter().map(Recipe::path).collect()
}

/// The packages in a composed component, each with its features (none: the default ones).
pub(crate) fn packages(name: &str) -> Vec<(String, Option<String>)> {
    let Some(recipe) = RECIPES.iter().find(|recipe| recipe.path() == name) else { return Vec::new() };
    let mut packages = vec![(recipe.adapter.to_owned(), Some(recipe.feature.to_owned()))];
    packages.extend(recipe.stages.iter().map(|stage| (format!("wheeltapper-{stage}"), None)));
    packages.extend(recipe.api.then(|| (API.to_owned(), None)));
    packages
}

/// Where composed components lie.
pub(crate) fn folder() -> PathBuf {
    target().join("composed")
}

impl Compose {
    /// All components.
    pub(crate) fn all() -> Self {
        Self { host: None, name: None }
    }

    /// All of a host.
    pub(crate) fn of(host: &str) -> Self {
        Self { host: Some(host.to_owned()), name: None }
    }

    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let recipes: Vec<&Recipe> = RECIPES
            .iter()
            .filter(|recipe| self.host.as_deref().is_none_or(|host| host == recipe.host))
            .filter(|recipe| self.name.as_deref().is_none_or(|name| name == recipe.name))
            .collect();
        ensure!(
            !recipes.is_empty(),
            "there is no such component; there are {}",
            names().iter().map(|name| name.replace('/', " ")).collect::<Vec<_>>().join(", ")
        );
        let types = Part { name: "types".to_owned(), bytes: types()? };
        let stages = STAGES
            .iter()
            .map(|stage| Part::read(stage, &build(&format!("wheeltapper-{stage}"), None)?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        if recipes.iter().any(|recipe| recipe.api) {
            setup::dashboard()?;
        }
        let api =
            if recipes.iter().any(|recipe| recipe.api) { Some(Part::read("api", &build(API, None)?)?) } else { None };
        let hashes = stages.iter().map(|stage| (stage.name.clone(), stage.hash())).collect();
        let mut manifest = Manifest::of(hashes);
        for recipe in recipes {
            let adapter = Part::read("adapter", &build(recipe.adapter, Some(recipe.feature))?)?;
            let chosen: Vec<&Part> =
                stages.iter().filter(|stage| recipe.stages.contains(&stage.name.as_str())).collect();
            let api = api.as_ref().filter(|_| recipe.api);
            let mut parts = vec![&types];
            parts.extend(&chosen);
            parts.push(&adapter);
            parts.extend(api);
            let name = recipe.path();
            let bytes = join(&parts).with_context(|| format!("composing {name}"))?;
            for stage in &chosen {
                ensure!(
                    memchr::memmem::find(&bytes, &stage.bytes).is_some(),
                    "{} does not stand unchanged in {name}",
                    stage.name
                );
            }
            let path = folder().join(format!("{name}.wasm"));
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            fs::write(&path, &bytes).with_context(|| format!("writing {}", path.display()))?;
            println!("{:>9} bytes  {}", bytes.len(), path.display());
            let (imports, exports) = world(&bytes)?;
            let composed = Composed {
                imports,
                exports,
                sha256: hex::encode(Sha256::digest(&bytes)),
                bytes: bytes.len(),
                stages: chosen.iter().map(|stage| stage.name.clone()).collect(),
                adapter: adapter.hash(),
                api: api.map(Part::hash),
            };
            manifest.composed.insert(name, composed);
        }
        let path = folder().join("manifest.json");
        let mut json = serde_json::to_string_pretty(&manifest)?;
        json.push('\n');
        fs::write(&path, json).with_context(|| format!("writing {}", path.display()))
    }
}

impl Manifest {
    /// The manifest that is there, if it is of the same stages: what was composed before stays in it.
    fn of(stages: BTreeMap<String, String>) -> Self {
        let there = fs::read(folder().join("manifest.json")).ok();
        let there: Option<Self> = there.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match there {
            Some(manifest) if manifest.stages == stages => manifest,
            _ => Self { stages, composed: BTreeMap::new() },
        }
    }
}

/// Instantiates the parts in order, each with what those before it export; what the last exports is the whole's.
fn join(parts: &[&Part]) -> anyhow::Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let mut offered: BTreeMap<String, NodeId> = BTreeMap::new();
    let mut last = Vec::new();
    for part in parts {
        let package = Package::from_bytes(&part.name, None, part.bytes.as_slice(), graph.types_mut())
            .with_context(|| format!("{} is not a component", part.name))?;
        let package = graph.register_package(package)?;
        let world = &graph.types()[graph[package].ty()];
        let imports: Vec<String> = world.imports.keys().cloned().collect();
        let exports: Vec<String> = world.exports.keys().cloned().collect();
        let instance = graph.instantiate(package);
        for import in imports {
            if let Some(export) = offer(&offered, &import) {
                graph
                    .set_instantiation_argument(instance, &import, export)
                    .with_context(|| format!("{} takes {import}", part.name))?;
            }
        }
        last.clear();
        for export in exports {
            let node = graph.alias_instance_export(instance, &export)?;
            offered.insert(export.clone(), node);
            last.push((export, node));
        }
    }
    for (name, node) in last {
        graph.export(node, name)?;
    }
    Ok(graph.encode(EncodeOptions { define_components: true, ..EncodeOptions::default() })?)
}

/// Who offers an import: by its name, or in another release that a host would take for it as well (0.2.6 for 0.2.3).
fn offer(offered: &BTreeMap<String, NodeId>, import: &str) -> Option<NodeId> {
    let exact = offered.get(import);
    let near = || offered.iter().find(|(export, _)| track(export).is_some_and(|export| Some(export) == track(import)));
    exact.or_else(|| near().map(|(_, node)| node)).copied()
}

/// An interface's name, and the part of its version that a compatible one has too; none for what is no release.
fn track(name: &str) -> Option<(&str, &str)> {
    let (interface, version) = name.split_once('@')?;
    if version.contains('-') {
        return None;
    }
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split('.').next()?;
    let kept = match (major, minor) {
        ("0", "0") => version.len(),
        ("0", _) => major.len() + 1 + minor.len(),
        _ => major.len(),
    };
    Some((interface, version.get(..kept)?))
}

/// The names of what a component imports and exports.
pub(crate) fn world(bytes: &[u8]) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let mut graph = CompositionGraph::new();
    let package = Package::from_bytes("composed", None, bytes, graph.types_mut())?;
    let world = &graph.types()[package.ty()];
    Ok((world.imports.keys().cloned().collect(), world.exports.keys().cloned().collect()))
}

/// A component that exports the contracts' types, so that none is left to import.
fn types() -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit"))?;
    let world = resolve.select_world(&[package], Some("contracts"))?;
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}

#[cfg(test)]
mod tests {
    use super::track;

    #[test]
    fn releases_of_one_track_are_taken_for_each_other() {
        assert_eq!(track("wasi:cli/environment@0.2.6"), track("wasi:cli/environment@0.2.12"));
        assert_eq!(track("a:b/c@1.2.3"), track("a:b/c@1.9.0"));
        for (one, other) in [
            ("wasi:cli/environment@0.2.6", "wasi:cli/environment@0.3.0"),
            ("wasi:cli/environment@0.2.6", "wasi:cli/stdin@0.2.6"),
            ("a:b/c@0.0.1", "a:b/c@0.0.2"),
            ("a:b/c@1.0.0", "a:b/c@2.0.0"),
        ] {
            assert_ne!(track(one), track(other), "{one} {other}");
        }
        assert_eq!(track("wasi:keyvalue/store@0.2.0-draft2"), None);
        assert_eq!(track("handle-message"), None);
    }
}
