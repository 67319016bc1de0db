//! Writes generated seeds into `corpus/`: snapshots, columns, segments, waveforms and recordings.
//! Build it with `cargo fuzz build --sanitizer none seeds`, and run it in the folder `fuzz`.

// Provides the functions that the coverage counters call.
use libfuzzer_sys as _;

use std::{fs, path::Path};

use wheeltapper_alert::{Alerter, Anomaly, Scores, Severity};
use wheeltapper_detect::{FeatureBlock, Stage};
use wheeltapper_featurize::{Batch, Featurizer, Waveform, features::WINDOW_FEATURES};
use wheeltapper_ingest::{Envelope, Ingester};
use wheeltapper_schedule::{Alert, Scheduler};
use wheeltapper_simulate::encode_waveform;

/// One second, in nanoseconds.
const SECOND: i64 = 1_000_000_000;
/// The start of the data, in nanoseconds since 1970.
const START: i64 = 1_700_000_000 * SECOND;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    snapshots()?;
    columns()?;
    segments()?;
    waveforms()?;
    recordings()?;
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn snapshots() -> Result<(), Box<dyn std::error::Error>> {
    let write_snapshot =
        |stage: u8, name: &str, bytes: Vec<u8>| write("snapshot", name, &[&[stage], bytes.as_slice()].concat());

    let mut ingester = Ingester::open("")?;
    write_snapshot(0, "seed-ingest-empty", ingester.snapshot())?;
    let births = [("spBv1.0/g/NBIRTH/n", b"load".as_slice(), 1), ("spBv1.0/g/DBIRTH/n/d", b"temp", 2)];
    for (source, name, alias) in births {
        let payload = sparkplug_birth(name, alias);
        ingester.decode([Envelope { source, format: None, sensor: None, arrival: START, payload: &payload }]);
    }
    write_snapshot(0, "seed-ingest", ingester.snapshot())?;

    let sensors = [("p/pump/vibration", "p/pump"), ("p/pump/temperature", "p/pump")];
    let mut featurizer = Featurizer::open("")?;
    write_snapshot(1, "seed-featurize-empty", featurizer.snapshot())?;
    let rows: Vec<(u32, i64, f64)> =
        (0..400).map(|row| (row as u32 % 2, START + i64::from(row / 2) * SECOND, f64::from(row).sin())).collect();
    let (sensor, time): (Vec<u32>, Vec<i64>) = rows.iter().map(|row| (row.0, row.1)).unzip();
    let value: Vec<f64> = rows.iter().map(|row| row.2).collect();
    let samples: Vec<f32> = (0..64).map(|at| (at as f32).sin()).collect();
    let waveforms = [Waveform { sensor: 0, start: START, rate: 1000.0, samples: &samples }];
    let out = featurizer.push(&Batch {
        sensors: &sensors,
        sensor: &sensor,
        time: &time,
        value: &value,
        waveforms: &waveforms,
        arrivals: &[],
    })?;
    write_snapshot(1, "seed-featurize", featurizer.snapshot())?;

    let mut stage = Stage::open(r#"{"warmup_windows":8,"spread_windows":0}"#).or_else(|_| Stage::open(""))?;
    write_snapshot(2, "seed-detect-empty", stage.snapshot())?;
    let table: Vec<(&str, &str)> = out.sensors.iter().map(|(name, asset)| (&**name, &**asset)).collect();
    let features: Vec<String> = WINDOW_FEATURES.iter().map(|&name| name.to_owned()).collect();
    for (number, rows) in [&out.windows[..4], &out.windows[4..]].into_iter().enumerate() {
        let block = FeatureBlock {
            features: &features,
            sensor: &rows.iter().map(|row| row.sensor).collect::<Vec<_>>(),
            start: &rows.iter().map(|row| row.start).collect::<Vec<_>>(),
            end: &rows.iter().map(|row| row.end).collect::<Vec<_>>(),
            count: &rows.iter().map(|row| row.count).collect::<Vec<_>>(),
            values: &rows.iter().flat_map(|row| row.values).collect::<Vec<_>>(),
        };
        stage.push(&table, &[block])?;
        write_snapshot(2, &format!("seed-detect-{number}"), stage.snapshot())?;
    }

    let mut alerter = Alerter::open("")?;
    write_snapshot(3, "seed-alert-empty", alerter.snapshot())?;
    for step in 0..6 {
        let (start, end) = (START + step * 10 * SECOND, START + step * 10 * SECOND + 30 * SECOND);
        let anomaly = Anomaly {
            id: format!("{step:032x}"),
            asset: "p/pump".into(),
            sensor: "p/pump/vibration".into(),
            feature: Some("rms".into()),
            start,
            end,
            score: 0.999,
            threshold: 0.9,
            severity: Severity::High,
            fault_mode: Some("imbalance".into()),
            message: "rms 9.1 mm/s instead of 2.0 mm/s".into(),
        };
        let scores = Scores { assets: &["p/pump"], asset: &[0], start: &[start], end: &[end], score: &[0.999] };
        alerter.push(&scores, &[anomaly])?;
    }
    write_snapshot(3, "seed-alert", alerter.snapshot())?;

    let schedule_config = r#"{"technicians":[{"name":"Ada","skills":["vibration-analyst","mechanic"],"hourly_cost":60,
        "shifts":[{"days":["mon","tue","wed","thu","fri"],"start":"06:00","end":"14:00"}]}],"horizon_hours":336}"#;
    let mut scheduler = Scheduler::open(schedule_config)?;
    write_snapshot(4, "seed-schedule-empty", scheduler.snapshot())?;
    scheduler.tick(START);
    scheduler.push(&[Alert {
        id: "a".repeat(32),
        asset: "p/pump".into(),
        sensor: "p/pump/vibration".into(),
        severity: wheeltapper_schedule::Severity::High,
        open: true,
        opened: START,
        updated: START,
        fault_mode: Some("bearing-impacts".into()),
        title: "p/pump: abnormal".into(),
        recommendation: "Look at it.".into(),
    }]);
    write_snapshot(4, "seed-schedule", scheduler.snapshot())?;
    Ok(())
}

/// Returns a Sparkplug birth with one metric of type double.
fn sparkplug_birth(name: &[u8], alias: u8) -> Vec<u8> {
    let mut metric = vec![0x0a, name.len() as u8];
    metric.extend(name);
    metric.extend([0x10, alias, 0x20, 0x0a, 0x69]);
    metric.extend(20.0_f64.to_le_bytes());
    [&[0x08, 0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31, 0x12, metric.len() as u8], metric.as_slice()].concat()
}

fn columns() -> std::io::Result<()> {
    let times: Vec<i64> = (0..64).map(|at| START + at * SECOND).collect();
    let values: Vec<f64> = (0..64).map(|at| f64::from(at).sin()).collect();
    for length in [0, 3, 64] {
        let integers = wheeltapper_store::encode_i64(&times[..length]);
        write("store-columns", &format!("seed-integers-{length}"), &[&[0], integers.as_slice()].concat())?;
        let doubles = wheeltapper_store::encode_f64(&values[..length]);
        write("store-columns", &format!("seed-doubles-{length}"), &[&[1], doubles.as_slice()].concat())?;
    }
    Ok(())
}

fn segments() -> std::io::Result<()> {
    let mut segment = Vec::new();
    for payload in [b"first".as_slice(), b"", &[7; 300], b"last"] {
        wheeltapper_log::encode_frame(payload, &mut segment);
    }
    write("log-segment", "seed-sound", &segment)?;
    write("log-segment", "seed-torn", &segment[..segment.len() - 2])?;
    write("log-segment", "seed-zeros", &[segment.as_slice(), &[0; 64]].concat())?;
    let mut flipped = segment;
    flipped[20] ^= 1;
    write("log-segment", "seed-flipped", &flipped)?;
    // Three records, followed by no damage, a flipped bit, a truncation, or zeros.
    let records = [&[3, 5, 0][..], b"first", &[0, 0, 4, 0], b"last"].concat();
    for (name, damage) in
        [("sound", &[][..]), ("flip", &[0, 0, 0, 10]), ("cut", &[1, 0, 0, 20]), ("zeros", &[2, 0, 0, 64])]
    {
        write("log-damage", &format!("seed-{name}"), &[records.as_slice(), damage].concat())?;
    }
    // A record within a record whose outer header is damaged, and many segments.
    let nested = [&[1, 6, 0][..], b"\xffinner", &[0, 0, 0, 0]].concat();
    write("log-damage", "seed-nested", &nested)?;
    let many: Vec<u8> =
        [20].into_iter().chain((0..20).flat_map(|number| [&[100, 0][..], &[number; 100]].concat())).collect();
    write("log-damage", "seed-many", &[many.as_slice(), &[0, 1, 0, 50, 3, 2, 0, 9]].concat())
}

fn waveforms() -> std::io::Result<()> {
    let samples: Vec<f32> = (0..32).map(|at| (at as f32).sin()).collect();
    write(
        "ingest-waveform",
        "seed-named",
        &[&[0], encode_waveform("m/v", START, 1000.0, &samples).as_slice()].concat(),
    )?;
    write(
        "ingest-waveform",
        "seed-mapped",
        &[&[1], encode_waveform("", START, 1000.0, &samples[..3]).as_slice()].concat(),
    )
}

fn recordings() -> std::io::Result<()> {
    for (name, kind, bytes) in [
        ("f4", "<f4", (0..40).flat_map(|at| (at as f32).to_le_bytes()).collect::<Vec<u8>>()),
        ("i2", ">i2", (0..40_i16).flat_map(i16::to_be_bytes).collect()),
        ("f8", "<f8", (0..20).flat_map(|at| f64::from(at).to_le_bytes()).collect()),
    ] {
        let width = kind[2..].parse::<usize>().unwrap_or(1);
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({},), }}\n", bytes.len() / width);
        let head = [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
        write("recording-npy", &format!("seed-{name}"), &[head, bytes].concat())?;
    }
    Ok(())
}
