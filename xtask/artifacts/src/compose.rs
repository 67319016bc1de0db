//! `cargo xtask compose`: composes the stages with the adapter of a platform.
//!
//! The bytes of a stage are the same on every host. The manifest contains their hashes, and `compose` checks that each
//! composed component contains them unchanged. If a stage ever imports `wasi:nn`, a component that exports it can be
//! added as one more input.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, types::Package};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use crate::{
    components::{STAGES, build},
    composed_folder, root,
};

const API: &str = "wheeltapper-api";

/// The inputs of a composed component.
struct Composition {
    host: &'static str,
    name: &'static str,
    /// The adapter's package, and the feature that makes it this component.
    adapter: &'static str,
    feature: &'static str,
    stages: &'static [&'static str],
    /// Whether the component includes the API.
    api: bool,
}

impl Composition {
    fn path(&self) -> String {
        format!("{}/{}", self.host, self.name)
    }
}

const SPIN: &str = "wheeltapper-on-spin";

const fn spin(name: &'static str, api: bool) -> Composition {
    Composition { host: "spin", name, adapter: SPIN, feature: name, stages: &STAGES, api }
}

const WASMCLOUD: &str = "wheeltapper-on-wasmcloud";

const fn wasmcloud(name: &'static str, stages: &'static [&'static str]) -> Composition {
    Composition { host: "wasmcloud", name, adapter: WASMCLOUD, feature: name, stages, api: false }
}

const COMPOSITIONS: &[Composition] = &[
    spin("http", true),
    spin("redis", false),
    spin("mqtt", false),
    spin("cron", false),
    // A `detect` request runs its values through these stages, separately from the line.
    Composition { api: true, ..wasmcloud("http", &["ingest", "featurize", "detect"]) },
    wasmcloud("all-stages", &STAGES),
    wasmcloud("ingest", &["ingest"]),
    wasmcloud("featurize", &["featurize"]),
    wasmcloud("detect", &["detect"]),
    wasmcloud("alert", &["alert"]),
    wasmcloud("schedule", &["schedule"]),
];

/// The API with a mock line, whose answers are constant. `cargo xtask bench api` runs it on a host without a line.
const API_WITH_MOCK_LINE: Composition = Composition {
    host: "bench",
    name: "api",
    adapter: "wheeltapper-mock-line",
    feature: "line-api",
    stages: &[],
    api: true,
};

/// Composes the API with the mock line.
fn api_with_mock_line() -> anyhow::Result<()> {
    let types = InputComponent { name: "types".to_owned(), bytes: types()? };
    let api = InputComponent::read("api", &build(API, None)?)?;
    let adapter =
        InputComponent::read("adapter", &build(API_WITH_MOCK_LINE.adapter, Some(API_WITH_MOCK_LINE.feature))?)?;
    let path = composed_folder().join(format!("{}.wasm", API_WITH_MOCK_LINE.path()));
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(&path, compose(&[&types, &adapter, &api])?).with_context(|| format!("writing {}", path.display()))
}

/// Composes the stages with a platform's adapter
#[derive(Debug, clap::Args)]
pub(crate) struct Compose {
    /// Only for this host: spin or wasmcloud; bench: the API that `cargo xtask bench api` compares
    host: Option<String>,
    /// Only the component of this name
    name: Option<String>,
}

/// The file `manifest.json`: the composed components and their inputs. Hashes are SHA-256 in hexadecimal.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Manifest {
    /// The hash of each stage.
    stages: BTreeMap<String, String>,
    composed: BTreeMap<String, Composed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Composed {
    sha256: String,
    bytes: usize,
    /// The interfaces that a host has to provide.
    imports: Vec<String>,
    exports: Vec<String>,
    /// The names of the stages that it contains.
    stages: Vec<String>,
    /// The hash of the adapter.
    adapter: String,
    /// The hash of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<String>,
}

/// A component from which another is composed.
struct InputComponent {
    name: String,
    bytes: Vec<u8>,
}

impl InputComponent {
    fn read(name: &str, path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { name: name.to_owned(), bytes })
    }

    fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.bytes))
    }
}

/// Returns the names of all composed components: `HOST/NAME`.
pub(crate) fn names() -> Vec<String> {
    COMPOSITIONS.iter().map(Composition::path).collect()
}

/// Returns the packages of a composed component, each with its features. `None`: the default features.
pub(crate) fn packages(name: &str) -> Vec<(String, Option<String>)> {
    let Some(composition) = COMPOSITIONS.iter().find(|composition| composition.path() == name) else {
        return Vec::new();
    };
    let mut packages = vec![(composition.adapter.to_owned(), Some(composition.feature.to_owned()))];
    packages.extend(composition.stages.iter().map(|stage| (format!("wheeltapper-{stage}"), None)));
    packages.extend(composition.api.then(|| (API.to_owned(), None)));
    packages
}

impl Compose {
    /// Selects all components.
    pub(crate) fn all() -> Self {
        Self { host: None, name: None }
    }

    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if self.host.as_deref() == Some(API_WITH_MOCK_LINE.host) {
            return api_with_mock_line();
        }
        let compositions: Vec<&Composition> = COMPOSITIONS
            .iter()
            .filter(|composition| self.host.as_deref().is_none_or(|host| host == composition.host))
            .filter(|composition| self.name.as_deref().is_none_or(|name| name == composition.name))
            .collect();
        ensure!(
            !compositions.is_empty(),
            "there is no such component; expected one of: {}",
            names().iter().map(|name| name.replace('/', " ")).collect::<Vec<_>>().join(", ")
        );
        let types = InputComponent { name: "types".to_owned(), bytes: types()? };
        let stages = STAGES
            .iter()
            .map(|stage| InputComponent::read(stage, &build(&format!("wheeltapper-{stage}"), None)?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let api = if compositions.iter().any(|composition| composition.api) {
            Some(InputComponent::read("api", &build(API, None)?)?)
        } else {
            None
        };
        let hashes = stages.iter().map(|stage| (stage.name.clone(), stage.hash())).collect();
        let mut manifest = Manifest::read_or_new(hashes);
        for composition in compositions {
            let adapter = InputComponent::read("adapter", &build(composition.adapter, Some(composition.feature))?)?;
            let own_stages: Vec<&InputComponent> =
                stages.iter().filter(|stage| composition.stages.contains(&stage.name.as_str())).collect();
            let api = api.as_ref().filter(|_| composition.api);
            let mut inputs = vec![&types];
            inputs.extend(&own_stages);
            inputs.push(&adapter);
            inputs.extend(api);
            let name = composition.path();
            let bytes = compose(&inputs).with_context(|| format!("composing {name}"))?;
            for stage in &own_stages {
                ensure!(
                    memchr::memmem::find(&bytes, &stage.bytes).is_some(),
                    "{name} does not contain the unchanged bytes of {}",
                    stage.name
                );
            }
            let path = composed_folder().join(format!("{name}.wasm"));
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            fs::write(&path, &bytes).with_context(|| format!("writing {}", path.display()))?;
            println!("{:>9} bytes  {}", bytes.len(), path.display());
            let (imports, exports) = imports_and_exports(&bytes)?;
            let composed = Composed {
                imports,
                exports,
                sha256: hex::encode(Sha256::digest(&bytes)),
                bytes: bytes.len(),
                stages: own_stages.iter().map(|stage| stage.name.clone()).collect(),
                adapter: adapter.hash(),
                api: api.map(InputComponent::hash),
            };
            manifest.composed.insert(name, composed);
        }
        let path = composed_folder().join("manifest.json");
        let mut json = serde_json::to_string_pretty(&manifest)?;
        json.push('\n');
        fs::write(&path, json).with_context(|| format!("writing {}", path.display()))
    }
}

impl Manifest {
    /// Returns the existing manifest if its stages have these hashes, otherwise an empty one.
    fn read_or_new(stages: BTreeMap<String, String>) -> Self {
        let bytes = fs::read(composed_folder().join("manifest.json")).ok();
        let existing: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match existing {
            Some(manifest) if manifest.stages == stages => manifest,
            _ => Self { stages, composed: BTreeMap::new() },
        }
    }
}

/// Composes a component: instantiates the inputs in order, each with the exports of those before it. The exports of the
/// last one are those of the result.
fn compose(inputs: &[&InputComponent]) -> anyhow::Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let mut all_exports: BTreeMap<String, NodeId> = BTreeMap::new();
    let mut last_exports = Vec::new();
    for input in inputs {
        let package = Package::from_bytes(&input.name, None, input.bytes.as_slice(), graph.types_mut())
            .with_context(|| format!("{} is not a component", input.name))?;
        let package = graph.register_package(package)?;
        let world = &graph.types()[graph[package].ty()];
        let imports: Vec<String> = world.imports.keys().cloned().collect();
        let exports: Vec<String> = world.exports.keys().cloned().collect();
        let instance = graph.instantiate(package);
        for import in imports {
            if let Some(export) = find_export(&all_exports, &import) {
                graph
                    .set_instantiation_argument(instance, &import, export)
                    .with_context(|| format!("{} imports {import}", input.name))?;
            }
        }
        last_exports.clear();
        for export in exports {
            let node = graph.alias_instance_export(instance, &export)?;
            all_exports.insert(export.clone(), node);
            last_exports.push((export, node));
        }
    }
    for (name, node) in last_exports {
        graph.export(node, name)?;
    }
    Ok(graph.encode(EncodeOptions { define_components: true, ..EncodeOptions::default() })?)
}

/// Returns the export for an import: the one with the same name, or else one of a compatible version (0.2.6 for 0.2.3).
fn find_export(exports: &BTreeMap<String, NodeId>, import: &str) -> Option<NodeId> {
    let exact = exports.get(import);
    let compatible = || {
        let track = version_track(import)?;
        exports.iter().find(|(export, _)| version_track(export) == Some(track)).map(|(_, node)| node)
    };
    exact.or_else(compatible).copied()
}

/// Returns an interface's name and the part of its version that all compatible versions share. `None` for a name
/// without a version, and for a pre-release.
fn version_track(name: &str) -> Option<(&str, &str)> {
    let (interface, version) = name.split_once('@')?;
    if version.contains('-') {
        return None;
    }
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split('.').next()?;
    let length = match (major, minor) {
        ("0", "0") => version.len(),
        ("0", _) => major.len() + 1 + minor.len(),
        _ => major.len(),
    };
    Some((interface, version.get(..length)?))
}

/// Returns the names of a component's imports and exports.
pub(crate) fn imports_and_exports(bytes: &[u8]) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let mut graph = CompositionGraph::new();
    let package = Package::from_bytes("composed", None, bytes, graph.types_mut())?;
    let world = &graph.types()[package.ty()];
    Ok((world.imports.keys().cloned().collect(), world.exports.keys().cloned().collect()))
}

/// Returns a component that exports the types of the contracts, so that the composed component does not import them.
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
    use super::version_track;

    #[test]
    fn compatible_versions_have_the_same_track() {
        assert_eq!(version_track("wasi:cli/environment@0.2.6"), version_track("wasi:cli/environment@0.2.12"));
        assert_eq!(version_track("a:b/c@1.2.3"), version_track("a:b/c@1.9.0"));
        for (one, other) in [
            ("wasi:cli/environment@0.2.6", "wasi:cli/environment@0.3.0"),
            ("wasi:cli/environment@0.2.6", "wasi:cli/stdin@0.2.6"),
            ("a:b/c@0.0.1", "a:b/c@0.0.2"),
            ("a:b/c@1.0.0", "a:b/c@2.0.0"),
        ] {
            assert_ne!(version_track(one), version_track(other), "{one} {other}");
        }
        assert_eq!(version_track("wasi:keyvalue/store@0.2.0-draft2"), None);
        assert_eq!(version_track("handle-message"), None);
    }
}
