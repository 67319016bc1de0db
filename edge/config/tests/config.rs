//! What people write, and what they are told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use wheeltapper_config::{Config, EXAMPLE, asset_of, parse};

fn told(text: &str) -> String {
    match parse(text, "wheeltapper.toml") {
        Ok(_) => "nothing".into(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn nothing_at_all_is_a_configuration() {
    assert_eq!(parse("", "x").unwrap(), Config::default());
}

#[test]
fn the_example_is_sound_and_says_the_defaults() {
    let example = parse(EXAMPLE, "example").unwrap();
    let default = Config::default();
    assert_eq!(example.http, default.http);
    assert_eq!(example.mqtt.broker, default.mqtt.broker);
    assert_eq!(example.log, default.log);
    assert_eq!(example.line, default.line);
    assert_eq!(example.windows, default.windows);
    assert_eq!(example.detect, default.detect);
    assert_eq!(example.schedule, default.schedule);
    assert_eq!(example.sensors().next().unwrap().id, "plant/hall-1/pump-7/temperature");
}

#[test]
fn a_typo_is_shown_with_what_was_meant() {
    assert_eq!(
        told("data = \"d\"\npartitons = 2\n"),
        "error: unknown key `partitons`\n --> wheeltapper.toml:2:1\n  |\n2 | partitons = 2\n  | ^^^^^^^^^\n  help: did you mean `partitions`?\n\n"
    );
}

#[test]
fn a_wrong_type_and_a_bad_duration_name_what_was_expected() {
    let text = told("[windows]\nsize = \"30 parsecs\"\n");
    assert!(text.contains("wheeltapper.toml:2:8") && text.contains("a duration such as \"30s\""), "{text}");
    let text = told("[log]\nsegment = \"many\"\n");
    assert!(text.contains("wheeltapper.toml:2:11") && text.contains("a size such as \"64 MiB\""), "{text}");
    let text = told("partitions = \"two\"\n");
    assert!(text.contains("wheeltapper.toml:1:14") && text.contains("expected u16"), "{text}");
}

#[test]
fn secrets_in_the_file_are_refused_with_advice() {
    let text = told("[[mqtt.broker.user]]\nname = \"a\"\npassword = \"hunter2\"\n");
    assert!(text.contains("password_env"), "{text}");
}

#[test]
fn all_errors_of_meaning_are_told_at_once() {
    let text = told(
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
        "\"monday\" is no day",
        "is no time of day",
        "criticality is 1",
        "min 5 is not below max 1",
        "the sensor s/a/m/t is there twice",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert_eq!(text.matches("error:").count(), 6, "{text}");
}

#[test]
fn alert_routes_are_checked() {
    let text = told(
        "[[alerts.route]]\nname = \"a\"\nwebhook = \"ftp://x\"\nseverity = \"huge\"\n[[alerts.route]]\nname = \"a\"\n",
    );
    for expected in
        ["the webhook is no URL", "no severity `huge`", "the route a is there twice", "webhook or webhook_env"]
    {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert_eq!(told("[[alerts.route]]\nname = \"a\"\nwebhook_env = \"HOOK\"\n"), "nothing");
}

#[test]
fn broken_toml_points_at_the_place() {
    let text = told("[http\nlisten = 1\n");
    assert!(text.contains("wheeltapper.toml:1:"), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let error = wheeltapper_config::load(std::path::Path::new("no/such/file.toml")).unwrap_err();
    assert!(error.to_string().contains("no/such/file.toml"), "{error}");
}

#[test]
fn unknown_sensors_belong_to_what_stands_before_the_last_slash() {
    assert_eq!(asset_of("site/area/pump/temperature"), "site/area/pump");
    assert_eq!(asset_of("lonely"), "lonely");
    assert_eq!(asset_of("/odd"), "/odd");
}

#[test]
fn the_stages_are_told_what_they_need() {
    let config = parse(EXAMPLE, "example").unwrap();
    let ingest: serde_json::Value = serde_json::from_str(&config.ingest_json()).unwrap();
    assert_eq!(ingest["sensors"]["plant/hall-1/pump-7/temperature"]["max"], 200.0);
    let schedule: serde_json::Value = serde_json::from_str(&config.schedule_json()).unwrap();
    assert_eq!(schedule["assets"]["plant/hall-1/pump-7"]["criticality"], 4);
    assert_eq!(config.alert_json(), "{}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = told(&text);
    }

    #[test]
    fn no_damage_to_the_example_makes_it_panic(at in 0..EXAMPLE.len(), with in "\\PC{0,3}", cut in 0usize..20) {
        if EXAMPLE.is_char_boundary(at) && EXAMPLE.is_char_boundary((at + cut).min(EXAMPLE.len())) {
            let mut text = EXAMPLE.to_owned();
            text.replace_range(at..(at + cut).min(EXAMPLE.len()), &with);
            let _ = told(&text);
        }
    }
}
