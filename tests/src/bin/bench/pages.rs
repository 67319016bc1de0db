//! What each page of the dashboard asks for, at 10,000 sensors and 30 days of history.

use std::time::{Duration, Instant};

use anyhow::ensure;
use wheeltapper_store::{
    AlertRow, AnomalyRow, Commit, DriftRow, PrognosisRow, SensorReadings, Store, WaveformRow, WindowBlock, WindowRow,
    WorkOrderRow,
};
use wheeltapper_tests::{Plant, Running, SECOND, T0};

use crate::{Cli, Figures, bytes, memory, say};

const DAYS: i64 = 30;
const DAY: i64 = 86_400;
/// Sensors a machine.
const SENSORS: usize = 5;
/// Seconds between readings; of the busy machines one.
const PERIOD: i64 = 300;
const BUSY: usize = 10;
/// Readings of a chunk, as the store merges them.
const CHUNK: usize = 4_096;
/// Times that each question is asked.
const ROUNDS: usize = 20;
/// No page's data may take longer.
const MOST: Duration = Duration::from_millis(300);

fn machine(number: usize) -> String {
    format!("site-{}/hall-{}/machine-{number}", number % 5, number % 20)
}

fn sensor(number: usize) -> String {
    format!("{}/s{}", machine(number / SENSORS), number % SENSORS)
}

/// Deterministic noise in [0, 1).
#[allow(clippy::cast_precision_loss, reason = "noise")]
fn noise(seed: i64) -> f64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed());
    ((mixed ^ (mixed >> 29)) & 0xffff) as f64 / 65_536.0
}

pub(crate) fn pages(cli: &Cli, figures: &mut Figures) -> anyhow::Result<()> {
    let plant = Plant::new("")?;
    plant.start()?.stop()?;
    let began = Instant::now();
    let machines = cli.sensors / SENSORS;
    history(&plant, machines)?;
    println!("{} sensors, {DAYS} days of history made in {:.0} s", cli.sensors, began.elapsed().as_secs_f64());
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    say(figures, "pages_store", bytes(plant.path(), "wheeltapper.db") as f64 / 1e6, "MB", "the store's file");
    let host = plant.start()?;
    let busy = encode(&sensor(0));
    let asset = encode(&machine(0));
    let quiet = encode(&sensor(cli.sensors - 1));
    let ask = |name: &'static str, path: &str, figures: &mut Figures| question(&host, name, path, figures);
    ask("fleet: overview", "/api/v1/overview", figures)?;
    ask("fleet: machines, the worst 100", "/api/v1/machines?limit=100", figures)?;
    ask("fleet: open alerts", "/api/v1/alerts?state=open&limit=200", figures)?;
    ask("fleet: a machine deep in the list", "/api/v1/machines?limit=100&cursor=0000076c", figures)?;
    ask("assets tree", "/api/v1/assets", figures)?;
    ask("machine: its row", &format!("/api/v1/machines?asset={asset}"), figures)?;
    ask("machine: its sensors", &format!("/api/v1/sensors?asset={asset}"), figures)?;
    ask("machine: its alerts", &format!("/api/v1/alerts?asset={asset}&state=open"), figures)?;
    ask("machine: its orders", &format!("/api/v1/work-orders?asset={asset}"), figures)?;
    ask("machine: its prognoses", &format!("/api/v1/prognoses?asset={asset}&limit=200"), figures)?;
    ask("machine: its anomalies", &format!("/api/v1/anomalies?asset={asset}&limit=200"), figures)?;
    ask("machine: its bursts", &format!("/api/v1/waveforms?sensor={busy}&limit=24"), figures)?;
    ask("machine: its windows", &format!("/api/v1/windows?sensor={busy}&limit=200"), figures)?;
    let hour = T0 + (DAYS * DAY - 3600) * SECOND;
    ask("machine: an hour at 1 Hz", &format!("/api/v1/sensors/{busy}/readings?from={hour}&points=1000"), figures)?;
    ask("machine: 30 days at 1 Hz", &format!("/api/v1/sensors/{busy}/readings?points=1000"), figures)?;
    ask("machine: 30 days, a reading in 5 min", &format!("/api/v1/sensors/{quiet}/readings?points=1000"), figures)?;
    ask("anomaly", "/api/v1/anomalies/00000000000000000000000000000007", figures)?;
    ask("anomalies, newest", "/api/v1/anomalies?limit=100", figures)?;
    ask("anomalies, critical", "/api/v1/anomalies?severity=critical&limit=100", figures)?;
    ask("alerts", "/api/v1/alerts?limit=100", figures)?;
    ask("schedule: planned", "/api/v1/work-orders?status=planned&limit=1000", figures)?;
    ask("quality: dead letters", "/api/v1/dead-letters?limit=100", figures)?;
    ask("quality: drifts", "/api/v1/drifts?limit=100", figures)?;
    say(figures, "pages_memory", memory(host.id()), "MB", "the host's memory, at most");
    host.stop()
}

fn encode(id: &str) -> String {
    id.replace('/', "%2F")
}

fn question(host: &Running, name: &'static str, path: &str, figures: &mut Figures) -> anyhow::Result<()> {
    let mut took = Vec::new();
    let mut size = 0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let (status, body) = host.get(path)?;
        took.push(began.elapsed());
        ensure!(status == 200, "{path} answered {status}: {body}");
        size = body.len();
    }
    took.sort_unstable();
    let (first, worst) = (took[ROUNDS / 2], took[ROUNDS - 1]);
    let mark = if worst > MOST { " (over 300 ms)" } else { "" };
    say(figures, name, worst.as_secs_f64() * 1e3, "ms", &format!("{name}: slowest of {ROUNDS}{mark}"));
    println!("{:>80.1} ms at the median, {} kB", first.as_secs_f64() * 1e3, size / 1000);
    Ok(())
}

/// Writes the history as the line would have.
fn history(plant: &Plant, machines: usize) -> anyhow::Result<()> {
    let store = Store::open(&plant.path().join("data/wheeltapper.db"))?;
    let names: Vec<(String, String)> =
        (0..machines * SENSORS).map(|number| (sensor(number), machine(number / SENSORS))).collect();
    let rows: Vec<_> = names.iter().map(|(name, asset)| (name.as_str(), asset.as_str(), "mm/s", "vibration")).collect();
    let ids = store.register_sensors(&rows)?;
    let (busy, others) = ids.split_at(BUSY * SENSORS);
    readings(&store, busy, 1)?;
    for some in others.chunks(500) {
        readings(&store, some, PERIOD)?;
    }
    for number in 0..BUSY {
        bursts_and_windows(&store, number, &ids)?;
    }
    findings(&store, machines)
}

/// The same times for all, a chunk of each at once.
fn readings(store: &Store, ids: &[u32], period: i64) -> anyhow::Result<()> {
    let seconds: Vec<i64> = (0..DAYS * DAY).step_by(usize::try_from(period)?).collect();
    for some in seconds.chunks(CHUNK) {
        let column = |&sensor: &u32| SensorReadings {
            sensor,
            times: some.iter().map(|second| T0 + second * SECOND).collect(),
            values: some.iter().map(|second| 2.0 + noise(second + i64::from(sensor))).collect(),
        };
        let columns: Vec<SensorReadings> = ids.iter().map(column).collect();
        store.commit(&Commit { readings: &columns, ..Commit::default() })?;
    }
    Ok(())
}

fn bursts_and_windows(store: &Store, machine_number: usize, ids: &[u32]) -> anyhow::Result<()> {
    let sensors = &ids[machine_number * SENSORS..(machine_number + 1) * SENSORS];
    let bursts: Vec<WaveformRow> = (0..DAYS * 24)
        .map(|hour| WaveformRow {
            sensor: sensors[0],
            start: T0 + hour * 3600 * SECOND,
            rate: 25_600.0,
            #[allow(clippy::cast_possible_truncation, reason = "noise")]
            samples: (0..2048).map(|at| noise(hour * 2048 + at) as f32).collect(),
        })
        .collect();
    let features: Vec<String> = (0..17).map(|number| format!("feature_{number}")).collect();
    // A block a checkpoint, as the line writes them.
    let windows: Vec<WindowBlock> = (0..DAYS * 24 * 12)
        .map(|block| {
            let mut whole = WindowBlock {
                asset: machine(machine_number),
                features: features.clone(),
                rows: Vec::new(),
                values: Vec::new(),
            };
            for step in 0..3 {
                let start = T0 + (block * 300 + step * 10) * SECOND;
                for &sensor in sensors {
                    whole.rows.push(WindowRow { sensor, start, end: start + 30 * SECOND, count: 30 });
                    whole.values.extend((0..17).map(|feature| noise(block * 17 + feature)));
                }
            }
            whole
        })
        .collect();
    store.commit(&Commit { waveforms: &bursts, windows: &windows, ..Commit::default() })?;
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "made-up figures")]
fn findings(store: &Store, machines: usize) -> anyhow::Result<()> {
    let end = T0 + DAYS * DAY * SECOND;
    let severity = |number: usize| ["low", "medium", "high", "critical"][number % 4].to_owned();
    let anomalies: Vec<AnomalyRow> = (0..100_000_usize)
        .map(|number| {
            let time = end - i64::try_from(number).unwrap_or(0) * 25 * SECOND;
            AnomalyRow {
                id: format!("{number:032}"),
                detection_time: time,
                sensor: format!("{}/s0", machine(number % machines)),
                asset: machine(number % machines),
                start_time: time - 30 * SECOND,
                end_time: time,
                score: 0.9995,
                model: "ensemble".into(),
                severity: severity(number),
                handled: number % 3 == 0,
                threshold: 0.999,
                confidence: 0.9,
                fault_mode: Some("imbalance".into()),
                message: "velocity at shaft speed is 4.1 mm/s, normally 1.2".into(),
                metadata: r#"{"contributions":[{"sensor":"s0","feature":"rms","share":0.8,"expected":1.2,"actual":4.1,"unit":"mm/s"}],"trend":null}"#.into(),
            }
        })
        .collect();
    let alerts: Vec<AlertRow> = (0..10_000_usize)
        .map(|number| {
            let updated = end - i64::try_from(number).unwrap_or(0) * 250 * SECOND;
            AlertRow {
                id: format!("{number:032}"),
                asset: machine(number % machines),
                sensor: format!("{}/s0", machine(number % machines)),
                severity: severity(number),
                state: if number < 300 { "open" } else { "resolved" }.into(),
                opened: updated - 600 * SECOND,
                updated,
                resolved: (number >= 300).then_some(updated),
                anomalies: 12,
                peak_score: 0.9999,
                anomaly: format!("{number:032}"),
                fault_mode: Some("imbalance".into()),
                title: "imbalance".into(),
                message: "velocity at shaft speed is 4.1 mm/s, normally 1.2".into(),
                recommendation: "balance the rotor".into(),
            }
        })
        .collect();
    let drifts: Vec<DriftRow> = (0..5_000_usize)
        .map(|number| DriftRow {
            id: format!("{number:032}"),
            asset: machine(number % machines),
            time: end - i64::try_from(number).unwrap_or(0) * 500 * SECOND,
            kind: "drifted".into(),
            sensors: vec!["s0".into()],
            p_value: 1e-9,
            message: "s0 moved without an alarm".into(),
        })
        .collect();
    let work_orders: Vec<WorkOrderRow> = (0..5_000_usize).map(|number| order(number, machines, end)).collect();
    store.commit(&Commit {
        anomalies: &anomalies,
        alerts: &alerts,
        drifts: &drifts,
        work_orders: &work_orders,
        ..Commit::default()
    })?;
    // One an hour and machine.
    for hour in 0..DAYS * 24 {
        let prognoses: Vec<PrognosisRow> = (0..machines)
            .map(|number| PrognosisRow {
                asset: machine(number),
                time: T0 + hour * 3600 * SECOND,
                health: 1.0 - hour as f64 / 2000.0,
                p10_hours: Some(100.0),
                p50_hours: Some(200.0 + number as f64),
                p90_hours: Some(400.0),
                model: "degradation".into(),
            })
            .collect();
        store.commit(&Commit { prognoses: &prognoses, ..Commit::default() })?;
    }
    Ok(())
}

fn order(number: usize, machines: usize, end: i64) -> WorkOrderRow {
    WorkOrderRow {
        id: format!("{number:032}"),
        alert: format!("{number:032}"),
        asset: machine(number % machines),
        kind: "balancing".into(),
        priority: u8::try_from(number % 5 + 1).unwrap_or(5),
        status: if number < 300 { "planned" } else { "done" }.into(),
        scheduled: Some(end + (i64::try_from(number).unwrap_or(0) - 300) * 3600 * SECOND),
        duration_minutes: 120,
        technician: Some(format!("technician {}", number % 20)),
        skills: vec!["mechanic".into()],
        after: Vec::new(),
        cost: 250.0,
        notes: String::new(),
        pinned: false,
    }
}
