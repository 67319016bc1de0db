//! The test of the image: unpacked by umoci, the reference tool for image layouts, and run by runc, as Docker,
//! containerd and Podman do.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{Running, as_root, client::Client, passed, remove_as_root, wait_for};
use crate::{
    dist::image::{CONFIG_PATH, DATA, USER},
    package::output,
};

/// Unpacks the image, runs it with a read-only root, and sends a reading.
pub(super) fn test(archive: &Path, version: &str, folder: &Path) -> anyhow::Result<()> {
    let (layout, bundle) = (folder.join("layout"), folder.join("bundle"));
    fs::create_dir_all(&layout)?;
    output(Command::new("tar").arg("--extract").arg("--file").arg(archive).arg("--directory").arg(&layout))?;
    let image = format!("{}:{version}", layout.display());
    output(as_root("umoci").args(["unpack", "--image", &image]).arg(&bundle))?;
    let id = format!("wheeltapper-smoke-{}", std::process::id());
    let container = Container { id, bundle };
    let tested = container.test(folder);
    container.remove();
    tested
}

/// A container of runc.
struct Container {
    id: String,
    bundle: std::path::PathBuf,
}

impl Container {
    fn test(&self, folder: &Path) -> anyhow::Result<()> {
        self.configure()?;
        let log = folder.join("image.log");
        let output_file = File::create(&log)?;
        let mut command = as_root("runc");
        command.args(["run", "--bundle"]).arg(&self.bundle).arg(&self.id).stdin(Stdio::null());
        let mut runc = Running::spawn(command.stderr(output_file.try_clone()?).stdout(output_file))?;
        let process = wait_for("the container", &mut runc.0, || self.process())
            .with_context(|| format!("its output is {}", log.display()))?;
        let client = Client::new("127.0.0.1:8080").in_network_of(process);
        client.wait_until_ready(&mut runc.0).with_context(|| format!("its output is {}", log.display()))?;
        let status = output(as_root("cat").arg(format!("/proc/{process}/status")))?;
        let user = format!("Uid:\t{USER}\t{USER}\t{USER}\t{USER}");
        ensure!(status.contains(&user), "expected {user:?} in the status of the process:\n{status}");
        passed("/ready, as a user that is not root, with a read-only root and no capabilities");

        ensure!(client.send_reading().is_err(), "a reading without a key was accepted");
        let key = ["/usr/bin/wheeltapper", "key", "add", "smoke", "--scope", "ingest", "--scope", "read"];
        let key = output(as_root("runc").arg("exec").arg(&self.id).args(key))?;
        let client = client.with_key(&key);
        let sent = client.send_reading()?;
        client.expect_reading(&sent)?;
        passed("a reading with an API key, and the same reading back; none without a key");
        output(as_root("runc").args(["kill", &self.id, "TERM"]))?;
        runc.wait_for_success("after SIGTERM")?;
        passed("it stops on SIGTERM with exit code 0");
        Ok(())
    }

    /// Checks the configuration that umoci made from the image, and changes it to what `infra/docker/compose.yaml`
    /// says: a read-only root and no capabilities.
    fn configure(&self) -> anyhow::Result<()> {
        let path = self.bundle.join("config.json");
        let mut config: Value = serde_json::from_str(&output(as_root("cat").arg(&path))?)?;
        let arguments = &config["process"]["args"];
        ensure!(*arguments == json!(["/usr/bin/wheeltapper", "run"]), "the command is {arguments}");
        let environment = config["process"]["env"].to_string();
        ensure!(environment.contains(CONFIG_PATH), "the environment is {environment}");
        config["process"]["terminal"] = Value::from(false);
        config["process"]["capabilities"] = json!({});
        config["root"]["readonly"] = Value::from(true);
        // Docker gives a new volume the owner that its folder has in the image; umoci mounts an empty one of root.
        let mounts = config["mounts"].as_array_mut().into_iter().flatten();
        let options: Vec<&mut Vec<Value>> = mounts
            .filter(|mount| mount["destination"] == format!("/{DATA}"))
            .filter_map(|mount| mount["options"].as_array_mut())
            .collect();
        ensure!(options.len() == 1, "expected one volume at /{DATA}, found {}", options.len());
        for options in options {
            options.extend([format!("uid={USER}"), format!("gid={USER}"), "mode=700".to_owned()].map(Value::from));
        }
        let edited = self.bundle.with_extension("json");
        fs::write(&edited, serde_json::to_vec(&config)?)?;
        output(as_root("cp").arg(&edited).arg(&path)).map(|_| ())
    }

    /// Returns the number of the first process, as this machine sees it.
    fn process(&self) -> Option<u32> {
        let state: Value = serde_json::from_str(&output(as_root("runc").args(["state", &self.id])).ok()?).ok()?;
        if state["status"] != "running" {
            return None;
        }
        state["pid"].as_u64()?.try_into().ok()
    }

    /// Removes what is left of the container.
    fn remove(&self) {
        let _ = output(as_root("runc").args(["delete", "--force", &self.id]));
        let _ = remove_as_root(&self.bundle);
    }
}
