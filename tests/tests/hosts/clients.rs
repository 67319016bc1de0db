//! Tests the API of a running host with independent clients: schemathesis checks it against its OpenAPI document,
//! openapi-python-client generates a client from the document, and a GraphQL client reads the schema by introspection.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost, wait_until};

const CONFIG: &str = "[line]\ncheckpoint = \"200ms\"\n[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n[access]\nmode = \"off\"\n\
    [[technician]]\nname = \"Ada\"\nskills = [\"mechanic\", \"vibration-analyst\", \"instrumentation\"]\n";

/// Starts a host with a machine that was healthy and then failed: readings, anomalies, an alert and a work order.
fn start_host() -> (TestHost, RunningHost) {
    let test_host = TestHost::new(CONFIG).unwrap();
    let host = test_host.start().unwrap();
    let mut body = String::new();
    for second in 0..500_i64 {
        let noise = f64::from(u32::try_from((second * 7919) % 101).unwrap()) / 101.0;
        let value = 10.0 + noise + if second >= 400 { 30.0 } else { 0.0 };
        let time = T0 + second * SECOND;
        body.push_str(&format!(
            "{{\"sensor_id\":\"plant/hall/pump-7/heat\",\"timestamp\":{time},\"values\":{value}}}\n"
        ));
    }
    body.push_str("no reading\n");
    assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
    wait_until("a work order", Duration::from_secs(60), || Ok(test_host.counts()?["work_orders"] == 1)).unwrap();
    (test_host, host)
}

/// The Python interpreter of the environment that `cargo xtask test` creates.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("WHEELTAPPER_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: `cargo xtask test` installs the clients");
    }
    python
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// `PATH` with the folder of the interpreter first: the client generator runs a formatter from that folder.
fn path_with(python: &Path) -> std::ffi::OsString {
    let own = python.parent().map(Path::to_owned).into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(own.chain(std::env::split_paths(&path))).unwrap()
}

fn output_text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_api_conforms_to_its_openapi_document() {
    let Some(python) = python() else { return };
    let (_test_host, host) = start_host();
    let run = Command::new(python.with_file_name("schemathesis"))
        .arg("--config-file")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../components/api/schemathesis.toml"))
        .args(["run", &format!("http://{}/api/openapi.json", host.http)])
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1"])
        .args(["--exclude-path-regex", "stream$|^/ws/", "--request-timeout", "20", "--suppress-health-check", "all"])
        .arg("--no-color")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", output_text(&run));
    assert_eq!(host.get("/ready").unwrap().0, 200);
    host.stop().unwrap();
}

#[test]
fn a_client_generated_from_the_document_works() {
    let Some(python) = python() else { return };
    let (test_host, host) = start_host();
    let (status, document) = host.get("/api/openapi.json").unwrap();
    assert_eq!(status, 200);
    let file = test_host.path().join("openapi.json");
    fs::write(&file, document).unwrap();
    let generated = Command::new(python.with_file_name("openapi-python-client"))
        .args(["generate", "--meta", "none", "--overwrite", "--output-path"])
        .arg(test_host.path().join("api_client"))
        .arg("--path")
        .arg(&file)
        .env("PATH", path_with(&python))
        .output()
        .unwrap();
    assert!(generated.status.success(), "{}", output_text(&generated));
    let run = Command::new(&python)
        .arg(script("generated.py"))
        .arg(format!("http://{}", host.http))
        .env("PYTHONPATH", test_host.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", output_text(&run));
    // The store contains the client's action.
    let actions = test_host.query(&["sql", "SELECT action FROM actions"]).unwrap();
    assert!(actions.iter().any(|row| row["action"] == "acknowledge"), "{actions:?}");
    host.stop().unwrap();
}

#[test]
fn a_graphql_client_that_uses_introspection_works() {
    let Some(python) = python() else { return };
    let (_test_host, host) = start_host();
    let run =
        Command::new(&python).arg(script("graphql_client.py")).arg(format!("http://{}/graphql", host.http)).output();
    let run = run.unwrap();
    assert!(run.status.success(), "{}", output_text(&run));
    let answer: Value = serde_json::from_slice(&run.stdout).unwrap();
    for query in ["alerts", "anomalies", "assets", "sensors", "workOrders"] {
        assert!(answer["queries"].as_array().unwrap().iter().any(|name| name == query), "{query}: {answer}");
        assert!(answer["answers"][query].to_string().contains("pump-7"), "{query}: {answer}");
    }
    assert!(answer["mutations"].to_string().contains("acknowledgeAnomaly"), "{answer}");
    host.stop().unwrap();
}
