//! The test of the program on its own.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Running, client::Client, passed, wait_for};
use crate::package::output;

/// Starts the program with an empty environment and an empty data folder, sends a reading, stops it, and starts it again.
pub(super) fn test(program: &Path, version: &str, folder: &Path) -> anyhow::Result<()> {
    // ldd exits with 1 for a program without libraries, on some systems.
    let ldd = Command::new("ldd").arg(program).output().context("starting ldd")?;
    let text = [ldd.stdout, ldd.stderr].concat();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    ensure!(
        text.contains("statically linked") || text.contains("not a dynamic executable"),
        "expected a static program, but ldd says {text:?}"
    );
    passed(&format!("ldd: {text}"));
    let printed = output(Command::new(program).arg("--version"))?;
    ensure!(printed == format!("wheeltapper {version}"), "expected version {version}, but it prints {printed:?}");

    let (mut host, client) = start(program, folder)?;
    let sent = client.send_reading()?;
    client.expect_reading(&sent)?;
    passed("/ready, a reading over HTTP, and the same reading back");
    stop(&mut host)?;
    passed("it stops on SIGTERM with exit code 0");
    let (mut host, client) = start(program, folder)?;
    client.expect_reading(&sent)?;
    passed("after a restart the reading is still there");
    stop(&mut host)
}

fn start(program: &Path, folder: &Path) -> anyhow::Result<(Running, Client)> {
    let (ready, log) = (folder.join("program-ready.json"), folder.join("program.log"));
    if ready.exists() {
        fs::remove_file(&ready)?;
    }
    let mut command = Command::new(program);
    command.env_clear().current_dir(folder).arg("--data").arg(folder.join("program-data"));
    command.args(["run", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-file"]).arg(&ready);
    command.stdout(File::create(folder.join("program.out"))?).stderr(File::create(&log)?);
    let mut host = Running::spawn(&mut command)?;
    let addresses = wait_for("the addresses", &mut host.0, || {
        serde_json::from_str::<Value>(&fs::read_to_string(&ready).ok()?).ok()
    });
    let addresses = addresses.with_context(|| format!("its log is {}", log.display()))?;
    let client = Client::new(addresses["http"].as_str().context("the ready file has no `http`")?);
    client.wait_until_ready(&mut host.0)?;
    Ok((host, client))
}

fn stop(host: &mut Running) -> anyhow::Result<()> {
    output(Command::new("kill").arg(host.0.id().to_string()))?;
    host.wait_for_success("after SIGTERM")
}
