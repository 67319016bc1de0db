//! Measures calls of single components.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use wheeltapper::components::{Detector, Featurizer, Ingester, InstanceLimits, Sandbox, wit};
use wheeltapper_simulate::LoadGenerator;
use wheeltapper_tests::{SECOND, T0};

use crate::{Figures, report};

/// Measures the cost of an empty component call, and the rate of ingest and featurize in the sandbox on one core.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn calls(figures: &mut Figures) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let limits = InstanceLimits { memory: 2 << 30, max_cpu_time: Duration::from_secs(60) };
    let sandbox = Sandbox::load(folder.path(), &BTreeMap::new(), limits)?;

    let mut ingester = Ingester::open(&sandbox, "", None)?;
    let rounds = 20_000;
    let began = Instant::now();
    for _ in 0..rounds {
        ingester.decode(&[])?;
    }
    report(
        figures,
        "call",
        began.elapsed().as_secs_f64() / f64::from(rounds) * 1e9,
        "ns",
        "an empty call of a component (ingest.decode of no events)",
    );

    let mut load = LoadGenerator::new(10_000, 1, T0, SECOND);
    let events: Vec<_> = (0..4096)
        .map(|_| {
            let mut payload = Vec::new();
            load.next_json(1, &mut payload);
            wit::ingest::Envelope {
                source: "bench".into(),
                format: None,
                sensor: None,
                arrival: T0 + 1000 * SECOND,
                payload,
            }
        })
        .collect();
    let began = Instant::now();
    let mut messages = 0_u64;
    while began.elapsed() < Duration::from_secs(3) {
        messages += ingester.decode(&events)?.readings.value.len() as u64;
    }
    report(
        figures,
        "ingest",
        messages as f64 / began.elapsed().as_secs_f64(),
        "messages/s",
        "ingest: JSON messages of one value, one core, in the sandbox",
    );

    let mut featurizer = Featurizer::open(&sandbox, "", None)?;
    let sensors = 1000_u32;
    let mut names = wit::types::Dictionary { text: String::new(), ends: Vec::new() };
    for sensor in 0..sensors {
        names.text.push_str(&LoadGenerator::new(1, 1, 0, 1).sensor_ids().concat());
        names.text.push_str(&sensor.to_string());
        names.ends.push(u32::try_from(names.text.len())?);
    }
    let assets = wit::types::Dictionary { text: "a".into(), ends: vec![1] };
    let table = wit::types::SensorTable { names, assets, asset: vec![0; sensors as usize] };
    let (mut readings, mut second) = (0_u64, 0);
    let mut spent = Duration::ZERO;
    while spent < Duration::from_secs(3) {
        let mut columns = wit::types::ReadingColumns { sensor: Vec::new(), time: Vec::new(), value: Vec::new() };
        for _ in 0..32 {
            for sensor in 0..sensors {
                columns.sensor.push(sensor);
                columns.time.push(T0 + second * SECOND);
                columns.value.push(f64::from(sensor) + (second % 17) as f64);
            }
            second += 1;
        }
        readings += columns.value.len() as u64;
        let batch = wit::types::ReadingBatch {
            sensors: table.clone(),
            readings: columns,
            waveforms: Vec::new(),
            arrivals: Vec::new(),
        };
        let began = Instant::now();
        featurizer.push(&batch)?;
        spent += began.elapsed();
    }
    window_paths(&sandbox, figures)?;
    report(
        figures,
        "featurize",
        readings as f64 / spent.as_secs_f64(),
        "readings/s",
        "featurize: 1,000 sensors at 1 Hz, windows of 30 s by 10 s, one core, in the sandbox",
    );
    Ok(())
}

/// Measures one window through featurize and detect in the sandbox, after learning: for readings, and for a waveform of
/// 2,048 samples with the spectral lines of a known bearing.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn window_paths(sandbox: &Sandbox, figures: &mut Figures) -> anyhow::Result<()> {
    const ASSETS: u32 = 50;
    const SENSORS: u32 = 10;
    let names: Vec<String> =
        (0..ASSETS * SENSORS).map(|sensor| format!("m{}/s{}", sensor / SENSORS, sensor % SENSORS)).collect();
    let dictionary = |names: &[String]| {
        let mut dictionary = wit::types::Dictionary { text: String::new(), ends: Vec::new() };
        for name in names {
            dictionary.text.push_str(name);
            dictionary.ends.push(u32::try_from(dictionary.text.len()).unwrap_or(u32::MAX));
        }
        dictionary
    };
    let assets: Vec<String> = (0..ASSETS).map(|asset| format!("m{asset}")).collect();
    let table = wit::types::SensorTable {
        names: dictionary(&names),
        assets: dictionary(&assets),
        asset: (0..ASSETS * SENSORS).map(|sensor| sensor / SENSORS).collect(),
    };
    let (mut featurizer, mut detector) =
        (Featurizer::open(sandbox, "", None)?, Detector::open(sandbox, r#"{"learn":1}"#, None)?);
    let mut noise = 1_u64;
    let mut random = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise % 2000) as f64 / 1000.0 - 1.0
    };
    let (mut spent, mut windows) = (Duration::ZERO, 0_usize);
    for round in 0..80_i64 {
        let mut columns = wit::types::ReadingColumns { sensor: Vec::new(), time: Vec::new(), value: Vec::new() };
        for second in round * 10..round * 10 + 10 {
            for sensor in 0..ASSETS * SENSORS {
                columns.sensor.push(sensor);
                columns.time.push(T0 + second * SECOND);
                columns.value.push(10.0 + random());
            }
        }
        let batch = wit::types::ReadingBatch {
            sensors: table.clone(),
            readings: columns,
            waveforms: Vec::new(),
            arrivals: Vec::new(),
        };
        let began = Instant::now();
        let features = featurizer.push(&batch)?.features;
        detector.push(&features)?;
        // All machines have finished learning after 45 windows.
        if round > 55 {
            spent += began.elapsed();
            windows += features.blocks.iter().map(|block| block.sensor.len()).sum::<usize>();
        }
    }
    let cost = spent.as_secs_f64() * 1e6 / windows as f64;
    report(figures, "window_path", cost, "us", "a sensor's window through featurize and detect, in the sandbox");

    let config = r#"{"sensors":{"m0/s0":{"unit":"m/s2","rpm":1480,"bearing":"6205"}}}"#;
    let (mut featurizer, mut detector) = (Featurizer::open(sandbox, config, None)?, Detector::open(sandbox, "", None)?);
    let (mut spent, mut waveforms) = (Duration::ZERO, 0_u32);
    for number in 0..300_i64 {
        let samples = (0..2048).map(|_| random() as f32).collect();
        let waveform = wit::types::Waveform { sensor: 0, start: T0 + number * SECOND, rate: 25_600.0, samples };
        let readings = wit::types::ReadingColumns { sensor: Vec::new(), time: Vec::new(), value: Vec::new() };
        let batch = wit::types::ReadingBatch {
            sensors: table.clone(),
            readings,
            waveforms: vec![waveform],
            arrivals: Vec::new(),
        };
        let began = Instant::now();
        let features = featurizer.push(&batch)?.features;
        detector.push(&features)?;
        if number > 50 {
            spent += began.elapsed();
            waveforms += 1;
        }
    }
    let cost = spent.as_secs_f64() * 1e3 / f64::from(waveforms);
    report(figures, "burst_path", cost, "ms", "a waveform of 2,048 samples, envelope and bearing lines, the same path");
    Ok(())
}
