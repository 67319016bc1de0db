//! Measures the requests of each dashboard page with 10,000 sensors and 30 days of history.

use std::time::{Duration, Instant};

use anyhow::ensure;
use wheeltapper_store::{
    AlertRow, AnomalyRow, Commit, DriftRow, PrognosisRow, SensorReadings, Store, WaveformRow, WindowBlock, WindowRow,
    WorkOrderRow,
};
use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost};

use crate::{Cli, Figures, bytes, peak_memory, report};

const DAYS: i64 = 30;
const DAY: i64 = 86_400;
/// Sensors per machine.
const SENSORS: usize = 5;
/// Seconds between readings; one second for the busy machines.
const PERIOD: i64 = 300;
const BUSY: usize = 10;
/// Readings per chunk, as in the store after merging.
const CHUNK: usize = 4_096;
/// Repetitions of each request.
const ROUNDS: usize = 20;
/// Maximum response time for the data of a page.
const MAX_TIME: Duration = Duration::from_millis(300);

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
    let test_host = TestHost::without_compiled_components("")?;
    test_host.start()?.stop()?;
    let began = Instant::now();
    let machines = cli.sensors / SENSORS;
    history(&test_host, machines)?;
    println!("{} sensors, {DAYS} days of history generated in {:.0} s", cli.sensors, began.elapsed().as_secs_f64());
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    report(
        figures,
        "pages_store",
        bytes(test_host.path(), "wheeltapper.db") as f64 / 1e6,
        "MB",
        "size of the store file",
    );
    let host = test_host.start()?;
    let busy = encode(&sensor(0));
    let asset = encode(&machine(0));
    let quiet = encode(&sensor(cli.sensors - 1));
    let measure = |name: &'static str, path: &str, figures: &mut Figures| measure_page(&host, name, path, figures);
    measure("fleet: overview", "/api/v1/overview", figures)?;
    measure("fleet: machines, the worst 100", "/api/v1/machines?limit=100", figures)?;
    measure("fleet: open alerts", "/api/v1/alerts?state=open&limit=200", figures)?;
    measure("fleet: a machine deep in the list", "/api/v1/machines?limit=100&cursor=0000076c", figures)?;
    measure("assets tree", "/api/v1/assets", figures)?;
    measure("machine: its row", &format!("/api/v1/machines?asset={asset}"), figures)?;
    measure("machine: its sensors", &format!("/api/v1/sensors?asset={asset}"), figures)?;
    measure("machine: its alerts", &format!("/api/v1/alerts?asset={asset}&state=open"), figures)?;
    measure("machine: its orders", &format!("/api/v1/work-orders?asset={asset}"), figures)?;
    measure("machine: its prognoses", &format!("/api/v1/prognoses?asset={asset}&limit=200"), figures)?;
    measure("machine: its anomalies", &format!("/api/v1/anomalies?asset={asset}&limit=200"), figures)?;
    measure("machine: its bursts", &format!("/api/v1/waveforms?sensor={busy}&limit=24"), figures)?;
    measure("machine: its windows", &format!("/api/v1/windows?sensor={busy}&limit=200"), figures)?;
    let hour = T0 + (DAYS * DAY - 3600) * SECOND;
    measure("machine: an hour at 1 Hz", &format!("/api/v1/sensors/{busy}/readings?from={hour}&points=1000"), figures)?;
    measure("machine: 30 days at 1 Hz", &format!("/api/v1/sensors/{busy}/readings?points=1000"), figures)?;
    measure("machine: 30 days, a reading in 5 min", &format!("/api/v1/sensors/{quiet}/readings?points=1000"), figures)?;
    measure("anomaly", "/api/v1/anomalies/00000000000000000000000000000007", figures)?;
    measure("anomalies, newest", "/api/v1/anomalies?limit=100", figures)?;
    measure("anomalies, critical", "/api/v1/anomalies?severity=critical&limit=100", figures)?;
    measure("alerts", "/api/v1/alerts?limit=100", figures)?;
    measure("schedule: planned", "/api/v1/work-orders?status=planned&limit=1000", figures)?;
    measure("quality: dead letters", "/api/v1/dead-letters?limit=100", figures)?;
    measure("quality: drifts", "/api/v1/drifts?limit=100", figures)?;
    report(figures, "pages_memory", peak_memory(host.id()), "MB", "peak memory of the host");
    host.stop()
}

fn encode(id: &str) -> String {
    id.replace('/', "%2F")
}

fn measure_page(host: &RunningHost, name: &'static str, path: &str, figures: &mut Figures) -> anyhow::Result<()> {
    let mut durations = Vec::new();
    let mut size = 0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let (status, body) = host.get(path)?;
        durations.push(began.elapsed());
        ensure!(status == 200, "{path} answered {status}: {body}");
        size = body.len();
    }
    durations.sort_unstable();
    let (median, worst) = (durations[ROUNDS / 2], durations[ROUNDS - 1]);
    let mark = if worst > MAX_TIME { " (over 300 ms)" } else { "" };
    report(figures, name, worst.as_secs_f64() * 1e3, "ms", &format!("{name}: slowest of {ROUNDS}{mark}"));
    println!("{:>80.1} ms at the median, {} kB", median.as_secs_f64() * 1e3, size / 1000);
    Ok(())
}

/// Writes the history to the store in the same form as the line.
fn history(test_host: &TestHost, machines: usize) -> anyhow::Result<()> {
    let store = Store::open(&test_host.path().join("data/wheeltapper.db"))?;
    let names: Vec<(String, String)> =
        (0..machines * SENSORS).map(|number| (sensor(number), machine(number / SENSORS))).collect();
    let rows: Vec<_> = names.iter().map(|(name, asset)| (name.as_str(), asset.as_str(), "mm/s", "vibration")).collect();
    let ids = store.register_sensors(&rows)?;
    let (busy, others) = ids.split_at(BUSY * SENSORS);
    readings(&store, busy, 1)?;
    for part in others.chunks(500) {
        readings(&store, part, PERIOD)?;
    }
    for number in 0..BUSY {
        waveforms_and_windows(&store, number, &ids)?;
    }
    findings(&store, machines)
}

/// Writes readings with the same times for all sensors, one chunk of each sensor per commit.
fn readings(store: &Store, ids: &[u32], period: i64) -> anyhow::Result<()> {
    let seconds: Vec<i64> = (0..DAYS * DAY).step_by(usize::try_from(period)?).collect();
    for part in seconds.chunks(CHUNK) {
        let column = |&sensor: &u32| SensorReadings {
            sensor,
            times: part.iter().map(|second| T0 + second * SECOND).collect(),
            values: part.iter().map(|second| 2.0 + noise(second + i64::from(sensor))).collect(),
        };
        let columns: Vec<SensorReadings> = ids.iter().map(column).collect();
        store.commit(&Commit { readings: &columns, ..Commit::default() })?;
    }
    Ok(())
}

fn waveforms_and_windows(store: &Store, machine_number: usize, ids: &[u32]) -> anyhow::Result<()> {
    let sensors = &ids[machine_number * SENSORS..(machine_number + 1) * SENSORS];
    let waveforms: Vec<WaveformRow> = (0..DAYS * 24)
        .map(|hour| WaveformRow {
            sensor: sensors[0],
            start: T0 + hour * 3600 * SECOND,
            rate: 25_600.0,
            #[allow(clippy::cast_possible_truncation, reason = "noise")]
            samples: (0..2048).map(|at| noise(hour * 2048 + at) as f32).collect(),
        })
        .collect();
    let features: Vec<String> = (0..17).map(|number| format!("feature_{number}")).collect();
    // One block per checkpoint, as in the line.
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
    store.commit(&Commit { waveforms: &waveforms, windows: &windows, ..Commit::default() })?;
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "synthetic figures")]
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
            message: "s0 drifted without an alarm".into(),
        })
        .collect();
    let work_orders: Vec<WorkOrderRow> = (0..5_000_usize).map(|number| work_order(number, machines, end)).collect();
    store.commit(&Commit {
        anomalies: &anomalies,
        alerts: &alerts,
        drifts: &drifts,
        work_orders: &work_orders,
        ..Commit::default()
    })?;
    // One prognosis per hour and machine.
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

fn work_order(number: usize, machines: usize, end: i64) -> WorkOrderRow {
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
