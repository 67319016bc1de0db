//! Checks of environment variables and files on this computer, and plausibility warnings.

use std::fs;

use wheeltapper_config::{EXAMPLE, ListenOverride, check_environment, load, parse, warnings};

fn environment_problems(text: &str) -> String {
    check_environment(&parse(text, "x").unwrap()).iter().map(ToString::to_string).collect()
}

fn plausibility_warnings(text: &str) -> String {
    warnings(&parse(text, "x").unwrap()).iter().map(ToString::to_string).collect()
}

#[test]
fn existing_files_and_variables_cause_no_problem() {
    assert_eq!(environment_problems(""), "");
    assert_eq!(environment_problems(EXAMPLE), "");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let secret = write("secret", "hunter2\n");
    let cert = write("cert.pem", "-----BEGIN CERTIFICATE-----\n");
    let key = write("key.pem", "-----BEGIN RSA PRIVATE KEY-----\n");
    // Cargo sets the variable CARGO_MANIFEST_DIR.
    let text = format!(
        "[http]\ntls = {{ cert = {cert:?}, key = {key:?} }}\n[[http.source]]\nname = \"a\"\nsecret_file = {secret:?}\n\
         [[http.source]]\nname = \"b\"\nsecret_env = \"CARGO_MANIFEST_DIR\"\n"
    );
    assert_eq!(environment_problems(&text), "");
}

#[test]
fn missing_files_and_variables_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    fs::write(folder.path().join("partitions"), "4\n").unwrap();
    let data = folder.path().to_str().unwrap();
    let text = format!(
        r#"
partitions = 2
data = "{data}"
[[http.source]]
name = "gateway"
secret_env = "WHEELTAPPER_TEST_NOT_SET"
[[http.source]]
name = "erp"
secret_file = "{data}/empty"
[http.tls]
cert = "{data}/empty"
key = "{data}/none.pem"
[[mqtt.broker.user]]
name = "plc"
password_file = "{data}/none"
[[mqtt.client]]
url = "mqtts://broker"
topics = ["a"]
ca_file = "{data}/none"
[[nats]]
url = "nats://server"
stream = "s"
token_env = "WHEELTAPPER_TEST_NOT_SET"
[[alerts.route]]
name = "on-call"
webhook_env = "CARGO_MANIFEST_DIR"
[line.components]
detect = "{data}/none.wasm"
[[access.oidc]]
issuer = "https://id"
audience = "w"
jwks_file = "{data}/none.json"
"#
    );
    insta::assert_snapshot!(environment_problems(&text).replace(data, "DATA"));
}

/// None of these files exists in the working directory of the tests.
#[test]
fn paths_are_relative_to_the_configuration_file() {
    let folder = tempfile::tempdir().unwrap();
    let runs = ["\"secret\""; 10].join(", ");
    let text = &format!(
        r#"
data = "d"
[http]
tls = {{ cert = "cert.pem", key = "key.pem" }}
[[http.source]]
name = "erp"
secret_file = "secret"
[mqtt.broker]
tls_listen = "0.0.0.0:8883"
tls = {{ cert = "cert.pem", key = "key.pem" }}
[[mqtt.broker.user]]
name = "plc"
password_file = "secret"
[[mqtt.client]]
url = "mqtts://broker"
topics = ["a"]
user = "u"
password_file = "secret"
ca_file = "cert.pem"
[[nats]]
url = "nats://server"
stream = "s"
creds_file = "secret"
[line.components]
detect = "secret"
[detect.run_to_failure]
sensors = ["a"]
files = [{runs}]
horizon_windows = 10.0
[[access.oidc]]
issuer = "https://id"
audience = "w"
jwks_file = "secret"
"#
    );
    for (name, text) in [
        ("wheeltapper.toml", text.as_str()),
        ("secret", "hunter2"),
        ("cert.pem", "-----BEGIN CERTIFICATE-----"),
        ("key.pem", "-----BEGIN PRIVATE KEY-----"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let config = load(&folder.path().join("wheeltapper.toml"), &ListenOverride::default()).unwrap();
    let problems: String = check_environment(&config).iter().map(ToString::to_string).collect();
    assert_eq!(problems, "");
    assert_eq!(config.data, folder.path().join("d"));
    // Every path in the configuration was resolved and checked.
    assert_eq!(format!("{config:?}").matches(folder.path().to_str().unwrap()).count(), 22);
    assert_eq!(check_environment(&parse(text, "x").unwrap()).len(), 21);
}

#[test]
fn a_disabled_broker_needs_no_secrets() {
    let off = "[mqtt.broker]\nenabled = false\n[[mqtt.broker.user]]\nname = \"a\"\npassword_file = \"/none\"\n";
    assert_eq!(environment_problems(off), "");
}

#[test]
fn implausible_settings_are_warned_about() {
    assert_eq!(plausibility_warnings(""), "");
    let text = r#"
unknown_sensors = "reject"
[mqtt.broker]
listen = "0.0.0.0:1883"
ingest = ["plant/#", "wheeltapper/#"]
[[alerts.route]]
name = "on-call"
sites = ["plnat"]
webhook_env = "HOOK"
[[technician]]
name = "Ada"
skills = ["mechnic", "instrumentation", "painter"]
[[site]]
name = "plant"
[[site.area]]
name = "hall"
[[site.area.machine]]
name = "pump"
[[site.area.machine.sensor]]
name = "a"
kind = "vibraton"
[[site.area.machine.sensor]]
name = "b"
kind = "speed"
unit = "km/h"
[[site.area.machine.sensor]]
name = "c"
kind = "vibration"
unit = "volt"
[[site.area.machine.sensor]]
name = "d"
kind = "humidity"
sampling_hz = 10000001.0
"#;
    insta::assert_snapshot!(plausibility_warnings(text));
    let fastest = text.replace("10000001.0", "10000000.0");
    assert!(!plausibility_warnings(&fastest).contains("pump/d"), "{}", plausibility_warnings(&fastest));
    let closed = "unknown_sensors = \"reject\"\n[mqtt.broker]\nanonymous = false\n";
    assert!(
        plausibility_warnings(closed).contains("every reading becomes a dead letter"),
        "{}",
        plausibility_warnings(closed)
    );
    assert!(plausibility_warnings(closed).contains("no client can connect"), "{}", plausibility_warnings(closed));
}

/// Compares the known skills with the built-in jobs of the schedule stage.
#[test]
fn the_known_skills_are_those_of_the_built_in_jobs() {
    let source = include_str!("../../../../components/schedule/src/catalogue.rs");
    let built_in = source.split("fn built_in").nth(1).unwrap().split("fn check").next().unwrap();
    for skill in ["mechanic", "vibration-analyst", "electrician", "instrumentation"] {
        assert!(built_in.contains(&format!("{skill:?}")), "no job requires {skill}");
    }
    let required = built_in.split("job(").skip(1).filter_map(|job| job.split('"').nth(3));
    let missing = plausibility_warnings("[[technician]]\nname = \"A\"\nskills = [\"x\"]\n");
    for skill in required.filter(|skill| !skill.is_empty()) {
        assert!(missing.contains(skill), "{skill} is not known");
    }
}
