//! Parsing and validation of configurations, and the configurations of the stages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use wheeltapper_config::{Config, EXAMPLE, ListenOverride, asset_of, parse};

fn errors_of(text: &str) -> String {
    match parse(text, "wheeltapper.toml") {
        Ok(_) => "nothing".into(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn an_empty_file_is_the_default_configuration() {
    assert_eq!(parse("", "x").unwrap(), Config::default());
}

#[test]
fn the_example_is_valid_and_shows_the_defaults() {
    let example = parse(EXAMPLE, "example").unwrap();
    let default = Config::default();
    assert_eq!(example.http, default.http);
    assert_eq!(example.access, default.access);
    assert_eq!(example.mqtt.broker, default.mqtt.broker);
    assert_eq!(example.log, default.log);
    assert_eq!(example.line, default.line);
    assert_eq!(example.windows, default.windows);
    assert_eq!(example.detect, default.detect);
    assert_eq!(example.schedule, default.schedule);
    assert_eq!(example.sensors().next().unwrap().id, "plant/hall-1/pump-7/temperature");
}

#[test]
fn a_typo_is_reported_with_a_suggestion() {
    assert_eq!(
        errors_of("data = \"d\"\npartitons = 2\n"),
        "error: unknown key `partitons`\n --> wheeltapper.toml:2:1\n  |\n2 | partitons = 2\n  | ^^^^^^^^^\n  help: did you mean `partitions`?\n\n"
    );
}

#[test]
fn a_wrong_type_or_duration_is_reported_with_the_expected_one() {
    let text = errors_of("[windows]\nsize = \"30 parsecs\"\n");
    assert!(text.contains("wheeltapper.toml:2:8") && text.contains("a duration such as \"30s\""), "{text}");
    let text = errors_of("[log]\nsegment = \"many\"\n");
    assert!(text.contains("wheeltapper.toml:2:11") && text.contains("a size such as \"64 MiB\""), "{text}");
    let text = errors_of("partitions = \"two\"\n");
    assert!(
        text.contains("wheeltapper.toml:1:14") && text.contains("a whole number from 0 (one per core) to 1024"),
        "{text}"
    );
}

#[test]
fn secrets_in_the_file_are_rejected_with_help() {
    let text = errors_of("[[mqtt.broker.user]]\nname = \"a\"\npassword = \"hunter2\"\n");
    assert!(text.contains("password_env"), "{text}");
}

#[test]
fn all_validation_errors_are_reported_at_once() {
    let text = errors_of(
        r#"
[windows]
size = "10s"
slide = "30s"
[[technician]]
name = "Ada"
skills = []
shifts = [{ days = ["monday"], start = "6 o'clock", end = "14:00" }]
[[site]]
name = "s"
[[site.area]]
name = "a"
[[site.area.machine]]
name = "m"
criticality = 9
[[site.area.machine.sensor]]
name = "t"
limits = { min = 5.0, max = 1.0 }
[[site.area.machine.sensor]]
name = "t"
"#,
    );
    for expected in [
        "wheeltapper.toml:4:9",
        "\"monday\" is not a day",
        "is not a time of day",
        "criticality must be from 1",
        "min 5 is not below max 1",
        "the sensor s/a/m/t occurs twice",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert_eq!(text.matches("error:").count(), 6, "{text}");
}

#[test]
fn alert_routes_are_checked() {
    let text = errors_of(
        "[[alerts.route]]\nname = \"a\"\nwebhook = \"ftp://x\"\nseverity = \"huge\"\n[[alerts.route]]\nname = \"a\"\n",
    );
    for expected in
        ["the webhook is not a URL", "the severity `huge`", "the route a occurs twice", "webhook or webhook_env"]
    {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert_eq!(errors_of("[[alerts.route]]\nname = \"a\"\nwebhook_env = \"HOOK\"\n"), "nothing");
}

#[test]
fn errors_of_access_are_reported() {
    for (text, position, message) in [
        ("[access]\nmode = \"of\"\n", "2:8", "did you mean `off`?"),
        ("[access]\ntoken_lifetime = \"10s\"\n", "2:18", "at least 1 minute"),
        ("[access]\nrefresh_lifetime = \"1h\"\n", "2:20", "must not expire before a token"),
        ("[access]\ntoken_livetime = \"1h\"\n", "2:1", "did you mean `token_lifetime`?"),
        ("[access.limits]\ndetect = 0\n", "2:10", "rejects all requests"),
        ("[access.limits]\ningest = \"0\"\n", "2:10", "rejects all requests"),
        ("[access.audit]\nsyslog = \"tcp://siem:514\"\n", "2:10", "udp://host:514"),
        (
            "[[access.oidc]]\nissuer = \"id\"\naudience = \"w\"\njwks_file = \"f\"\n",
            "2:10",
            "exactly the value of the claim `iss`",
        ),
        (
            "[[access.oidc]]\nissuer = \"https://i\"\naudience = \"\"\njwks_file = \"f\"\n",
            "3:12",
            "audience must not be empty",
        ),
        ("[[access.oidc]]\nissuer = \"https://i\"\naudience = \"w\"\n", "2:10", "jwks_file or jwks_url"),
        (
            "[[access.oidc]]\nissuer = \"https://i\"\naudience = \"w\"\njwks_url = \"http://i/k\"\n",
            "4:12",
            "an attacker could replace the keys",
        ),
    ] {
        let errors = errors_of(text);
        assert!(
            errors.contains(&format!("wheeltapper.toml:{position}")) && errors.contains(message),
            "{text}\n{errors}"
        );
        assert_eq!(errors.matches("error:").count(), 1, "{errors}");
    }
    let twice = "[[access.oidc]]\nissuer = \"https://i\"\naudience = \"w\"\njwks_file = \"f\"\n".repeat(2);
    assert!(errors_of(&twice).contains("wheeltapper.toml:6:10"), "{}", errors_of(&twice));
}

#[test]
fn a_syntax_error_has_a_position() {
    let text = errors_of("[http\nlisten = 1\n");
    assert!(text.contains("wheeltapper.toml:1:"), "{text}");
}

#[test]
fn a_missing_file_is_reported_with_its_name() {
    let error =
        wheeltapper_config::load(std::path::Path::new("no/such/file.toml"), &ListenOverride::default()).unwrap_err();
    assert!(error.to_string().contains("no/such/file.toml"), "{error}");
}

#[test]
fn the_asset_of_an_unknown_sensor_is_its_id_up_to_the_last_slash() {
    assert_eq!(asset_of("site/area/pump/temperature"), "site/area/pump");
    assert_eq!(asset_of("lonely"), "lonely");
    assert_eq!(asset_of("/odd"), "/odd");
}

#[test]
fn the_stages_get_their_configuration() {
    let config = parse(EXAMPLE, "example").unwrap();
    let ingest: serde_json::Value = serde_json::from_str(&config.ingest_json()).unwrap();
    assert_eq!(ingest["sensors"]["plant/hall-1/pump-7/temperature"]["max"], 200.0);
    let schedule: serde_json::Value = serde_json::from_str(&config.schedule_json()).unwrap();
    assert_eq!(schedule["assets"]["plant/hall-1/pump-7"]["criticality"], 4);
    assert_eq!(config.alert_json(), "{}");
}

#[test]
fn errors_of_bearings_and_machines_are_reported() {
    let machine = |line: &str| {
        errors_of(&format!(
            "[[site]]\nname = \"s\"\n[[site.area]]\nname = \"a\"\n[[site.area.machine]]\nname = \"m\"\n{line}\n"
        ))
    };
    for (line, position, message) in [
        ("bearing = \"62O5\"", "7:11", "known bearings: 6203, 6204, 6205,"),
        (
            "bearing_geometry = { balls = 9, ball_diameter = 40, pitch_diameter = 39 }",
            "7:20",
            "fit on the pitch circle",
        ),
        ("bearing_geometry = { balls = 2, ball_diameter = 4, pitch_diameter = 39 }", "7:20", "3 rolling elements"),
        ("bearing_geometry = { balls = 9 }", "7:20", "`ball_diameter` is missing"),
        ("rated_rpm = 0", "7:13", "above 0"),
        ("teeth = 1", "7:9", "2 teeth or more"),
        ("iso_class = \"medium_rigged\"", "7:13", "did you mean `medium_rigid`?"),
    ] {
        let text = machine(line);
        assert!(text.contains(&format!("wheeltapper.toml:{position}")) && text.contains(message), "{line}:\n{text}");
    }
    for (line, message) in [
        ("above = { warn = 5, alarm = 4 }", "warn, alarm and danger of `above` must be finite and rise"),
        ("below = { alarm = 1, danger = 2 }", "warn, alarm and danger of `below` must be finite and fall"),
        ("above = { max = 5 }", "unknown"),
    ] {
        let text = machine(&format!("[[site.area.machine.sensor]]\nname = \"t\"\n{line}"));
        assert!(text.contains(message), "{line}:\n{text}");
    }
    let own = "bearing = \"own make\"\nbearing_geometry = { balls = 9, ball_diameter = 7.9, pitch_diameter = 39.0 }";
    for line in ["bearing = \"SKF 6205-2RS\"", own, "teeth = 23", "iso_class = \"small\"", "rated_rpm = 1475"] {
        assert_eq!(machine(line), "nothing", "{line}");
    }
}

#[test]
fn vibration_sensors_get_the_properties_of_their_machine() {
    let config = parse(EXAMPLE, "example").unwrap();
    let text = config.featurize_json();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sensor = |name: &str| &json["sensors"][format!("plant/hall-1/pump-7/{name}")];
    assert_eq!(
        *sensor("vibration"),
        serde_json::json!({
            "unit": "m/s2",
            "rpm": 1480.0,
            "speed_sensor": "plant/hall-1/pump-7/speed",
            "bearing": "6205",
            "iso_class": "medium_rigid",
        })
    );
    assert_eq!(*sensor("speed"), serde_json::json!({ "sampling_hz": 1.0, "unit": "rpm" }));
    assert_eq!(*sensor("temperature"), serde_json::json!({ "sampling_hz": 1.0 }));
    assert!(wheeltapper_featurize::Featurizer::open(&text).is_ok());
}

#[test]
fn alarm_limits_reach_detect() {
    let config = parse(EXAMPLE, "example").unwrap();
    let text = config.detect_json(&[]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let limits = |sensor: &str| json["sensors"][format!("plant/hall-1/pump-7/{sensor}")]["above"].clone();
    assert_eq!(limits("temperature"), serde_json::json!({ "warn": 80.0, "alarm": 95.0, "danger": 110.0 }));
    assert!(limits("vibration").is_null());
    assert!(wheeltapper_detect::Stage::open(&text).is_ok());
}

#[test]
fn the_plant_json_contains_the_configurations_of_all_stages() {
    let config = parse(EXAMPLE, "example").unwrap();
    let json: serde_json::Value = serde_json::from_str(&config.plant_json(&[])).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["alert", "assets", "detect", "featurize", "ingest", "schedule"]);
    let parsed = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    assert_eq!(json["ingest"], parsed(config.ingest_json()));
    assert_eq!(json["featurize"], parsed(config.featurize_json()));
    assert_eq!(json["detect"], parsed(config.detect_json(&[])));
    assert_eq!(json["alert"], parsed(config.alert_json()));
    assert_eq!(json["schedule"], parsed(config.schedule_json()));
    assert_eq!(json["assets"]["plant/hall-1/pump-7/vibration"], "plant/hall-1/pump-7");
}

proptest! {
    #[test]
    fn arbitrary_text_causes_no_panic(text in "\\PC{0,200}") {
        let _ = errors_of(&text);
    }

    #[test]
    fn a_damaged_example_causes_no_panic(at in 0..EXAMPLE.len(), with in "\\PC{0,3}", cut in 0usize..20) {
        if EXAMPLE.is_char_boundary(at) && EXAMPLE.is_char_boundary((at + cut).min(EXAMPLE.len())) {
            let mut text = EXAMPLE.to_owned();
            text.replace_range(at..(at + cut).min(EXAMPLE.len()), &with);
            let _ = errors_of(&text);
        }
    }
}
