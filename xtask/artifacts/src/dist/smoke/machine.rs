//! A throw-away copy of this machine: its root folder under an overlay in memory, booted with systemd in a container.
//!
//! The overlay is mounted in a namespace of its own. It disappears with the last process of the container, and this
//! machine is not changed. The services that are enabled here do not start, because the container boots to
//! `sysinit.target`.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

use super::{Running, as_root, client::Client, wait_for};
use crate::package::output;

/// Mounts the overlay and boots it. Arguments: a folder for the mounts; the folder that the container sees as /mnt;
/// options of systemd-nspawn.
const BOOT: &str = r#"
set -e
folder=$1 share=$2
shift 2
mkdir -p "$folder"
mount -t tmpfs -o mode=755 wheeltapper-smoke "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$folder/root"
# Images of containers forbid services with this file.
rm -f "$folder/root/usr/sbin/policy-rc.d"
exec systemd-nspawn --quiet --register=no --private-network --machine=wheeltapper-smoke --link-journal=no \
    --bind-ro="$share:/mnt" "$@" --directory="$folder/root" --boot -- --unit=sysinit.target
"#;

/// A running container.
pub(super) struct Machine {
    nspawn: Running,
    /// The number of its first process, as this machine sees it.
    init: u32,
}

impl Machine {
    /// Boots the copy. `share` is its folder /mnt; `folder` gets its console output.
    pub(super) fn boot(share: &Path, folder: &Path) -> anyhow::Result<Self> {
        ensure!(
            Path::new("/usr/bin/dpkg").exists() && Path::new("/lib/systemd/systemd").exists(),
            "the test of the Debian package needs Debian or Ubuntu with systemd; --no-smoke leaves it out"
        );
        let console = folder.join("machine.log");
        let mut command = as_root("unshare");
        command.args(["--mount", "--", "sh", "-c", BOOT, "boot"]).arg(folder.join("machine")).arg(share);
        // Without systemd on this machine nothing else manages the control groups.
        if !Path::new("/run/systemd/system").exists() {
            command.arg("--keep-unit");
        }
        let log = File::create(&console)?;
        command.stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        let mut nspawn = Running::spawn(&mut command)?;
        let parent = nspawn.0.id();
        let init = wait_for("the container", &mut nspawn.0, || find_init(parent))
            .with_context(|| format!("its output is {}", console.display()))?;
        let mut machine = Self { nspawn, init };
        machine.wait_until_booted().with_context(|| format!("its output is {}", console.display()))?;
        Ok(machine)
    }

    fn wait_until_booted(&mut self) -> anyhow::Result<()> {
        let init = self.init;
        wait_for("the boot", &mut self.nspawn.0, || {
            let state = inside(init).args(["systemctl", "is-active", "sysinit.target"]).output().ok()?;
            state.status.success().then_some(())
        })
    }

    /// Runs a command in the container; returns its output if it succeeds.
    pub(super) fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        output(inside(self.init).args(words))
    }

    /// Returns the exit code and the output of a command in the container.
    pub(super) fn try_run(&self, words: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
        let out = inside(self.init).args(words).output().context("starting nsenter")?;
        Ok((out.status.code(), String::from_utf8_lossy(&out.stdout).trim().to_owned()))
    }

    pub(super) fn exists(&self, path: &str) -> anyhow::Result<bool> {
        Ok(self.try_run(&["test", "-e", path])?.0 == Some(0))
    }

    /// Returns a client of the host in the container once it is ready.
    pub(super) fn ready_client(&mut self, address: &str) -> anyhow::Result<Client> {
        let client = Client::new(address).in_network_of(self.init);
        client.wait_until_ready(&mut self.nspawn.0)?;
        Ok(client)
    }

    /// Calls `check` until it returns a value.
    pub(super) fn wait_for<T>(
        &mut self,
        what: &str,
        mut check: impl FnMut(&dyn Fn(&[&str]) -> anyhow::Result<String>) -> Option<T>,
    ) -> anyhow::Result<T> {
        let init = self.init;
        let run = move |words: &[&str]| output(inside(init).args(words));
        wait_for(what, &mut self.nspawn.0, || check(&run))
    }
}

/// Returns a command that runs the words after it in the container.
fn inside(init: u32) -> Command {
    let mut command = as_root("nsenter");
    command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--target", &init.to_string()]);
    command.args([
        "--",
        "env",
        "-i",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL=C",
        "DEBIAN_FRONTEND=noninteractive",
    ]);
    command
}

/// Finds the first process of the container among the descendants of a process.
fn find_init(process: u32) -> Option<u32> {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    if name.trim() == "systemd" {
        return Some(process);
    }
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().filter_map(|child| child.parse().ok()).find_map(find_init)
}
