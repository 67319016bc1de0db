//! The way of a new administrator through a running host, in a real browser: from the one-time password to the pinned repair.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use wheeltapper_tests::{Plant, binary, wait_until};

const SOON: Duration = Duration::from_secs(240);

/// Sensors' own parts of the configuration come from the simulator.
const CONFIG: &str = "[line]\ncheckpoint = \"2s\"\n[access]\nmode = \"on\"\n";

#[test]
fn from_the_first_sign_in_to_the_pinned_repair() {
    let (Some(pages), Some(_)) = (std::env::var_os("WHEELTAPPER_PAGES"), std::env::var_os("WHEELTAPPER_CHROMIUM"))
    else {
        eprintln!("left out, as there is no browser; `cargo xtask test` installs one (needs Node.js)");
        return;
    };
    let plant = Plant::new("").unwrap();
    let file = plant.path().join("wheeltapper.toml");
    let fleet = ["simulate", "--machines", "12", "--seed", "7", "--faulty", "0.5"];
    let written = Command::new(binary().unwrap()).args(fleet).arg("--write-config").arg(&file).output().unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let fleet_config = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{CONFIG}{fleet_config}")).unwrap();
    let host = plant.start().unwrap();
    let once = one_time_password(&fs::read_to_string(plant.path().join("host.log")).unwrap());

    let made = plant.output(&["key", "add", "simulator", "--scope", "ingest"]).unwrap();
    // Two hours in which faults grow, and then the present, so that pages have something to follow.
    let mut load = plant
        .command()
        .unwrap()
        .args(fleet)
        .args(["--to", &format!("mqtt://{}", host.mqtt), "--backfill", "2h", "--speed", "120"])
        .args(["--onset", "20m", "--degrade", "2h"])
        .env("WHEELTAPPER_API_KEY", made.trim())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut machine = String::new();
    wait_until("a bearing's fault that is named, with a repair", SOON, || {
        let found = plant.query(&["anomalies", "--limit", "5000"])?;
        let bearing = found.iter().find(|row| {
            row["fault_mode"].as_str().is_some_and(|mode| mode.starts_with("bearing-") && mode.ends_with("-race"))
        });
        machine = bearing.and_then(|row| row["asset"].as_str()).unwrap_or_default().to_owned();
        Ok(!machine.is_empty() && plant.counts()?["work_orders"].as_u64() >= Some(2))
    })
    .unwrap();

    let shots = Path::new(&pages).join("journey");
    let journey = Command::new("node")
        .arg("tests/journey.mjs")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard"))
        .env("WHEELTAPPER_URL", format!("http://{}", host.http))
        .env("WHEELTAPPER_PASSWORD", once)
        .env("WHEELTAPPER_MACHINE", &machine)
        .env("WHEELTAPPER_SHOTS", &shots)
        .output();
    let _ = load.kill();
    let _ = load.wait();
    let journey = journey.unwrap();
    let told = String::from_utf8_lossy(&journey.stdout).into_owned();
    assert!(journey.status.success(), "{told}\n{}", String::from_utf8_lossy(&journey.stderr));
    // What was done in the browser is in the store, under the name of who did it.
    let actions = plant.query(&["sql", "SELECT action, actor FROM actions"]).unwrap();
    let has = |action: &str| actions.iter().any(|row: &Value| row["action"] == action && row["actor"] == "admin");
    assert!(has("acknowledge") && has("order-repair") && has("amend"), "{actions:?}");
    host.stop().unwrap();
}

/// What the first start printed, once.
fn one_time_password(log: &str) -> String {
    let mut after = log.lines().skip_while(|line| !line.contains("one-time password")).skip(1);
    let word = after.find(|line| !line.trim().is_empty()).unwrap_or_else(|| panic!("no password in {log}"));
    word.trim().to_owned()
}
