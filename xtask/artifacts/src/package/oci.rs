//! OCI image layouts according to the image specification 1.1 and the Wasm OCI artifact layout.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Commit, Component, sha256};
use crate::compose;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const SBOM_TYPE: &str = "application/vnd.cyclonedx+json";

/// An image layout: the blobs by their digests, and the index.
pub(super) struct Image {
    blobs: BTreeMap<String, Vec<u8>>,
    index: Vec<u8>,
    digest: String,
}

impl Image {
    pub(super) fn new(component: &Component, commit: &Commit, sbom: &[u8]) -> anyhow::Result<Self> {
        let mut blobs = Blobs::default();
        let layer = blobs.add(LAYER_TYPE, component.bytes.clone());
        let (imports, exports) = compose::imports_and_exports(&component.bytes)?;
        // The specification requires the field `target`. No runtime uses it.
        let config = json!({
            "created": commit.created, "author": null, "architecture": "wasm", "os": "wasip2",
            "layerDigests": [layer["digest"]], "component": { "exports": exports, "imports": imports, "target": null },
        });
        let config = blobs.add(CONFIG_TYPE, serde_json::to_vec(&config)?);
        let annotations = annotations(component, commit);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer],
            "annotations": annotations,
        });
        let mut manifest = blobs.add(MANIFEST_TYPE, serde_json::to_vec(&manifest)?);
        let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();

        let empty = blobs.add(EMPTY_TYPE, b"{}".to_vec());
        let sbom_layer = blobs.add(SBOM_TYPE, sbom.to_vec());
        let referrer = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": SBOM_TYPE, "config": empty,
            "layers": [sbom_layer],
            "subject": manifest, "annotations": { "org.opencontainers.image.created": commit.created },
        });
        let mut referrer = blobs.add(MANIFEST_TYPE, serde_json::to_vec(&referrer)?);
        referrer["artifactType"] = Value::from(SBOM_TYPE);
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": commit.version });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [manifest, referrer] });
        Ok(Self { blobs: blobs.0, index: serde_json::to_vec(&index)?, digest })
    }

    /// Returns the digest of the manifest, which identifies the image in registries.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Writes the layout into a folder.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let write = |path: PathBuf, bytes: &[u8]| {
            fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
        };
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("making {}", blobs.display()))?;
        for (digest, bytes) in &self.blobs {
            write(blobs.join(digest), bytes)?;
        }
        write(folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        write(folder.join("index.json"), &self.index)
    }
}

#[derive(Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Adds a blob and returns its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = sha256(&bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() });
        self.0.insert(digest, bytes);
        descriptor
    }
}

fn annotations(component: &Component, commit: &Commit) -> BTreeMap<&'static str, String> {
    let mut annotations = BTreeMap::from([
        ("org.opencontainers.image.title", format!("wheeltapper-{}", component.name)),
        ("org.opencontainers.image.version", commit.version.clone()),
        ("org.opencontainers.image.licenses", env!("CARGO_PKG_LICENSE").to_owned()),
        ("org.opencontainers.image.revision", commit.revision.clone()),
        ("org.opencontainers.image.created", commit.created.clone()),
    ]);
    if let Some(source) = &commit.source {
        annotations.insert("org.opencontainers.image.source", source.clone());
    }
    annotations
}
