//! Kills the host 20 times with SIGKILL at random times under load over MQTT QoS 1 and HTTP. Each acknowledged reading
//! must be stored exactly once, and each expected anomaly and alert must exist exactly once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost, mqtt::Publisher, wait_until};

const KILLS: usize = 20;
/// Machines per transport; one sender per transport keeps their readings in order.
const MACHINES: usize = 3;
const SENSORS: usize = 3;
const CONFIG: &str = "[line]\ncheckpoint = \"300ms\"\n[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n";

/// The value of a sensor: noise, with an abnormal offset for 99 of every 500 seconds after second 300.
fn value(machine: usize, sensor: usize, second: i64) -> f64 {
    let mut noise = (second as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ ((machine * 17 + sensor) as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    noise ^= noise >> 29;
    noise = noise.wrapping_mul(0x94D0_49BB_1331_11EB);
    let healthy = 10.0 + (noise >> 40) as f64 / (1 << 24) as f64;
    if second > 300 && second % 500 > 400 { healthy + 8.0 } else { healthy }
}

/// All readings of one second of one transport's machines, one message per machine.
fn messages(transport: &str, second: i64) -> Vec<(String, String)> {
    (0..MACHINES)
        .map(|machine| {
            let asset = format!("{transport}/m{machine}");
            let readings: Vec<String> = (0..SENSORS)
                .map(|sensor| {
                    let (time, value) = (T0 + second * SECOND, value(machine, sensor, second));
                    format!(r#"{{"sensor_id":"{asset}/s{sensor}","timestamp":{time},"values":{value}}}"#)
                })
                .collect();
            (asset, format!("[{}]", readings.join(",")))
        })
        .collect()
}

#[derive(Debug, Default)]
struct Shared {
    host: Mutex<Option<(String, String)>>,
    stop: AtomicBool,
    /// Number of acknowledged seconds over HTTP.
    http: AtomicU64,
    /// Number of acknowledged seconds over MQTT.
    mqtt: AtomicU64,
}

impl Shared {
    fn address(&self) -> Option<(String, String)> {
        self.host.lock().unwrap().clone()
    }
}

/// Posts five seconds of readings at a time; repeats each request until it is acknowledged.
fn send_over_http(shared: &Shared) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .into();
    let mut second = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        let body: Vec<String> =
            (second..second + 5).flat_map(|second| messages("http", second)).map(|(_, body)| body).collect();
        let Some((http, _)) = shared.address() else {
            thread::sleep(Duration::from_millis(2));
            continue;
        };
        let answer = agent
            .post(format!("http://{http}/api/v1/ingest"))
            .header("Content-Type", "application/x-ndjson")
            .send(body.join("\n"));
        if answer.is_ok_and(|answer| answer.status() == 202) {
            second += 5;
            shared.http.store(second as u64, Ordering::Relaxed);
        }
    }
}

/// Publishes up to 50 seconds ahead; after a lost connection continues after the last acknowledged second.
fn send_over_mqtt(shared: &Shared) {
    let mut second = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        let Some((_, mqtt)) = shared.address() else {
            thread::sleep(Duration::from_millis(2));
            continue;
        };
        let lost: io::Result<()> = (|| {
            let mut publisher = Publisher::connect(&mqtt, "crash")?;
            let mut sent = second;
            while !shared.stop.load(Ordering::Relaxed) {
                while sent < second + 50 {
                    for (topic, body) in messages("mqtt", sent) {
                        publisher.publish(&topic, body.as_bytes())?;
                    }
                    sent += 1;
                }
                publisher.flush()?;
                for _ in 0..MACHINES {
                    publisher.wait_for_puback()?;
                }
                second += 1;
                shared.mqtt.store(second as u64, Ordering::Relaxed);
            }
            Ok(())
        })();
        drop(lost);
    }
}

fn start(test_host: &TestHost, shared: &Shared) -> RunningHost {
    let host = test_host.start().unwrap();
    *shared.host.lock().unwrap() = Some((host.http.clone(), host.mqtt.clone()));
    host
}

/// Anomalies and alerts by ID, as returned by `query`.
fn findings(test_host: &TestHost) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for table in ["anomalies", "alerts"] {
        let rows = test_host.query(&[table]).unwrap();
        for mut row in rows {
            // `handled` is set by a user and is not part of the finding.
            row.as_object_mut().unwrap().remove("handled");
            let id = format!("{table} {}", row["id"].as_str().unwrap());
            assert!(all.insert(id.clone(), row.to_string()).is_none(), "{id} exists twice");
        }
    }
    all
}

#[test]
fn kills_neither_lose_nor_duplicate_readings_and_findings() {
    let test_host = TestHost::new(CONFIG).unwrap();
    let shared = Arc::new(Shared::default());
    let senders = [send_over_http, send_over_mqtt].map(|send| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || send(&shared))
    });
    let mut noise = u64::from(std::process::id()) | 1;
    for _ in 0..KILLS {
        let host = start(&test_host, &shared);
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        thread::sleep(Duration::from_millis(50 + noise % 700));
        *shared.host.lock().unwrap() = None;
        host.kill().unwrap();
    }
    let host = start(&test_host, &shared);
    let enough = || Ok(shared.http.load(Ordering::Relaxed) > 1000 && shared.mqtt.load(Ordering::Relaxed) > 1000);
    wait_until("enough readings", Duration::from_secs(120), enough).unwrap();
    shared.stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
    host.stop().unwrap();

    // Each acknowledged reading is stored exactly once with the sent value.
    let transports = [("http", shared.http.load(Ordering::Relaxed)), ("mqtt", shared.mqtt.load(Ordering::Relaxed))];
    let mut last = BTreeMap::new();
    for (transport, acknowledged) in transports {
        for machine in 0..MACHINES {
            for sensor in 0..SENSORS {
                let name = format!("{transport}/m{machine}/s{sensor}");
                let rows = test_host.query(&["readings", "--sensor", &name]).unwrap();
                let mut times = HashSet::new();
                for row in &rows {
                    let time: String = row["time"].as_str().unwrap().to_owned();
                    assert!(times.insert(time.clone()), "{name} has two readings at {time}");
                }
                assert!(
                    rows.len() as u64 >= acknowledged,
                    "{name}: {acknowledged} acknowledged, {} stored",
                    rows.len()
                );
                for (second, row) in rows.iter().enumerate() {
                    assert_eq!(
                        row["value"].as_f64().unwrap(),
                        value(machine, sensor, second as i64),
                        "{name} at second {second}"
                    );
                }
                last.insert(name, rows.len() as i64);
            }
        }
    }

    // The same readings without kills give the same findings.
    let clean = TestHost::new(CONFIG).unwrap();
    let host = clean.start().unwrap();
    let longest = last.values().copied().max().unwrap();
    for from in (0..longest).step_by(200) {
        let mut body = String::new();
        for second in from..(from + 200).min(longest) {
            for (name, &count) in &last {
                if second < count {
                    let (machine, sensor) = (name.as_bytes()[6] - b'0', name.as_bytes()[9] - b'0');
                    let (time, value) = (T0 + second * SECOND, value(machine.into(), sensor.into(), second));
                    body.push_str(&format!("{{\"sensor_id\":\"{name}\",\"timestamp\":{time},\"values\":{value}}}\n"));
                }
            }
        }
        assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
    }
    host.stop().unwrap();
    let (actual, expected) = (findings(&test_host), findings(&clean));
    assert!(expected.len() > 20, "too few findings: {}", expected.len());
    let missing: Vec<_> = expected.iter().filter(|(id, _)| !actual.contains_key(*id)).collect();
    let surplus: Vec<_> = actual.iter().filter(|(id, _)| !expected.contains_key(*id)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}\nsurplus {surplus:?}");
    for (id, expected) in &expected {
        assert_eq!(&actual[id], expected, "{id} differs");
    }
}
