//! Twenty times kill -9 at random moments, under load over MQTT QoS 1 and HTTP: every acknowledged reading is stored
//! exactly once, every expected anomaly and alert is there exactly once.
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

use wheeltapper_tests::{Plant, Running, SECOND, T0, mqtt::Publisher, wait_until};

const KILLS: usize = 20;
/// Machines for each way in; their order of readings is that of one sender.
const MACHINES: usize = 3;
const SENSORS: usize = 3;
const CONFIG: &str = "[line]\ncheckpoint = \"300ms\"\n[detect]\nwarmup_windows = 10\n";

/// What a sensor reads: noise, and from time to time a stretch that no healthy machine has.
fn value(machine: usize, sensor: usize, second: i64) -> f64 {
    let mut noise = (second as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ ((machine * 17 + sensor) as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    noise ^= noise >> 29;
    noise = noise.wrapping_mul(0x94D0_49BB_1331_11EB);
    let healthy = 10.0 + (noise >> 40) as f64 / (1 << 24) as f64;
    if second > 300 && second % 500 > 400 { healthy + 8.0 } else { healthy }
}

/// All readings of one second of one way's machines, as one message a machine.
fn messages(way: &str, second: i64) -> Vec<(String, String)> {
    (0..MACHINES)
        .map(|machine| {
            let asset = format!("{way}/m{machine}");
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
    /// Seconds acknowledged, by way.
    http: AtomicU64,
    mqtt: AtomicU64,
}

impl Shared {
    fn address(&self) -> Option<(String, String)> {
        self.host.lock().unwrap().clone()
    }
}

/// Posts second after second; each again until it is acknowledged.
fn over_http(shared: &Shared) {
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

/// Publishes second after second with many messages under way; after a loss goes on behind the last acknowledged one.
fn over_mqtt(shared: &Shared) {
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
                    publisher.acknowledged()?;
                }
                second += 1;
                shared.mqtt.store(second as u64, Ordering::Relaxed);
            }
            Ok(())
        })();
        drop(lost);
    }
}

fn start(plant: &Plant, shared: &Shared) -> Running {
    let host = plant.start().unwrap();
    *shared.host.lock().unwrap() = Some((host.http.clone(), host.mqtt.clone()));
    host
}

/// What was found: anomalies and alerts by id, as they were exported.
fn findings(plant: &Plant) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for table in ["anomalies", "alerts"] {
        let rows = plant.query(&[table]).unwrap();
        for mut row in rows {
            // A person's mark, and when this run happened to see it, are not part of the finding.
            row.as_object_mut().unwrap().remove("handled");
            let id = format!("{table} {}", row["id"].as_str().unwrap());
            assert!(all.insert(id.clone(), row.to_string()).is_none(), "{id} is there twice");
        }
    }
    all
}

#[test]
fn nothing_is_lost_or_doubled_by_kills() {
    let plant = Plant::new(CONFIG).unwrap();
    let shared = Arc::new(Shared::default());
    let senders = [over_http, over_mqtt].map(|send| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || send(&shared))
    });
    let mut noise = u64::from(std::process::id()) | 1;
    for _ in 0..KILLS {
        let host = start(&plant, &shared);
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        thread::sleep(Duration::from_millis(50 + noise % 700));
        *shared.host.lock().unwrap() = None;
        host.kill().unwrap();
    }
    let host = start(&plant, &shared);
    let enough = || Ok(shared.http.load(Ordering::Relaxed) > 1000 && shared.mqtt.load(Ordering::Relaxed) > 1000);
    wait_until("enough readings", Duration::from_secs(120), enough).unwrap();
    shared.stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
    host.stop().unwrap();

    // Every acknowledged reading, exactly once and as it was sent.
    let ways = [("http", shared.http.load(Ordering::Relaxed)), ("mqtt", shared.mqtt.load(Ordering::Relaxed))];
    let mut last = BTreeMap::new();
    for (way, acknowledged) in ways {
        for machine in 0..MACHINES {
            for sensor in 0..SENSORS {
                let name = format!("{way}/m{machine}/s{sensor}");
                let rows = plant.query(&["readings", "--sensor", &name]).unwrap();
                let mut seen = HashSet::new();
                for row in &rows {
                    let time: String = row["time"].as_str().unwrap().to_owned();
                    assert!(seen.insert(time.clone()), "{name} has two readings at {time}");
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

    // The same readings without any kill give the same findings.
    let clean = Plant::new(CONFIG).unwrap();
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
    let (got, want) = (findings(&plant), findings(&clean));
    assert!(want.len() > 20, "too few findings to speak of: {}", want.len());
    let missing: Vec<_> = want.iter().filter(|(id, _)| !got.contains_key(*id)).collect();
    let surplus: Vec<_> = got.iter().filter(|(id, _)| !want.contains_key(*id)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}\nsurplus {surplus:?}");
    for (id, want) in &want {
        assert_eq!(&got[id], want, "{id} differs");
    }
}
