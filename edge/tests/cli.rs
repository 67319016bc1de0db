//! The command line's manners: help that teaches, exit codes that scripts can rely on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn wheeltapper(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_wheeltapper")).args(arguments).current_dir(folder.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_says_what_to_do_first() {
    let out = wheeltapper(&["--help"]);
    assert_eq!(out.status.code(), Some(0));
    let help = text(&out.stdout);
    for word in ["wheeltapper run", "/api/v1/ingest", "simulate", "replay", "dlq", "backup", "completions"] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    for command in [
        "run",
        "replay",
        "simulate",
        "query",
        "export",
        "dlq",
        "user",
        "key",
        "audit",
        "backup",
        "config",
        "completions",
    ] {
        assert_eq!(wheeltapper(&[command, "--help"]).status.code(), Some(0), "{command} --help");
    }
}

#[test]
fn exit_codes() {
    assert_eq!(wheeltapper(&["no-such-command"]).status.code(), Some(2));
    let out = wheeltapper(&["--config", "missing.toml", "config", "check"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("missing.toml"), "{}", text(&out.stderr));
    let out = wheeltapper(&["query", "alerts"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("--data"), "{}", text(&out.stderr));
    // What is written to no terminal has no colours.
    assert!(!text(&out.stderr).contains('\u{1b}'));
}

#[test]
fn the_example_configuration_is_one() {
    let out = wheeltapper(&["config", "example"]);
    assert!(text(&out.stdout).contains("[mqtt.broker]"));
}

#[test]
fn the_plant_is_printed_for_platforms() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.toml"), wheeltapper(&["config", "example"]).stdout).unwrap();
    let file = folder.path().join("p.toml");
    let out = wheeltapper(&["--config", file.to_str().unwrap(), "config", "plant"]);
    let printed = text(&out.stdout);
    assert_eq!(printed.lines().count(), 1);
    assert!(printed.contains("\"assets\":{\"plant/hall-1/pump-7/speed\":\"plant/hall-1/pump-7\""), "{printed}");
}
