//! The OCI image: the program, its user, its configuration and nothing else.

use std::io::Write as _;

use anyhow::Context as _;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use super::{
    archive::{Archive, Owner, ROOT},
    program::Program,
};
use crate::package::{
    Commit,
    oci::{Blob, Contents, Image, annotations},
    sha256,
};

/// The architecture's name in image configs.
pub(super) const ARCHITECTURE: &str = "amd64";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The user in the image, by number, because Kubernetes can check only a number (`runAsNonRoot`). The number is above
/// those that distributions assign.
pub(super) const USER: u32 = 10001;
/// The data folder, a volume.
pub(super) const DATA: &str = "var/lib/wheeltapper";
pub(super) const CONFIG_PATH: &str = "/etc/wheeltapper/wheeltapper.toml";
const CONFIG: &str = include_str!("../../../../infra/docker/wheeltapper.toml");
const LICENSE: &str = include_str!("../../../../LICENSE");

/// Returns config and layer of the image.
pub(super) fn contents(program: &Program, commit: &Commit) -> anyhow::Result<Contents> {
    let layer = layer(&program.bytes, commit.epoch)?;
    let config = config(&format!("sha256:{}", sha256(&layer)), commit)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&layer)?;
    Ok(Contents {
        title: "wheeltapper".to_owned(),
        config: Blob { media_type: CONFIG_TYPE, bytes: config },
        layer: Blob { media_type: LAYER_TYPE, bytes: gzip.finish()? },
    })
}

/// Returns the layer as an uncompressed tar archive.
fn layer(program: &[u8], time: u64) -> anyhow::Result<Vec<u8>> {
    let owner: Owner = (u64::from(USER), u64::from(USER));
    let passwd =
        format!("root:x:0:0:root:/:/sbin/nologin\nwheeltapper:x:{USER}:{USER}:Wheeltapper:/{DATA}:/sbin/nologin\n");
    let group = format!("root:x:0:\nwheeltapper:x:{USER}:\n");
    let mut archive = Archive::new(time);
    archive.add_folder("etc", 0o755, ROOT)?;
    archive.add_file("etc/group", group.as_bytes(), 0o644)?;
    archive.add_file("etc/passwd", passwd.as_bytes(), 0o644)?;
    archive.add_folder("etc/wheeltapper", 0o755, ROOT)?;
    archive.add_file(CONFIG_PATH.trim_start_matches('/'), CONFIG.as_bytes(), 0o644)?;
    // SQLite's temporary files.
    archive.add_folder("tmp", 0o1777, ROOT)?;
    for folder in ["usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/doc/wheeltapper"] {
        archive.add_folder(folder, 0o755, ROOT)?;
    }
    archive.add_file("usr/bin/wheeltapper", program, 0o755)?;
    archive.add_file("usr/share/doc/wheeltapper/LICENSE", LICENSE.as_bytes(), 0o644)?;
    archive.add_folder("var", 0o755, ROOT)?;
    archive.add_folder("var/lib", 0o755, ROOT)?;
    archive.add_folder(DATA, 0o700, owner)?;
    archive.finish()
}

/// Returns the image's config. `layer` is the digest of the uncompressed layer.
fn config(layer: &str, commit: &Commit) -> anyhow::Result<Vec<u8>> {
    let volume = format!("/{DATA}");
    let config = json!({
        "created": commit.created, "architecture": ARCHITECTURE, "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"),
            "ExposedPorts": { "8080/tcp": {}, "1883/tcp": {} },
            // Commands in the container, such as `wheeltapper key add`, find the configuration too.
            "Env": ["PATH=/usr/bin", format!("WHEELTAPPER_CONFIG={CONFIG_PATH}")],
            "Entrypoint": ["/usr/bin/wheeltapper"],
            "Cmd": ["run"],
            "Volumes": { &volume: {} },
            "WorkingDir": volume,
            "Labels": annotations("wheeltapper", commit),
            "StopSignal": "SIGTERM",
        },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
        "history": [{ "created": commit.created, "created_by": "cargo xtask dist" }],
    });
    Ok(serde_json::to_vec(&config)?)
}

/// Returns the image layout as a tar archive. With the file `manifest.json`, versions of Docker that do not know image
/// layouts can load it too.
pub(super) fn archive(contents: Contents, commit: &Commit, sbom: &[u8]) -> anyhow::Result<Vec<u8>> {
    let path = |blob: &Blob| format!("blobs/sha256/{}", sha256(&blob.bytes));
    let docker = json!([{
        "Config": path(&contents.config),
        "RepoTags": [format!("wheeltapper:{}", commit.version)],
        "Layers": [path(&contents.layer)],
    }]);
    let docker = serde_json::to_vec(&docker)?;
    let image = Image::new(contents, commit, sbom).context("putting the image together")?;
    let mut archive = Archive::new(commit.epoch);
    archive.add_folder("blobs", 0o755, ROOT)?;
    archive.add_folder("blobs/sha256", 0o755, ROOT)?;
    for (name, bytes) in image.files() {
        archive.add_file(&name, bytes, 0o644)?;
    }
    archive.add_file("manifest.json", &docker, 0o644)?;
    archive.finish()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read as _};

    use super::*;

    fn commit() -> Commit {
        Commit::test(1_767_571_200)
    }

    fn entries(archive: &[u8]) -> BTreeMap<String, (u64, u32, u64, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let header = entry.header();
            let (user, mode, time) = (header.uid().unwrap(), header.mode().unwrap(), header.mtime().unwrap());
            (entry.path().unwrap().display().to_string(), (user, mode, time, bytes))
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn only_the_data_folder_belongs_to_the_user() {
        let entries = entries(&layer(b"program", 7).unwrap());
        for (path, (user, mode, time, _)) in &entries {
            let is_data = path == "var/lib/wheeltapper/";
            assert_eq!((*user == u64::from(USER), *time), (is_data, 7), "{path}");
            assert!(*mode & 0o022 == 0 || path == "tmp/", "{path}");
        }
        assert_eq!(entries["usr/bin/wheeltapper"].3, b"program");
        assert_eq!(entries["usr/bin/wheeltapper"].1, 0o755);
    }

    #[test]
    fn the_same_program_gives_the_same_archive_whose_parts_refer_to_each_other() {
        let program = Program { bytes: b"program".to_vec(), completions: Vec::new() };
        let build = || archive(contents(&program, &commit()).unwrap(), &commit(), b"{}").unwrap();
        let archive = build();
        assert!(archive == build(), "two builds differ");

        let entries = entries(&archive);
        let json = |path: &str| -> serde_json::Value { serde_json::from_slice(&entries[path].3).unwrap() };
        let blob = |digest: &serde_json::Value| digest.as_str().unwrap().replace("sha256:", "blobs/sha256/");
        for (path, (.., bytes)) in &entries {
            if let Some(digest) = path.strip_prefix("blobs/sha256/").filter(|digest| !digest.is_empty()) {
                assert_eq!(digest, sha256(bytes));
            }
        }
        let index = json("index.json");
        let manifest = json(&blob(&index["manifests"][0]["digest"]));
        let config = json(&blob(&manifest["config"]["digest"]));
        let mut layer = Vec::new();
        let compressed = &entries[&blob(&manifest["layers"][0]["digest"])].3;
        flate2::read::GzDecoder::new(compressed.as_slice()).read_to_end(&mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&layer)));
        assert_eq!(config["config"]["User"], "10001:10001");
        assert_eq!(json("manifest.json")[0]["Config"], blob(&manifest["config"]["digest"]));
        assert_eq!(index["manifests"][1]["artifactType"], "application/vnd.cyclonedx+json");
        let contents = contents(&program, &commit()).unwrap();
        assert_eq!(index["manifests"][0]["digest"], contents.digest(&commit()).unwrap());
    }
}
