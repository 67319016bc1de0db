//! Simulates a new administrator of a running host in a real browser, from the one-time password to a pinned work
//! order.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use wheeltapper_tests::{TestHost, binary, wait_until};

const TIMEOUT: Duration = Duration::from_secs(240);

/// The simulator adds the sensors to this configuration.
const CONFIG: &str = "[line]\ncheckpoint = \"2s\"\n[access]\nmode = \"on\"\n";

#[test]
fn an_administrator_signs_in_and_pins_a_work_order() {
    let (Some(pages), Some(_)) = (std::env::var_os("WHEELTAPPER_PAGES"), std::env::var_os("WHEELTAPPER_CHROMIUM"))
    else {
        eprintln!("skipped: no browser; `cargo xtask test` installs one (requires Node.js)");
        return;
    };
    let test_host = TestHost::new("").unwrap();
    let file = test_host.path().join("wheeltapper.toml");
    let fleet = ["simulate", "--machines", "12", "--seed", "7", "--faulty", "0.5"];
    let written = Command::new(binary().unwrap()).args(fleet).arg("--write-config").arg(&file).output().unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let fleet_config = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{CONFIG}{fleet_config}")).unwrap();
    let host = test_host.start().unwrap();
    let password = one_time_password(&fs::read_to_string(test_host.path().join("host.log")).unwrap());

    let key = test_host.output(&["key", "add", "simulator", "--scope", "ingest"]).unwrap();
    // Two hours of history with growing faults, then live data for the pages that update.
    let mut load = test_host
        .command()
        .unwrap()
        .args(fleet)
        .args(["--to", &format!("mqtt://{}", host.mqtt), "--backfill", "2h", "--speed", "120"])
        .args(["--onset", "20m", "--degrade", "2h"])
        .env("WHEELTAPPER_API_KEY", key.trim())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut machine = String::new();
    wait_until("a classified bearing fault with a work order", TIMEOUT, || {
        let anomalies = test_host.query(&["anomalies", "--limit", "5000"])?;
        let bearing = anomalies.iter().find(|row| {
            row["fault_mode"].as_str().is_some_and(|mode| mode.starts_with("bearing-") && mode.ends_with("-race"))
        });
        machine = bearing.and_then(|row| row["asset"].as_str()).unwrap_or_default().to_owned();
        Ok(!machine.is_empty() && test_host.counts()?["work_orders"].as_u64() >= Some(2))
    })
    .unwrap();

    let shots = Path::new(&pages).join("journey");
    let journey = Command::new("node")
        .arg("tests/journey.mjs")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard"))
        .env("WHEELTAPPER_URL", format!("http://{}", host.http))
        .env("WHEELTAPPER_PASSWORD", password)
        .env("WHEELTAPPER_MACHINE", &machine)
        .env("WHEELTAPPER_SHOTS", &shots)
        .output();
    let _ = load.kill();
    let _ = load.wait();
    let journey = journey.unwrap();
    let output = String::from_utf8_lossy(&journey.stdout).into_owned();
    assert!(journey.status.success(), "{output}\n{}", String::from_utf8_lossy(&journey.stderr));
    // The store contains the actions of the browser with the name of the user.
    let actions = test_host.query(&["sql", "SELECT action, actor FROM actions"]).unwrap();
    let has = |action: &str| actions.iter().any(|row: &Value| row["action"] == action && row["actor"] == "admin");
    assert!(has("acknowledge") && has("order-repair") && has("amend"), "{actions:?}");
    host.stop().unwrap();
}

/// The one-time password from the log of the first start.
fn one_time_password(log: &str) -> String {
    let mut after = log.lines().skip_while(|line| !line.contains("one-time password")).skip(1);
    let word = after.find(|line| !line.trim().is_empty()).unwrap_or_else(|| panic!("no password in {log}"));
    word.trim().to_owned()
}
