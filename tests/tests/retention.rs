//! Nothing grows for ever: the topics and the store keep what they are told to keep.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, time::Duration};

use wheeltapper_tests::{Plant, SECOND, T0, wait_until};

const SOON: Duration = Duration::from_secs(60);

fn bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { bytes(&path) } else { fs::metadata(&path).map_or(0, |about| about.len()) }
        })
        .sum()
}

/// Two minutes of 40 sensors at a time, and a spike in every tenth second, so that every topic gets something.
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
        // Late by far: a dead letter of the line.
        body.push_str(&format!("{{\"sensor_id\":\"m0/s0\",\"timestamp\":{},\"values\":1}}\n", T0 - 3600 * SECOND));
        // No reading at all: a dead letter of ingest.
        body.push_str("nonsense\n");
    }
    body
}

#[test]
fn topics_keep_what_they_are_told() {
    let plant = Plant::new(
        "partitions = 1\n[line]\ncheckpoint = \"100ms\"\ntick = \"500ms\"\n\
         [log]\nsegment = \"64KiB\"\nretention_size = \"256KiB\"\n",
    )
    .unwrap();
    let host = plant.start().unwrap();
    let mut written = 0;
    for part in 0..60 {
        let body = body(part * 120);
        written += body.len();
        while host.post("application/x-ndjson", body.as_bytes()).unwrap().status != 202 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert!(written > 10 << 20);
    let log = plant.path().join("data/log");
    for topic in ["raw-sensor-data", "processed-data", "anomaly-events", "dlq-sensor-data"] {
        // The newest segment and what a follower has not taken yet stand beside what is kept.
        wait_until(topic, SOON, || Ok(bytes(&log.join(topic)) <= 2 * ((256 << 10) + (2 << 16)))).unwrap();
        assert!(bytes(&log.join(topic)) > 0, "{topic} is empty");
    }
    let counts = plant.counts().unwrap();
    host.stop().unwrap();
    // All of it is in the store nevertheless, and a start on what is left goes on.
    let host = plant.start().unwrap();
    host.post("application/x-ndjson", body(60 * 120).as_bytes()).unwrap();
    wait_until("readings after the restart", SOON, || {
        Ok(plant.counts()?["readings"].as_u64() > counts["readings"].as_u64())
    })
    .unwrap();
    host.stop().unwrap();
}

#[test]
fn the_store_drops_old_readings_and_keeps_their_hours() {
    let plant = Plant::new("[line]\ncheckpoint = \"100ms\"\ntick = \"1s\"\n[store]\nretention = \"24h\"\n").unwrap();
    let folder = plant.path().to_owned();
    fs::write(folder.join("old.csv"), "time,a\n2026-01-01 00:00:00,1\n2026-01-01 00:00:01,3\n2026-01-03 00:00:00,5\n")
        .unwrap();
    plant.output(&["replay", "old.csv", "--sensor", "m/{column}"]).unwrap();
    assert_eq!(plant.query(&["readings", "--sensor", "m/a"]).unwrap().len(), 3);
    let host = plant.start().unwrap();
    // Ages count from the newest: a recording of last year is not dropped as a whole.
    wait_until("the old readings' end", SOON, || Ok(plant.query(&["readings", "--sensor", "m/a"])?.len() == 1))
        .unwrap();
    assert_eq!(plant.query(&["hourly", "--sensor", "m/a"]).unwrap()[0]["avg"], 2.0);
    assert_eq!(plant.counts().unwrap()["readings"], 3, "what came in is still counted");
    host.stop().unwrap();
}
