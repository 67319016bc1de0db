//! Starts each package as its users do: the program on its own, the Debian package under systemd in a throw-away copy of
//! this machine, the image in runc.

mod client;
mod deb;
mod image;
mod machine;
mod program;

use std::{
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use super::{Packages, Program, empty_folder, phase};
use crate::{
    package::{Commit, output},
    setup,
};

/// How long a host may take to start or to stop. It compiles its components at the first start, which takes a minute on
/// a busy machine.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Programs of the tests, and the Debian packages that contain them.
const PROGRAMS: [(&str, &str); 6] = [
    ("curl", "curl"),
    ("nsenter", "util-linux"),
    ("runc", "runc"),
    ("systemd-analyze", "systemd"),
    ("systemd-nspawn", "systemd-container"),
    ("umoci", "umoci"),
];

/// Starts each of the packages; fails if one does not work.
pub(super) fn run(packages: &Packages, program: &Program, commit: &Commit, maintainer: &str) -> anyhow::Result<()> {
    ensure!(
        is_root() || setup::is_installed("sudo"),
        "the tests of the packages need root or sudo; --no-smoke leaves them out"
    );
    setup::packages_of(&PROGRAMS)?;
    let folder = empty_folder("dist-smoke")?;
    phase("test the program");
    program::test(&packages.program, &commit.version, &folder)?;
    phase("test the Debian package");
    let upgrade = deb::upgrade(program, commit, maintainer, &folder)?;
    deb::test(&packages.deb, &upgrade, &folder)?;
    phase("test the image");
    image::test(&packages.image, &commit.version, &folder)
}

/// Prints what was checked.
fn passed(text: &str) {
    eprintln!("  ok: {text}");
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|user| user == "0")
}

/// Returns a command that runs as root.
fn as_root(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}

/// Removes a folder in which root wrote.
fn remove_as_root(folder: &Path) -> anyhow::Result<()> {
    output(as_root("rm").arg("-rf").arg(folder)).map(|_| ())
}

/// Calls `check` until it returns a value; fails after [`TIMEOUT`], or if a child process exits first.
fn wait_for<T>(what: &str, child: &mut Child, mut check: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = check() {
            return Ok(value);
        }
        if let Some(status) = child.try_wait().context("waiting for a program")? {
            bail!("waiting for {what}: the program exited ({status})");
        }
        ensure!(started.elapsed() < TIMEOUT, "waiting for {what}: nothing within {TIMEOUT:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// A child process that is killed when this value is dropped.
struct Running(Child);

impl Running {
    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        Ok(Self(command.spawn().with_context(|| format!("starting {command:?}"))?))
    }

    /// Waits until the process exits with success.
    fn wait_for_success(&mut self, what: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < TIMEOUT {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "{what}: it exited with {status}");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("{what}: it did not exit within {TIMEOUT:?}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // sudo passes SIGTERM on, unlike SIGKILL; systemd-nspawn and runc stop what they run.
            let _ = output(as_root("kill").arg(self.0.id().to_string()));
            let _ = self.0.wait();
        }
    }
}
