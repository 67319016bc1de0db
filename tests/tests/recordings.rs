//! Recordings through all five stages: every reading is stored or refused, and something comes of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use wheeltapper_tests::{Plant, Running, SECOND, T0, data_folder, wait_until};

/// Cells that hold readings, counted without the code under test.
fn cells(csv: &Path) -> u64 {
    let text = fs::read_to_string(csv).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(';').collect();
    let counted: Vec<usize> =
        (0..header.len()).filter(|&at| !["datetime", "anomaly", "changepoint"].contains(&header[at])).collect();
    let in_row = |line: &str| {
        let row: Vec<&str> = line.split(';').collect();
        counted.iter().filter(|&&at| !row[at].trim().is_empty()).count() as u64
    };
    lines.map(in_row).sum()
}

/// Samples that a NumPy header announces.
fn samples(npy: &Path) -> u64 {
    let bytes = fs::read(npy).unwrap();
    let header = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let shape = header.split("'shape': (").nth(1).unwrap();
    shape.split(',').next().unwrap().trim().parse().unwrap()
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

#[test]
fn skab_and_cwru_run_through_the_line() {
    let Some(data) = data_folder() else {
        eprintln!("no recordings at hand; name their folder with WHEELTAPPER_TEST_DATA");
        return;
    };
    let (mut csv, mut npy) = (Vec::new(), Vec::new());
    files(&data.join("skab"), "csv", &mut csv);
    files(&data.join("cwru"), "npy", &mut npy);
    assert!(csv.len() > 20 && npy.len() > 5, "{} {}", csv.len(), npy.len());
    let scalars: u64 = csv.iter().map(|file| cells(file)).sum();
    let bursts: u64 = npy.iter().map(|file| samples(file)).sum();

    let skills = r#"["mechanic", "vibration-analyst", "instrumentation", "electrician"]"#;
    let plant = Plant::new(&format!("[[technician]]\nname = \"Ada\"\nskills = {skills}\n")).unwrap();
    let folders = [data.join("skab"), data.join("cwru")];
    let told = plant.output(&["replay", folders[0].to_str().unwrap(), folders[1].to_str().unwrap()]).unwrap();
    let counts = plant.counts().unwrap();
    let count = |name: &str| counts[name].as_u64().unwrap();
    let stored = (count("readings"), count("waveform_samples"), count("rejected_readings"));
    assert_eq!(stored, (scalars, bursts, 0), "{told}\n{counts}");
    for table in ["windows", "anomalies", "alerts", "work_orders"] {
        assert!(count(table) > 0, "no {table}: {counts}");
    }
    // What the counters say is what lies in the tables.
    let rows = |table: &str| plant.output(&["export", table, "-"]).unwrap().lines().count() as u64 - 1;
    assert_eq!(rows("anomalies"), count("anomalies"));
    // Windows are exported one feature a row: 22 of scalars, 68 of a burst.
    assert!((22 * count("windows")..=68 * count("windows")).contains(&rows("windows")));
    let one = |statement: &str| plant.query(&["sql", statement]).unwrap()[0]["n"].as_u64().unwrap();
    assert!(one("select count(*) n from work_orders where status = 'planned' and technician = 'Ada'") > 0);
    assert_eq!(
        one("select count(*) n from anomalies where sensor like '%Normal%'"),
        0,
        "false alarms on the healthy bearing"
    );
}

#[test]
fn broken_rows_are_counted_and_kept() {
    let plant = Plant::new("").unwrap();
    let csv = "time,a,b\n2026-01-01 00:00:00,1,2\n2026-01-01 00:00:01,x,NaN\nnever,1,2\n2026-01-01 00:00:03,,4\n";
    fs::write(plant.path().join("r.csv"), csv).unwrap();
    let told = plant.output(&["replay", "r.csv"]).unwrap();
    let counts = plant.counts().unwrap();
    assert!(
        counts["readings"] == 3 && counts["rejected_readings"] == 4 && counts["dead_letters"] == 4,
        "{counts}\n{told}"
    );
    assert!(told.contains("dlq list"), "{told}");
    let list = plant.output(&["dlq", "list"]).unwrap();
    assert!(list.contains("non-finite") && list.contains("malformed"), "{list}");
}

#[test]
fn queries_exports_and_backup() {
    let plant = Plant::new("").unwrap();
    fs::write(plant.path().join("r.csv"), "time,a\n2026-01-01 00:00:00,1.25\n2026-01-01 01:00:01,3\n").unwrap();
    plant.output(&["replay", "r.csv", "--sensor", "m/{column}"]).unwrap();
    let readings = plant.query(&["readings", "--sensor", "m/a"]).unwrap();
    assert_eq!(readings.iter().map(|row| row["value"].as_f64().unwrap()).collect::<Vec<_>>(), [1.25, 3.0]);
    let hourly = plant.query(&["hourly", "--sensor", "m/a"]).unwrap();
    assert!(hourly.len() == 2 && hourly[0]["avg"] == 1.25, "{hourly:?}");
    plant.output(&["export", "readings", "out.parquet"]).unwrap();
    let parquet = fs::read(plant.path().join("out.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    plant.output(&["backup", "copy.db"]).unwrap();
    assert!(fs::read(plant.path().join("copy.db")).unwrap().starts_with(b"SQLite format 3"));
    assert!(plant.output(&["completions", "bash"]).unwrap().contains("wheeltapper"));
    let error = plant.query(&["sql", "delete from anomalies"]).unwrap_err().to_string();
    assert!(error.contains("SELECT"), "{error}");
    let missing = plant.query(&["readings", "--sensor", "m/b"]).unwrap_err().to_string();
    assert!(missing.contains("query sensors"), "{missing}");
}

/// Readings and a dead letter from ingest, which is numbered by its place in the log.
fn fed(plant: &Plant, host: &Running, from: i64) {
    let reading = |at: i64, value: &str| {
        format!(r#"{{"sensor_id":"m/a","timestamp":{},"values":{value}}}"#, T0 + (from + at) * SECOND)
    };
    let body = [reading(0, "1"), reading(1, "NaN"), reading(2, "3")].join("\n");
    let before = plant.counts().unwrap();
    assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
    wait_until("readings and dead letter stored", Duration::from_secs(20), || {
        let now = plant.counts()?;
        let more = |name: &str| now[name].as_u64().unwrap() - before[name].as_u64().unwrap();
        Ok((more("readings"), more("dead_letters"), more("rejected_readings")) == (2, 1, 1))
    })
    .unwrap();
}

#[test]
fn a_host_starts_on_a_backup_and_knows_old_and_new() {
    let config = "[line]\ncheckpoint = \"200ms\"\n";
    let plant = Plant::new(config).unwrap();
    let host = plant.start().unwrap();
    fed(&plant, &host, 0);
    plant.output(&["user", "add", "ada", "--role", "viewer"]).unwrap();
    plant.output(&["backup", "copy.db"]).unwrap();
    plant.output(&["backup", "copies/"]).unwrap();
    let itself = plant.output(&["backup", "data/wheeltapper.db"]).unwrap_err().to_string();
    assert!(itself.contains("another place"), "{itself}");
    host.stop().unwrap();

    let (file, folder) = (Plant::new(config).unwrap(), Plant::new(config).unwrap());
    fs::create_dir(file.path().join("data")).unwrap();
    fs::copy(plant.path().join("copy.db"), file.path().join("data/wheeltapper.db")).unwrap();
    fs::rename(plant.path().join("copies"), folder.path().join("data")).unwrap();
    fs::copy(plant.path().join("data/access.key"), folder.path().join("data/access.key")).unwrap();
    for restored in [&file, &folder] {
        let host = restored.start().unwrap();
        fed(restored, &host, 100);
        host.kill().unwrap();
        let host = restored.start().unwrap();
        fed(restored, &host, 200);
        host.stop().unwrap();
        let readings = restored.query(&["readings", "--sensor", "m/a"]).unwrap();
        assert_eq!(readings.len(), 6, "{readings:?}");
        assert_eq!(restored.counts().unwrap()["dead_letters"], 3);
    }
    assert!(folder.output(&["user", "list"]).unwrap().contains("ada"));
    assert!(!file.output(&["user", "list"]).unwrap().contains("ada"));
}

/// Readings a second apart, about 10 and so much more.
fn heard(host: &Running, seconds: std::ops::Range<i64>, more: f64) {
    let lines: Vec<String> = seconds
        .map(|second| {
            let noise = f64::from(i32::try_from((second * 7919) % 101).unwrap()) / 101.0;
            format!(r#"{{"sensor_id":"p/m/a","timestamp":{},"values":{}}}"#, T0 + second * SECOND, 10.0 + noise + more)
        })
        .collect();
    assert_eq!(host.post("application/x-ndjson", lines.join("\n").as_bytes()).unwrap().status, 202);
}

#[test]
fn what_was_open_in_a_backup_goes_on_and_ends() {
    let config = "partitions = 2\n[line]\ncheckpoint = \"200ms\"\n[detect]\nwarmup_windows = 10\n[[technician]]\nname = \"Ada\"\n\
        skills = [\"mechanic\", \"vibration-analyst\", \"electrician\", \"instrumentation\"]\n";
    let plant = Plant::new(config).unwrap();
    let host = plant.start().unwrap();
    heard(&host, 0..400, 0.0);
    heard(&host, 400..500, 30.0);
    let soon = Duration::from_secs(20);
    let planned = |plant: &Plant| {
        let sql = "SELECT id, alert, status FROM work_orders WHERE status IN ('planned', 'unscheduled')";
        plant.query(&["sql", sql])
    };
    wait_until("an order", soon, || Ok(!planned(&plant)?.is_empty())).unwrap();
    plant.output(&["backup", "copies/"]).unwrap();
    host.stop().unwrap();

    // Another number of partitions is no hindrance.
    let restored = Plant::new(&config.replace("= 2", "= 3")).unwrap();
    fs::rename(plant.path().join("copies"), restored.path().join("data")).unwrap();
    fs::copy(plant.path().join("data/access.key"), restored.path().join("data/access.key")).unwrap();
    let host = restored.start().unwrap();
    let alerts = |plant: &Plant| plant.query(&["sql", "SELECT id, state, anomalies FROM alerts"]);
    let open = alerts(&restored).unwrap();
    assert!(open.len() == 1 && open[0]["state"] == "open" && !planned(&restored).unwrap().is_empty(), "{open:?}");
    // Before and after its first checkpoint the host may be killed.
    host.kill().unwrap();
    let host = restored.start().unwrap();
    // It is learnt anew, and is well.
    heard(&host, 500..800, 0.0);
    host.kill().unwrap();
    let host = restored.start().unwrap();
    heard(&host, 800..1_000, 0.0);
    wait_until("the alert's end", soon, || Ok(alerts(&restored)?[0]["state"] == "resolved")).unwrap();
    wait_until("its orders' end", soon, || Ok(planned(&restored)?.is_empty())).unwrap();
    let ended = alerts(&restored).unwrap();
    assert!(ended.len() == 1 && ended[0]["id"] == open[0]["id"], "{ended:?}");
    host.stop().unwrap();
}

#[test]
fn a_reader_that_had_enough_is_no_failure() {
    let plant = Plant::new("").unwrap();
    fs::write(plant.path().join("r.csv"), "time,a\n2026-01-01 00:00:00,1.25\n").unwrap();
    plant.output(&["replay", "r.csv"]).unwrap();
    for arguments in [["completions", "bash", ""], ["export", "readings", "-"]] {
        let mut command = plant.command().unwrap();
        command.args(arguments.iter().filter(|argument| !argument.is_empty()));
        // The reader is gone before the first byte: closed after the start, a short text could still be taken.
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let ended = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert!(ended.status.success() && ended.stderr.is_empty(), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let plant = Plant::new("").unwrap();
    fs::write(plant.path().join("r.csv"), "time,a\n2026-01-01 00:00:00,1.25\n").unwrap();
    plant.output(&["replay", "r.csv", "--sensor", "m/{column}"]).unwrap();
    for (arguments, word) in [
        (["simulate", "--faulty", "7", "--write-config=f.toml"], "from 0 to 1"),
        (["simulate", "--machines", "0", "--write-config=f.toml"], "0 is not in"),
        (["export", "readings", "-", "--sensor=nope"], "query sensors"),
    ] {
        let error = plant.output(&arguments).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(plant.output(&["export", "readings", "-", "--sensor=m/a"]).unwrap().contains("1.25"));
}

#[test]
fn configuration_errors_say_where() {
    let plant = Plant::new("[windows]\nsise = \"30s\"\n").unwrap();
    let error = plant.output(&["config", "check"]).unwrap_err().to_string();
    assert!(error.contains("wheeltapper.toml:2:1") && error.contains("size"), "{error}");
    plant.configure(&plant.output(&["config", "example"]).unwrap_or_default()).unwrap();
}
