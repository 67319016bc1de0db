//! The test of the Debian package: its life on a machine with systemd, from installation to purge.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use super::{machine::Machine, passed};
use crate::{
    dist::{
        Program,
        deb::{CONFFILE, Deb},
    },
    package::{Commit, output},
    root,
};

/// The maximum exposure that `systemd-analyze security` may find, in tenths: 0 is the best and 100 the worst.
const MAX_EXPOSURE: u32 = 13;
const CONFIG: &str = "/etc/wheeltapper/wheeltapper.toml";
const DATA: &str = "/var/lib/wheeltapper";
const SERVICE: &str = "wheeltapper.service";
/// The address in the package's configuration.
const ADDRESS: &str = "127.0.0.1:8080";
/// A line that an administrator adds to the configuration.
const EDIT: &str = "# edited on this machine";

/// Builds the next version of the package, whose configuration is also different.
pub(super) fn upgrade(program: &Program, commit: &Commit, maintainer: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("upgrade.deb");
    let version = format!("{}+upgrade", commit.version);
    let conffile = format!("{CONFFILE}\n# of the next version\n");
    let tree = folder.join("upgrade");
    fs::create_dir_all(&tree)?;
    Deb { program, commit, version: &version, maintainer, conffile: &conffile }.write(&tree, &path)?;
    fs::remove_dir_all(&tree)?;
    Ok(path)
}

/// Installs, upgrades, removes and purges the package.
pub(super) fn test(deb: &Path, upgrade: &Path, folder: &Path) -> anyhow::Result<()> {
    check_unit()?;
    let share = folder.join("packages");
    fs::create_dir_all(&share)?;
    fs::copy(deb, share.join("first.deb"))?;
    fs::copy(upgrade, share.join("second.deb"))?;
    let mut machine = Machine::boot(&share, folder)?;
    // If this machine has the package already, the copy starts without it.
    machine.try_run(&["dpkg", "--purge", "wheeltapper"])?;
    let before = files(&machine)?;

    machine.run(&["dpkg", "--install", "/mnt/first.deb"])?;
    check_service(&mut machine)?;
    let client = machine.ready_client(ADDRESS)?;
    let sent = client.send_reading()?;
    client.expect_reading(&sent)?;
    passed("installed: /ready, a reading over HTTP, and the same reading back");
    check_reload(&mut machine)?;

    let old = main_process(&machine)?;
    machine.run(&["dpkg", "--force-confold", "--install", "/mnt/second.deb"])?;
    ensure!(main_process(&machine)? != old, "the upgrade did not restart the service");
    let version = machine.run(&["dpkg-query", "--show", "--showformat=${Version}", "wheeltapper"])?;
    ensure!(version.ends_with("+upgrade"), "the version after the upgrade is {version}");
    machine.ready_client(ADDRESS)?.expect_reading(&sent)?;
    ensure!(machine.run(&["cat", CONFIG])?.contains(EDIT), "the upgrade replaced the edited configuration");
    passed("upgraded: restarted, the readings and the edited configuration are kept");
    check_restarts(&mut machine)?;

    machine.run(&["dpkg", "--remove", "wheeltapper"])?;
    for (path, expected) in [(CONFIG, true), (DATA, true), ("/usr/bin/wheeltapper", false)] {
        ensure!(machine.exists(path)? == expected, "after remove: expected that {path} exists: {expected}");
    }
    ensure!(machine.try_run(&["pidof", "wheeltapper"])?.0 == Some(1), "after remove: the service still runs");
    passed("removed: stopped, only the configuration and the data are left");
    machine.run(&["dpkg", "--install", "/mnt/second.deb"])?;
    machine.ready_client(ADDRESS)?.expect_reading(&sent)?;
    passed("installed again: the readings are there");

    machine.run(&["dpkg", "--purge", "wheeltapper"])?;
    let after = files(&machine)?;
    let left: Vec<_> = after.difference(&before).collect();
    ensure!(left.is_empty(), "after purge, these files are left: {left:?}");
    ensure!(machine.try_run(&["id", "wheeltapper"])?.0 != Some(0), "after purge, the user is left");
    passed("purged: no file and no user is left");
    Ok(())
}

/// Checks the unit without a running systemd.
fn check_unit() -> anyhow::Result<()> {
    let unit = root().join("infra/systemd").join(SERVICE);
    let threshold = format!("--threshold={MAX_EXPOSURE}");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", &threshold]).arg(&unit);
    let text = output(&mut analyze).context("systemd-analyze finds the unit more exposed than before")?;
    passed(text.lines().last().unwrap_or_default().trim_start_matches(['→', ' ']));
    Ok(())
}

/// Checks that the service runs as its own user and within its sandbox.
fn check_service(machine: &mut Machine) -> anyhow::Result<()> {
    let state = machine.run(&["systemctl", "is-active", SERVICE])?;
    let enabled = machine.run(&["systemctl", "is-enabled", SERVICE])?;
    ensure!((state.as_str(), enabled.as_str()) == ("active", "enabled"), "the service is {state} and {enabled}");
    let process = main_process(machine)?;
    let user = machine.run(&["stat", "--format=%U", &format!("/proc/{process}")])?;
    ensure!(user == "wheeltapper", "the service runs as {user}");
    let status = machine.run(&["cat", &format!("/proc/{process}/status")])?;
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"] {
        ensure!(status.contains(line), "expected {line:?} in the status of the process:\n{status}");
    }
    let owner = machine.run(&["stat", "--format=%U %a", DATA])?;
    ensure!(owner == "wheeltapper 700", "owner and mode of {DATA} are {owner}");
    machine.run(&["systemd-analyze", "verify", SERVICE])?;
    machine.run(&["systemd-analyze", "security", &format!("--threshold={MAX_EXPOSURE}"), SERVICE])?;
    passed("installed: runs as the user wheeltapper, without capabilities, with a filter of system calls");
    Ok(())
}

/// Edits the configuration and checks that the service reads it again.
fn check_reload(machine: &mut Machine) -> anyhow::Result<()> {
    machine.run(&["sh", "-c", &format!("echo '{EDIT}' >> {CONFIG}")])?;
    machine.run(&["systemctl", "reload", SERVICE])?;
    machine.wait_for("the journal to report the reload", |run| {
        let journal = run(&["journalctl", "--unit", SERVICE, "--output=cat"]).ok()?;
        journal.contains("the configuration was reloaded").then_some(())
    })?;
    passed("reload reads the configuration again, and the journal says so");
    Ok(())
}

/// Checks that a killed service starts again, and that one with an invalid configuration does not.
fn check_restarts(machine: &mut Machine) -> anyhow::Result<()> {
    let killed = main_process(machine)?;
    machine.run(&["systemctl", "kill", "--signal=KILL", SERVICE])?;
    machine.wait_for("the restart", |run| {
        let process = run(&["systemctl", "show", "--property=MainPID", "--value", SERVICE]).ok()?;
        (process != "0" && process != killed).then_some(())
    })?;
    machine.ready_client(ADDRESS)?;

    machine.run(&["cp", CONFIG, "/run/wheeltapper.toml"])?;
    machine.run(&["sh", "-c", &format!("echo 'nonsense = 1' >> {CONFIG}")])?;
    machine.try_run(&["systemctl", "restart", SERVICE])?;
    let properties = machine.wait_for("the failure", |run| {
        let properties = ["--property=ActiveState,NRestarts,ExecMainStatus", SERVICE];
        let text = run(&[&["systemctl", "show"], properties.as_slice()].concat()).ok()?;
        text.contains("ActiveState=failed").then_some(text)
    })?;
    for expected in ["NRestarts=0", "ExecMainStatus=2"] {
        ensure!(properties.contains(expected), "expected {expected} after an invalid configuration: {properties}");
    }
    machine.run(&["cp", "/run/wheeltapper.toml", CONFIG])?;
    machine.run(&["systemctl", "start", SERVICE])?;
    machine.ready_client(ADDRESS)?;
    passed("starts again after a crash; does not after an invalid configuration (exit code 2)");
    Ok(())
}

fn main_process(machine: &Machine) -> anyhow::Result<String> {
    let process = machine.run(&["systemctl", "show", "--property=MainPID", "--value", SERVICE])?;
    ensure!(process != "0", "the service has no process");
    Ok(process)
}

/// Returns the files of the system, without those that tools write at any time.
fn files(machine: &Machine) -> anyhow::Result<BTreeSet<String>> {
    let find = ["find", "/etc", "/usr", "/var", "/lib", "-xdev", "-not", "-path", "/var/log/*"];
    let caches = ["-not", "-path", "/var/cache/*", "-not", "-path", "/var/lib/dpkg/*", "-not", "-path", "/var/tmp/*"];
    let text = machine.run(&[find.as_slice(), &caches].concat())?;
    // Copies that the tools for users make.
    let is_backup = |line: &&str| line.starts_with("/etc/") && line.ends_with('-');
    Ok(text.lines().filter(|line| !is_backup(line)).map(str::to_owned).collect())
}
