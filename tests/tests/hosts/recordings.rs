//! Recordings through all five stages: each reading is stored or rejected, and the faults give findings.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost, data_folder, wait_until};

/// Counts the cells that contain readings, independently of the code under test.
fn csv_readings(csv: &Path) -> u64 {
    let text = fs::read_to_string(csv).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(';').collect();
    let columns: Vec<usize> =
        (0..header.len()).filter(|&at| !["datetime", "anomaly", "changepoint"].contains(&header[at])).collect();
    let count_in_row = |line: &str| {
        let row: Vec<&str> = line.split(';').collect();
        columns.iter().filter(|&&at| !row[at].trim().is_empty()).count() as u64
    };
    lines.map(count_in_row).sum()
}

/// Number of samples in the header of a NumPy file.
fn npy_samples(npy: &Path) -> u64 {
    let bytes = fs::read(npy).unwrap();
    let header = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let shape = header.split("'shape': (").nth(1).unwrap();
    shape.split(',').next().unwrap().trim().parse().unwrap()
}

fn files(folder: &Path, wanted: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, wanted, found);
        } else if path.extension().is_some_and(|extension| extension == wanted) {
            found.push(path);
        }
    }
}

#[test]
fn skab_and_cwru_pass_through_all_stages() {
    let Some(data) = data_folder() else {
        eprintln!("skipped: no recordings; set WHEELTAPPER_TEST_DATA to their folder");
        return;
    };
    let (mut csv, mut npy) = (Vec::new(), Vec::new());
    files(&data.join("skab"), "csv", &mut csv);
    files(&data.join("cwru"), "npy", &mut npy);
    assert!(csv.len() > 20 && npy.len() > 5, "{} {}", csv.len(), npy.len());
    let scalars: u64 = csv.iter().map(|file| csv_readings(file)).sum();
    let waveform_samples: u64 = npy.iter().map(|file| npy_samples(file)).sum();

    let skills = r#"["mechanic", "vibration-analyst", "instrumentation", "electrician"]"#;
    // The default detector learns for an hour; these recordings last 20 minutes.
    let config = format!("[detect]\nmodel = \"ensemble\"\n[[technician]]\nname = \"Ada\"\nskills = {skills}\n");
    let test_host = TestHost::new(&config).unwrap();
    let skab = data.join("skab");
    let mut output = test_host.output(&["replay", skab.to_str().unwrap()]).unwrap();
    // The recordings have one of two sampling rates, which are in their documentation and not in the files.
    let (fast, slow): (Vec<&PathBuf>, Vec<&PathBuf>) =
        npy.iter().partition(|file| !file.to_str().unwrap().ends_with("DE12.npy"));
    for (rate, recordings) in [("48000", fast), ("12000", slow)] {
        let mut arguments = vec!["replay", "--rate", rate];
        arguments.extend(recordings.iter().map(|file| file.to_str().unwrap()));
        output += &test_host.output(&arguments).unwrap();
    }
    let counts = test_host.counts().unwrap();
    let count = |name: &str| counts[name].as_u64().unwrap();
    let stored = (count("readings"), count("waveform_samples"), count("rejected_readings"));
    assert_eq!(stored, (scalars, waveform_samples, 0), "{output}\n{counts}");
    for table in ["windows", "anomalies", "alerts", "work_orders"] {
        assert!(count(table) > 0, "no {table}: {counts}");
    }
    // The counters match the tables.
    let rows = |table: &str| test_host.output(&["export", table, "-"]).unwrap().lines().count() as u64 - 1;
    assert_eq!(rows("anomalies"), count("anomalies"));
    // Windows are exported with one feature per row: 22 features of scalars, 68 of a waveform.
    assert!((22 * count("windows")..=68 * count("windows")).contains(&rows("windows")));
    let query_count = |statement: &str| test_host.query(&["sql", statement]).unwrap()[0]["n"].as_u64().unwrap();
    assert!(query_count("select count(*) n from work_orders where status = 'planned' and technician = 'Ada'") > 0);
    assert_eq!(
        query_count("select count(*) n from anomalies where sensor like '%Normal%'"),
        0,
        "false alarms on the healthy bearing"
    );
}

#[test]
fn invalid_rows_are_counted_and_become_dead_letters() {
    let test_host = TestHost::new("").unwrap();
    let csv = "time,a,b\n2026-01-01 00:00:00,1,2\n2026-01-01 00:00:01,x,NaN\nnever,1,2\n2026-01-01 00:00:03,,4\n";
    fs::write(test_host.path().join("r.csv"), csv).unwrap();
    let output = test_host.output(&["replay", "r.csv"]).unwrap();
    let counts = test_host.counts().unwrap();
    assert!(
        counts["readings"] == 3 && counts["rejected_readings"] == 4 && counts["dead_letters"] == 4,
        "{counts}\n{output}"
    );
    assert!(output.contains("dead-letters list"), "{output}");
    let list = test_host.output(&["dead-letters", "list"]).unwrap();
    assert!(list.contains("non-finite") && list.contains("malformed"), "{list}");
}

#[test]
fn queries_exports_and_backup_work() {
    let test_host = TestHost::new("").unwrap();
    fs::write(test_host.path().join("r.csv"), "time,a\n2026-01-01 00:00:00,1.25\n2026-01-01 01:00:01,3\n").unwrap();
    test_host.output(&["replay", "r.csv", "--sensor", "m/{column}"]).unwrap();
    let readings = test_host.query(&["readings", "--sensor", "m/a"]).unwrap();
    assert_eq!(readings.iter().map(|row| row["value"].as_f64().unwrap()).collect::<Vec<_>>(), [1.25, 3.0]);
    let hourly = test_host.query(&["hourly", "--sensor", "m/a"]).unwrap();
    assert!(hourly.len() == 2 && hourly[0]["avg"] == 1.25, "{hourly:?}");
    test_host.output(&["export", "readings", "out.parquet"]).unwrap();
    let parquet = fs::read(test_host.path().join("out.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    test_host.output(&["backup", "copy.db"]).unwrap();
    assert!(fs::read(test_host.path().join("copy.db")).unwrap().starts_with(b"SQLite format 3"));
    assert!(test_host.output(&["completions", "bash"]).unwrap().contains("wheeltapper"));
    let error = test_host.query(&["sql", "delete from anomalies"]).unwrap_err().to_string();
    assert!(error.contains("SELECT"), "{error}");
    let missing = test_host.query(&["readings", "--sensor", "m/b"]).unwrap_err().to_string();
    assert!(missing.contains("query sensors"), "{missing}");
}

/// Posts two valid readings and one invalid reading, and waits until two readings and one dead letter are stored. The
/// dead letter's ID is its position in the log.
fn ingest_and_check(test_host: &TestHost, host: &RunningHost, from: i64) {
    let reading = |at: i64, value: &str| {
        format!(r#"{{"sensor_id":"m/a","timestamp":{},"values":{value}}}"#, T0 + (from + at) * SECOND)
    };
    let body = [reading(0, "1"), reading(1, "NaN"), reading(2, "3")].join("\n");
    let before = test_host.counts().unwrap();
    assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
    wait_until("two readings and a dead letter in the store", Duration::from_secs(20), || {
        let now = test_host.counts()?;
        let added = |name: &str| now[name].as_u64().unwrap() - before[name].as_u64().unwrap();
        Ok((added("readings"), added("dead_letters"), added("rejected_readings")) == (2, 1, 1))
    })
    .unwrap();
}

#[test]
fn a_host_started_from_a_backup_has_old_and_new_data() {
    let config = "[line]\ncheckpoint = \"200ms\"\n";
    let test_host = TestHost::new(config).unwrap();
    let host = test_host.start().unwrap();
    ingest_and_check(&test_host, &host, 0);
    test_host.output(&["user", "add", "ada", "--role", "viewer"]).unwrap();
    test_host.output(&["backup", "copy.db"]).unwrap();
    test_host.output(&["backup", "copies/"]).unwrap();
    let error = test_host.output(&["backup", "data/wheeltapper.db"]).unwrap_err().to_string();
    assert!(error.contains("choose another target"), "{error}");
    host.stop().unwrap();

    let (file, folder) = (TestHost::new(config).unwrap(), TestHost::new(config).unwrap());
    fs::create_dir(file.path().join("data")).unwrap();
    fs::copy(test_host.path().join("copy.db"), file.path().join("data/wheeltapper.db")).unwrap();
    fs::rename(test_host.path().join("copies"), folder.path().join("data")).unwrap();
    fs::copy(test_host.path().join("data/access.key"), folder.path().join("data/access.key")).unwrap();
    for restored in [&file, &folder] {
        let host = restored.start().unwrap();
        ingest_and_check(restored, &host, 100);
        host.kill().unwrap();
        let host = restored.start().unwrap();
        ingest_and_check(restored, &host, 200);
        host.stop().unwrap();
        let readings = restored.query(&["readings", "--sensor", "m/a"]).unwrap();
        assert_eq!(readings.len(), 6, "{readings:?}");
        assert_eq!(restored.counts().unwrap()["dead_letters"], 3);
    }
    assert!(folder.output(&["user", "list"]).unwrap().contains("ada"));
    assert!(!file.output(&["user", "list"]).unwrap().contains("ada"));
}

/// Posts one reading per second with values of about 10 plus `offset`.
fn post_readings(host: &RunningHost, seconds: std::ops::Range<i64>, offset: f64) {
    let lines: Vec<String> = seconds
        .map(|second| {
            let noise = f64::from(i32::try_from((second * 7919) % 101).unwrap()) / 101.0;
            format!(
                r#"{{"sensor_id":"p/m/a","timestamp":{},"values":{}}}"#,
                T0 + second * SECOND,
                10.0 + noise + offset
            )
        })
        .collect();
    assert_eq!(host.post("application/x-ndjson", lines.join("\n").as_bytes()).unwrap().status, 202);
}

#[test]
fn alerts_and_work_orders_that_are_open_in_a_backup_are_closed() {
    let config = "partitions = 2\n[line]\ncheckpoint = \"200ms\"\n[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n[[technician]]\n\
        name = \"Ada\"\n\
        skills = [\"mechanic\", \"vibration-analyst\", \"electrician\", \"instrumentation\"]\n";
    let test_host = TestHost::new(config).unwrap();
    let host = test_host.start().unwrap();
    post_readings(&host, 0..400, 0.0);
    post_readings(&host, 400..500, 30.0);
    let timeout = Duration::from_secs(20);
    let planned = |test_host: &TestHost| {
        let sql = "SELECT id, alert, status FROM work_orders WHERE status IN ('planned', 'unscheduled')";
        test_host.query(&["sql", sql])
    };
    wait_until("a work order", timeout, || Ok(!planned(&test_host)?.is_empty())).unwrap();
    test_host.output(&["backup", "copies/"]).unwrap();
    host.stop().unwrap();

    // The restored host has another number of partitions.
    let restored = TestHost::new(&config.replace("= 2", "= 3")).unwrap();
    fs::rename(test_host.path().join("copies"), restored.path().join("data")).unwrap();
    fs::copy(test_host.path().join("data/access.key"), restored.path().join("data/access.key")).unwrap();
    let host = restored.start().unwrap();
    let alerts = |test_host: &TestHost| test_host.query(&["sql", "SELECT id, state, anomalies FROM alerts"]);
    let open = alerts(&restored).unwrap();
    assert!(open.len() == 1 && open[0]["state"] == "open" && !planned(&restored).unwrap().is_empty(), "{open:?}");
    // The host may be killed before or after its first checkpoint.
    host.kill().unwrap();
    let host = restored.start().unwrap();
    // The detector learns again from healthy readings.
    post_readings(&host, 500..800, 0.0);
    host.kill().unwrap();
    let host = restored.start().unwrap();
    post_readings(&host, 800..1_000, 0.0);
    wait_until("the alert is resolved", timeout, || Ok(alerts(&restored)?[0]["state"] == "resolved")).unwrap();
    wait_until("its work orders are closed", timeout, || Ok(planned(&restored)?.is_empty())).unwrap();
    let closed = alerts(&restored).unwrap();
    assert!(closed.len() == 1 && closed[0]["id"] == open[0]["id"], "{closed:?}");
    host.stop().unwrap();
}

#[test]
fn a_closed_output_pipe_is_not_an_error() {
    let test_host = TestHost::new("").unwrap();
    fs::write(test_host.path().join("r.csv"), "time,a\n2026-01-01 00:00:00,1.25\n").unwrap();
    test_host.output(&["replay", "r.csv"]).unwrap();
    for arguments in [["completions", "bash", ""], ["export", "readings", "-"]] {
        let mut command = test_host.command().unwrap();
        command.args(arguments.iter().filter(|argument| !argument.is_empty()));
        // The reader is closed before the start; if it were closed later, the pipe could accept a short text.
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn invalid_arguments_are_rejected() {
    let test_host = TestHost::new("").unwrap();
    fs::write(test_host.path().join("r.csv"), "time,a\n2026-01-01 00:00:00,1.25\n").unwrap();
    test_host.output(&["replay", "r.csv", "--sensor", "m/{column}"]).unwrap();
    for (arguments, text) in [
        (["simulate", "--faulty", "7", "--write-config=f.toml"], "from 0 to 1"),
        (["simulate", "--machines", "0", "--write-config=f.toml"], "0 is not in"),
        (["export", "readings", "-", "--sensor=nope"], "query sensors"),
    ] {
        let error = test_host.output(&arguments).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    assert!(test_host.output(&["export", "readings", "-", "--sensor=m/a"]).unwrap().contains("1.25"));
}

#[test]
fn configuration_errors_name_their_position() {
    let test_host = TestHost::new("[windows]\nsise = \"30s\"\n").unwrap();
    let error = test_host.output(&["config", "check"]).unwrap_err().to_string();
    assert!(error.contains("wheeltapper.toml:2:1") && error.contains("size"), "{error}");
    test_host.configure(&test_host.output(&["config", "example"]).unwrap_or_default()).unwrap();
}
