//! Tests of the command line: help texts, exit codes and messages.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    ffi::OsStr,
    fs,
    io::{self, Write as _},
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
fn help_describes_the_first_steps() {
    let out = wheeltapper(&["--help"]);
    assert_eq!(out.status.code(), Some(0));
    let help = text(&out.stdout);
    for word in ["wheeltapper run", "/api/v1/ingest", "simulate", "replay", "dead-letters", "backup", "completions"] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    for command in [
        "run",
        "replay",
        "simulate",
        "query",
        "export",
        "dead-letters",
        "user",
        "key",
        "audit",
        "alert",
        "backup",
        "config",
        "completions",
    ] {
        assert_eq!(wheeltapper(&[command, "--help"]).status.code(), Some(0), "{command} --help");
    }
}

#[test]
fn usage_errors_exit_with_2_and_failures_with_1() {
    assert_eq!(wheeltapper(&["no-such-command"]).status.code(), Some(2));
    let out = wheeltapper(&["--config", "missing.toml", "config", "check"]);
    assert_eq!(out.status.code(), Some(2));
    let stderr = text(&out.stderr);
    assert!(stderr.contains("missing.toml") && stderr.contains("config example"), "{stderr}");
    let out = wheeltapper(&["query", "alerts"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("--data"), "{}", text(&out.stderr));
    // Output that does not go to a terminal has no colours.
    assert!(!text(&out.stderr).contains('\u{1b}'));
}

#[test]
fn a_test_message_is_sent_or_the_reason_is_explained() {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[[alerts.channel]]\nname = \"siem\"\n[alerts.channel.syslog]\nurl = \"udp://{}\"\n\
         [[alerts.channel]]\nname = \"hook\"\n[alerts.channel.webhook]\nurl = \"http://127.0.0.1:1/hunter2\"\n",
        receiver.local_addr().unwrap()
    );
    fs::write(folder.path().join("wheeltapper.toml"), config).unwrap();
    let out = inside(folder.path(), &["alert", "test", "siem"]).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("is accepted; UDP confirms nothing"), "{}", text(&out.stdout));
    let mut buffer = [0; 2048];
    let length = receiver.recv(&mut buffer).unwrap();
    assert!(text(&buffer[..length]).contains("Test of the channel siem"));
    for (channel, expected) in [("hook", "refuses the connection; check the port"), ("sime", "the channels are siem, hook")] {
        let out = inside(folder.path(), &["alert", "test", channel]).output().unwrap();
        let error = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{error}");
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_example_configuration_is_printed() {
    let out = wheeltapper(&["config", "example"]);
    assert!(text(&out.stdout).contains("[mqtt.broker]"));
}

#[test]
fn the_plant_is_printed_as_one_line_of_json() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.toml"), wheeltapper(&["config", "example"]).stdout).unwrap();
    let file = folder.path().join("p.toml");
    let out = wheeltapper(&["--config", file.to_str().unwrap(), "config", "plant"]);
    let printed = text(&out.stdout);
    assert_eq!(printed.lines().count(), 1);
    assert!(printed.contains("\"assets\":{\"plant/hall-1/pump-7/speed\":\"plant/hall-1/pump-7\""), "{printed}");
}

/// A folder with a store that contains readings and dead letters.
fn folder_with_replayed_recording() -> tempfile::TempDir {
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

/// The writing end of a pipe without a reader.
fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn every_command_ends_silently_when_standard_output_is_closed() {
    let folder = folder_with_replayed_recording();
    for arguments in [
        &["replay", "r.csv", "--sensor", "again/{column}"][..],
        &["dead-letters", "list"],
        &["dead-letters", "list", "--payload", "--limit", "5000"],
        &["dead-letters", "purge", "--older-than", "30d"],
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
        let out = inside(folder.path(), arguments).stdout(closed_pipe()).output().unwrap();
        let stderr = text(&out.stderr);
        // The log may have written lines to standard error.
        let panicked = stderr.contains("panicked") || stderr.contains("Broken pipe");
        assert!(out.status.code() == Some(0) && !panicked, "{arguments:?}: {:?}\n{stderr}", out.status);
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
        (&["dead-letters", "list"], 1),
        (&["config", "check"], 0),
        (&["replay", "missing.csv"], 1),
    ] {
        let status = inside(folder.path(), arguments).stdout(Stdio::null()).stderr(closed_pipe()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_host_runs_with_closed_standard_output_and_error() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready.json");
    let arguments =
        ["--log", "debug", "run", "--findings", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-file"];
    let mut host =
        inside(folder.path(), &arguments).arg(&ready).stdout(closed_pipe()).stderr(closed_pipe()).spawn().unwrap();
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
fn arguments_and_files_that_are_not_utf_8_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let odd = OsStr::from_bytes(b"odd-\xff.csv");
    // A file name may contain any bytes.
    fs::write(folder.path().join(odd), "time,a\n2026-01-01 00:00:00,1\n").unwrap();
    let out = inside(folder.path(), &["replay"]).arg(odd).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    for before in [&["query", "readings", "--sensor"][..], &["dead-letters", "list", "--reason"], &["simulate", "--to"]]
    {
        let out = inside(folder.path(), before).arg(odd).output().unwrap();
        let stderr = text(&out.stderr);
        assert!(out.status.code() == Some(2) && !stderr.contains("panicked"), "{before:?}: {stderr}");
    }
    for (name, bytes) in [("bytes.toml", &b"\xff\xfe"[..]), ("folder.toml", b"")] {
        let path = folder.path().join(name);
        if bytes.is_empty() {
            fs::create_dir(&path).unwrap()
        } else {
            fs::write(&path, bytes).unwrap()
        }
        let out = inside(folder.path(), &["--config", name, "config", "check"]).output().unwrap();
        let stderr = text(&out.stderr);
        assert!(out.status.code() == Some(2) && stderr.contains(name) && !stderr.contains("panicked"), "{stderr}");
    }
    let out = inside(folder.path(), &["replay", "folder.toml"]).output().unwrap();
    assert!(out.status.code() == Some(1) && text(&out.stderr).contains(".csv"), "{}", text(&out.stderr));
}

#[test]
fn config_check_reads_standard_input_or_a_named_file() {
    let folder = tempfile::tempdir().unwrap();
    let check = |input: &str, file: &str| {
        fs::write(folder.path().join("named.toml"), input).unwrap();
        let mut child = inside(folder.path(), &["config", "check", file])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap();
        (out.status.code(), text(&out.stdout) + &text(&out.stderr))
    };
    let (code, printed) = check("", "-");
    assert_eq!((code, printed.as_str()), (Some(0), "the configuration is valid: 0 sensors, 0 technicians\n"));
    for file in ["-", "named.toml"] {
        let (code, printed) = check("[http]\nlisten = 1\n", file);
        assert!(code == Some(2) && printed.contains(":2:10"), "{file}: {printed}");
    }
}

#[test]
fn a_file_that_is_not_a_store_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(
        folder.path().join("data/wheeltapper.db"),
        "not a database, but long enough to be read as one".repeat(100),
    )
    .unwrap();
    for arguments in [
        &["query", "counts"][..],
        &["dead-letters", "list"],
        &["dead-letters", "replay"],
        &["dead-letters", "purge", "--older-than", "1d"],
        &["export", "readings", "-"],
        &["backup", "copy.db"],
    ] {
        let out = inside(folder.path(), arguments).output().unwrap();
        let stderr = text(&out.stderr);
        assert!(out.status.code() == Some(1) && stderr.starts_with("wheeltapper: "), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn help_lists_the_exit_codes() {
    for arguments in [
        &["--help"][..],
        &["query", "--help"],
        &["query", "alerts", "--help"],
        &["replay", "--help"],
        &["dead-letters", "replay", "--help"],
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
    let (code, printed, stderr) = run(&["replay", "comma.csv"]);
    assert_eq!(code, Some(1), "{printed}{stderr}");
    assert!(
        stderr.contains("nothing was stored") && stderr.contains("40,5") && stderr.contains("--decimal ,"),
        "{stderr}"
    );
    assert!(printed.contains("rejected     2") && printed.contains("malformed"), "{printed}");
    let (code, printed, stderr) = run(&["replay", "comma.csv", "--decimal", ","]);
    assert!(code == Some(0) && printed.contains("stored       2"), "{printed}{stderr}");
    // Replaying a stored recording again stores nothing and succeeds.
    let (code, printed, stderr) = run(&["replay", "comma.csv", "--decimal", ","]);
    assert!(
        code == Some(0) && printed.contains("stored       0") && printed.contains("repeated     2"),
        "{printed}{stderr}"
    );
    fs::write(folder.path().join("header.csv"), "time,a\n").unwrap();
    let (code, _, stderr) = run(&["replay", "header.csv"]);
    assert!(code == Some(1) && stderr.contains("no readings"), "{stderr}");
}

/// Without an orderly stop the threads of the line would be waited for, a minute each.
#[test]
fn a_host_whose_broker_cannot_start_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "partitions = 2\n[http]\nlisten = \"127.0.0.1:0\"\n[mqtt.broker]\nlisten = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    fs::write(folder.path().join("wheeltapper.toml"), config).unwrap();
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
        command.args(["--data", "data", "run"]).current_dir(folder.path()).output().unwrap()
    };
    // It compiles the components, which takes a while.
    run();
    let began = Instant::now();
    let out = run();
    let message = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.contains("starting the MQTT broker"), "{message}");
    assert!(!message.contains("left behind"), "{message}");
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
}
