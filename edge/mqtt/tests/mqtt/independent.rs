//! The broker with third-party clients: Eclipse Paho, mosquitto_pub and mosquitto_sub.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::common::*;
use wheeltapper_mqtt::{BrokerConfig, BrokerTls, BrokerUser};

const MISSING: &str = "run it by `cargo xtask test`, which installs mosquitto, mosquitto-clients and paho-mqtt 2";

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {MISSING}"))
}

fn paho(version: u8) {
    // A Python with Paho 2; Debian's package is version 1.
    let python = std::env::var_os("WHEELTAPPER_PYTHON").unwrap_or_else(|| "python3".into());
    let check = run(Command::new(&python).args(["-c", "from paho.mqtt.enums import CallbackAPIVersion"]));
    assert!(check.status.success(), "Paho is not installed: {MISSING}\n{}", String::from_utf8_lossy(&check.stderr));
    let sink = Recorder::storing();
    let broker = start(config(), sink.clone());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drive_paho.py");
    let output = run(Command::new(&python).arg(script).arg(broker.address.port().to_string()).arg(version.to_string()));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.lines().count(), 8, "{out}\n{err}");
    let many = sink.received().iter().filter(|publish| &*publish.topic == "many").count();
    assert_eq!(many, 900, "each message is stored once");
}

#[test]
fn paho_with_3_1_1() {
    paho(4);
}

#[test]
fn paho_with_5() {
    paho(5);
}

fn mosquitto(version: &str, port: u16, extra: &[&str]) {
    let common = ["-V", version, "-h", "localhost", "-p", &port.to_string()];
    for qos in ["0", "1", "2"] {
        // Without stdbuf its output is buffered until it ends.
        let mut subscriber = Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub"])
            .args(common)
            .args(extra)
            .args(["-t", "m/#", "-q", qos, "-C", "3", "-W", "20", "-F", "%t %p", "-d"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("mosquitto_sub: {error}; {MISSING}"));
        let mut lines = BufReader::new(subscriber.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.starts_with("Subscribed")), "mosquitto_sub did not subscribe");
        for payload in ["one", "two", "three"] {
            let publish = run(Command::new("mosquitto_pub")
                .args(common)
                .args(extra)
                .args(["-t", "m/x", "-q", qos, "-m", payload]));
            assert!(publish.status.success(), "{}", String::from_utf8_lossy(&publish.stderr));
        }
        let got: Vec<String> = lines.filter(|line| line.starts_with("m/x ")).collect();
        assert_eq!(got, ["m/x one", "m/x two", "m/x three"], "version {version} QoS {qos}");
        assert!(subscriber.wait().unwrap().success());
    }
}

#[test]
fn mosquitto_clients() {
    let broker = start(config(), Recorder::storing());
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        mosquitto(version, broker.address.port(), &[]);
    }
}

#[test]
fn mosquitto_clients_over_tls_with_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (cert, secret) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, key.cert.pem()).unwrap();
    std::fs::write(&secret, key.signing_key.serialize_pem()).unwrap();
    let tls = BrokerTls { listen: "127.0.0.1:0".into(), cert: cert.clone(), key: secret };
    let users = vec![BrokerUser { name: "ann".into(), password: "secret".into() }];
    let broker = start(BrokerConfig { tls: Some(tls), users, ..config() }, Recorder::storing());
    let cert = cert.to_str().unwrap();
    let port = broker.tls.unwrap().port();
    mosquitto("mqttv5", port, &["--cafile", cert, "-u", "ann", "-P", "secret"]);
    let rejected = run(Command::new("mosquitto_pub").args([
        "-h",
        "localhost",
        "-p",
        &port.to_string(),
        "--cafile",
        cert,
        "-u",
        "ann",
        "-P",
        "wrong",
        "-t",
        "a",
        "-m",
        "x",
        "-q",
        "1",
    ]));
    assert!(!rejected.status.success());
}
