//! OCI image layouts according to the image specification 1.1.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Commit, sha256};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const SBOM_TYPE: &str = "application/vnd.cyclonedx+json";

/// Bytes and their media type.
pub(crate) struct Blob {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// What an image consists of: its config and its only layer.
pub(crate) struct Contents {
    pub(crate) title: String,
    pub(crate) config: Blob,
    pub(crate) layer: Blob,
}

/// An image layout: the blobs by their digests, and the index.
pub(crate) struct Image {
    blobs: BTreeMap<String, Vec<u8>>,
    index: Vec<u8>,
    digest: String,
}

impl Contents {
    /// Returns the digest of the manifest, which identifies the image in registries. It does not depend on the bill of
    /// materials, which can therefore name it.
    pub(crate) fn digest(&self, commit: &Commit) -> anyhow::Result<String> {
        let (config, layer) = (self.config.descriptor(), self.layer.descriptor());
        Ok(format!("sha256:{}", sha256(&manifest(&self.title, &config, &layer, commit)?)))
    }
}

impl Blob {
    fn descriptor(&self) -> Value {
        descriptor(self.media_type, &sha256(&self.bytes), self.bytes.len())
    }
}

impl Image {
    pub(crate) fn new(contents: Contents, commit: &Commit, sbom: &[u8]) -> anyhow::Result<Self> {
        let mut blobs = Blobs::default();
        let layer = blobs.add(contents.layer.media_type, contents.layer.bytes);
        let config = blobs.add(contents.config.media_type, contents.config.bytes);
        let mut manifest = blobs.add(MANIFEST_TYPE, manifest(&contents.title, &config, &layer, commit)?);
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
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the files of the layout by their paths in it.
    pub(crate) fn files(&self) -> BTreeMap<String, &[u8]> {
        let mut files = BTreeMap::from([
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice()),
            ("index.json".to_owned(), self.index.as_slice()),
        ]);
        files.extend(self.blobs.iter().map(|(digest, bytes)| (format!("blobs/sha256/{digest}"), bytes.as_slice())));
        files
    }

    /// Writes the layout into a folder.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("making {}", blobs.display()))?;
        for (name, bytes) in self.files() {
            let path: PathBuf = folder.join(name);
            fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

fn manifest(title: &str, config: &Value, layer: &Value, commit: &Commit) -> anyhow::Result<Vec<u8>> {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer],
        "annotations": annotations(title, commit),
    });
    Ok(serde_json::to_vec(&manifest)?)
}

fn descriptor(media_type: &str, digest: &str, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size })
}

#[derive(Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Adds a blob and returns its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = sha256(&bytes);
        let descriptor = descriptor(media_type, &digest, bytes.len());
        self.0.insert(digest, bytes);
        descriptor
    }
}

/// Returns the annotations of an image: what it contains, and from which commit.
pub(crate) fn annotations(title: &str, commit: &Commit) -> BTreeMap<&'static str, String> {
    let mut annotations = BTreeMap::from([
        ("org.opencontainers.image.title", title.to_owned()),
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
