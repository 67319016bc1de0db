//! The command line's manners: help that teaches, exit codes that scripts can rely on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

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

/// A program in a folder that has a store with readings, and dead letters.
fn replayed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows: String =
        (0..300).map(|second| format!("2026-01-01 00:{:02}:{:02},1,x\n", second / 60, second % 60)).collect();
    fs::write(folder.path().join("r.csv"), format!("time,a,b\n{rows}")).unwrap();
    let out = inside(folder.path(), &["replay", "r.csv"]).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    folder
}

fn inside(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
    command.args(arguments).current_dir(folder);
    command
}

/// The end of a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_closed_pipe_ends_every_command_without_words() {
    let folder = replayed();
    for arguments in [
        &["replay", "r.csv", "--sensor", "again/{column}"][..],
        &["dlq", "list"],
        &["dlq", "list", "--payload", "--limit", "5000"],
        &["dlq", "purge", "--older-than", "30d"],
        &["query", "counts"],
        &["query", "sensors"],
        &["query", "readings", "--sensor", "again/a"],
        &["export", "readings", "-"],
        &["user", "list"],
        &["key", "list"],
        &["audit", "list"],
        &["audit", "verify"],
        &["audit", "export"],
        &["backup", "copy.db"],
        &["config", "check"],
        &["config", "plant"],
        &["config", "example"],
        &["completions", "bash"],
        &["simulate", "--write-config", "fleet.toml"],
        &["--help"],
        &["--version"],
    ] {
        let out = inside(folder.path(), arguments).stdout(closed()).output().unwrap();
        let told = text(&out.stderr);
        // The log's own lines may stand there.
        let panicked = told.contains("panicked") || told.contains("Broken pipe");
        assert!(out.status.code() == Some(0) && !panicked, "{arguments:?}: {:?}\n{told}", out.status);
    }
}

#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (&["no-such-command"][..], 2),
        (&["--config", "missing.toml", "config", "check"], 2),
        (&["--log", "[[[", "query", "counts"], 1),
        (&["query", "counts"], 1),
        (&["dlq", "list"], 1),
        (&["config", "check"], 0),
        (&["replay", "missing.csv"], 1),
    ] {
        let status = inside(folder.path(), arguments).stdout(Stdio::null()).stderr(closed()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_host_goes_on_where_nobody_reads_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready.json");
    let arguments =
        ["--log", "debug", "run", "--findings", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-file"];
    let mut host = inside(folder.path(), &arguments).arg(&ready).stdout(closed()).stderr(closed()).spawn().unwrap();
    let began = Instant::now();
    while !ready.exists() {
        assert_eq!(host.try_wait().unwrap(), None, "the host ended");
        assert!(began.elapsed() < Duration::from_secs(120), "the host did not come up");
        thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").arg("-TERM").arg(host.id().to_string()).status().unwrap();
    assert_eq!(host.wait().unwrap().code(), Some(0));
}

#[test]
fn arguments_and_files_that_are_no_text_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let odd = OsStr::from_bytes(b"odd-\xff.csv");
    // A name of a file may be any bytes.
    fs::write(folder.path().join(odd), "time,a\n2026-01-01 00:00:00,1\n").unwrap();
    let out = inside(folder.path(), &["replay"]).arg(odd).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    for before in [&["query", "readings", "--sensor"][..], &["dlq", "list", "--reason"], &["simulate", "--to"]] {
        let out = inside(folder.path(), before).arg(odd).output().unwrap();
        let told = text(&out.stderr);
        assert!(out.status.code() == Some(2) && !told.contains("panicked"), "{before:?}: {told}");
    }
    for (name, bytes) in [("bytes.toml", &b"\xff\xfe"[..]), ("folder.toml", b"")] {
        let path = folder.path().join(name);
        if bytes.is_empty() {
            fs::create_dir(&path).unwrap()
        } else {
            fs::write(&path, bytes).unwrap()
        }
        let out = inside(folder.path(), &["--config", name, "config", "check"]).output().unwrap();
        let told = text(&out.stderr);
        assert!(out.status.code() == Some(2) && told.contains(name) && !told.contains("panicked"), "{told}");
    }
    let out = inside(folder.path(), &["replay", "folder.toml"]).output().unwrap();
    assert!(out.status.code() == Some(1) && text(&out.stderr).contains(".csv"), "{}", text(&out.stderr));
}

#[test]
fn a_store_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/wheeltapper.db"), "no database, but long enough to be looked at".repeat(100))
        .unwrap();
    for arguments in [
        &["query", "counts"][..],
        &["dlq", "list"],
        &["dlq", "replay"],
        &["dlq", "purge", "--older-than", "1d"],
        &["export", "readings", "-"],
        &["backup", "copy.db"],
    ] {
        let out = inside(folder.path(), arguments).output().unwrap();
        let told = text(&out.stderr);
        assert!(out.status.code() == Some(1) && told.starts_with("wheeltapper: "), "{arguments:?}: {told}");
        assert!(!told.contains("panicked"), "{told}");
    }
}

#[test]
fn help_tells_the_exit_codes() {
    for arguments in [
        &["--help"][..],
        &["query", "--help"],
        &["query", "alerts", "--help"],
        &["replay", "--help"],
        &["dlq", "replay", "--help"],
        &["user", "add", "--help"],
    ] {
        // The terminal's width decides where lines are broken.
        let help = words(&wheeltapper(arguments).stdout);
        assert!(help.contains("Exit codes: 0") && help.contains("2 wrong arguments"), "{arguments:?}:\n{help}");
    }
    assert!(words(&wheeltapper(&["replay", "--help"]).stdout).contains("1 nothing was stored"));
}

/// Text with single spaces between its words.
fn words(bytes: &[u8]) -> String {
    text(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_replay_that_stored_nothing_fails_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("comma.csv"), "Time;Temp\n2026-11-29T10:00:00Z;40,5\n2026-11-29T10:00:01Z;41,5\n")
        .unwrap();
    let run = |arguments: &[&str]| {
        let out = inside(folder.path(), arguments).output().unwrap();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    };
    let (code, printed, told) = run(&["replay", "comma.csv"]);
    assert_eq!(code, Some(1), "{printed}{told}");
    assert!(told.contains("nothing was stored") && told.contains("40,5") && told.contains("--decimal ,"), "{told}");
    assert!(printed.contains("rejected     2") && printed.contains("malformed"), "{printed}");
    let (code, printed, told) = run(&["replay", "comma.csv", "--decimal", ","]);
    assert!(code == Some(0) && printed.contains("stored       2"), "{printed}{told}");
    // A recording that is stored already is nothing new, and nothing wrong.
    let (code, printed, told) = run(&["replay", "comma.csv", "--decimal", ","]);
    assert!(
        code == Some(0) && printed.contains("stored       0") && printed.contains("repeated     2"),
        "{printed}{told}"
    );
    fs::write(folder.path().join("header.csv"), "time,a\n").unwrap();
    let (code, _, told) = run(&["replay", "header.csv"]);
    assert!(code == Some(1) && told.contains("no readings"), "{told}");
}
