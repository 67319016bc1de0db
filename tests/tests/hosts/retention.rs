//! The topics of the log and the store stay within their configured retention.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, time::Duration};

use wheeltapper_tests::{SECOND, T0, TestHost, wait_until};

const TIMEOUT: Duration = Duration::from_secs(60);

fn folder_size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { folder_size(&path) } else { fs::metadata(&path).map_or(0, |metadata| metadata.len()) }
        })
        .sum()
}

/// Two minutes of 40 sensors, with a spike in every tenth second so that each topic gets records.
fn body(from: i64) -> String {
    let mut body = String::new();
    for second in from..from + 120 {
        for sensor in 0..40 {
            let spike = if second % 10 == 0 && second > 1200 { 500.0 } else { 0.0 };
            let value = f64::from(u32::try_from((second * 31 + sensor * 17) % 97).unwrap()) / 97.0 + spike;
            let time = T0 + second * SECOND;
            body.push_str(&format!(
                "{{\"sensor_id\":\"m{}/s{sensor}\",\"timestamp\":{time},\"values\":{value}}}\n",
                sensor / 4
            ));
        }
        // Far too late: a dead letter of the line.
        body.push_str(&format!("{{\"sensor_id\":\"m0/s0\",\"timestamp\":{},\"values\":1}}\n", T0 - 3600 * SECOND));
        // Not a reading: a dead letter of ingest.
        body.push_str("nonsense\n");
    }
    body
}

#[test]
fn topics_stay_within_their_retention_size() {
    let test_host = TestHost::new(
        "partitions = 1\n[line]\ncheckpoint = \"100ms\"\ntick = \"500ms\"\n\
         [log]\nsegment = \"64KiB\"\nretention_size = \"256KiB\"\n",
    )
    .unwrap();
    let host = test_host.start().unwrap();
    let mut written = 0;
    for part in 0..60 {
        let body = body(part * 120);
        written += body.len();
        while host.post("application/x-ndjson", body.as_bytes()).unwrap().status != 202 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert!(written > 10 << 20);
    let log = test_host.path().join("data/log");
    for topic in ["raw-sensor-data", "processed-data", "anomaly-events", "dlq-sensor-data"] {
        // Beyond the retention size, the newest segment and records that a follower has not read yet are kept.
        wait_until(topic, TIMEOUT, || Ok(folder_size(&log.join(topic)) <= 2 * ((256 << 10) + (2 << 16)))).unwrap();
        assert!(folder_size(&log.join(topic)) > 0, "{topic} is empty");
    }
    let counts = test_host.counts().unwrap();
    host.stop().unwrap();
    // The store has all readings, and a host started on the remaining log continues.
    let host = test_host.start().unwrap();
    host.post("application/x-ndjson", body(60 * 120).as_bytes()).unwrap();
    wait_until("readings after the restart", TIMEOUT, || {
        Ok(test_host.counts()?["readings"].as_u64() > counts["readings"].as_u64())
    })
    .unwrap();
    host.stop().unwrap();
}

#[test]
fn the_store_deletes_old_readings_and_keeps_their_hourly_averages() {
    let test_host =
        TestHost::new("[line]\ncheckpoint = \"100ms\"\ntick = \"1s\"\n[store]\nretention = \"24h\"\n").unwrap();
    let folder = test_host.path().to_owned();
    fs::write(folder.join("old.csv"), "time,a\n2026-01-01 00:00:00,1\n2026-01-01 00:00:01,3\n2026-01-03 00:00:00,5\n")
        .unwrap();
    test_host.output(&["replay", "old.csv", "--sensor", "m/{column}"]).unwrap();
    assert_eq!(test_host.query(&["readings", "--sensor", "m/a"]).unwrap().len(), 3);
    let host = test_host.start().unwrap();
    // Age is relative to the newest reading, so that an old recording is not deleted completely.
    wait_until("deletion of the old readings", TIMEOUT, || {
        Ok(test_host.query(&["readings", "--sensor", "m/a"])?.len() == 1)
    })
    .unwrap();
    assert_eq!(test_host.query(&["hourly", "--sensor", "m/a"]).unwrap()[0]["avg"], 2.0);
    assert_eq!(test_host.counts().unwrap()["readings"], 3, "the count includes deleted readings");
    host.stop().unwrap();
}
