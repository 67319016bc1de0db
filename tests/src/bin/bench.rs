//! `cargo xtask bench`: what the built binary carries, measured through its own front doors.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use serde_json::{Value, json};
use wheeltapper::components::{Detector, Featurizer, Ingester, Limits, Sandbox, wit};
use wheeltapper_simulate::LoadGenerator;
use wheeltapper_tests::{Plant, Running, SECOND, T0, mqtt::Publisher, wait_until};

/// Measures the built binary and prints the figures, with the machine named.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Cli {
    /// Which: throughput, mqtt, latency, start, calls [default: all]
    measurements: Vec<String>,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds of load for each measurement
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Sensors of the throughput measurement
    #[arg(long, default_value_t = 10_000)]
    sensors: usize,
}

type Figures = BTreeMap<&'static str, Value>;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let mut figures = Figures::new();
    let machine = machine();
    println!("machine: {machine}");
    figures.insert("machine", machine.into());
    let wanted = |name: &str| cli.measurements.is_empty() || cli.measurements.iter().any(|each| each == name);
    if wanted("throughput") {
        throughput(&cli, &mut figures)?;
    }
    if wanted("mqtt") {
        mqtt(&cli, 1, &mut figures)?;
        mqtt(&cli, 10, &mut figures)?;
    }
    if wanted("latency") {
        latency(&cli, &mut figures)?;
    }
    if wanted("start") {
        start(&mut figures)?;
    }
    if wanted("calls") {
        calls(&mut figures)?;
    }
    if let Some(file) = &cli.json {
        fs::write(file, serde_json::to_string_pretty(&figures)? + "\n")
            .with_context(|| format!("writing {}", file.display()))?;
        println!("written to {}", file.display());
    }
    Ok(())
}

fn say(figures: &mut Figures, key: &'static str, value: f64, unit: &str, what: &str) {
    let shown = if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    println!("{what:<72} {shown:>12} {unit}");
    figures.insert(key, json!({ "value": value, "unit": unit, "what": what }));
}

/// Processor, cores, memory, system.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown").trim().to_owned()
    };
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processor = after(&read("/proc/cpuinfo"), "model name");
    let memory = after(&read("/proc/meminfo"), "MemTotal");
    format!("{processor}, {cores} cores, {memory}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

/// Resident memory of a process, in MB.
fn memory(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Bytes of files in a folder whose name has `part` in it.
fn bytes(folder: &Path, part: &str) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => bytes(&entry.path(), part),
            Ok(about) if entry.path().to_string_lossy().contains(part) => about.len(),
            _ => 0,
        })
        .sum()
}

/// One connection that posts bodies, at most one under way.
struct Poster {
    out: TcpStream,
    input: BufReader<TcpStream>,
    head: String,
}

impl Poster {
    fn connect(address: &str) -> anyhow::Result<Self> {
        let out = TcpStream::connect(address)?;
        out.set_nodelay(true)?;
        let head = format!(
            "POST /api/v1/ingest HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\nContent-Length: "
        );
        Ok(Self { input: BufReader::new(out.try_clone()?), out, head })
    }

    fn post(&mut self, body: &[u8]) -> anyhow::Result<u16> {
        let head = format!("{}{}\r\n\r\n", self.head, body.len());
        self.out.write_all(head.as_bytes())?;
        self.out.write_all(body)?;
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
        let mut length = 0;
        loop {
            line.clear();
            self.input.read_line(&mut line)?;
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut rest = vec![0; length];
        self.input.read_exact(&mut rest)?;
        Ok(status)
    }
}

const CONFIG: &str = "[line]\ncheckpoint = \"5s\"\n[log]\nretention_size = \"40GiB\"\n";

/// All that was sent has gone through all stages and lies in the store.
fn settled(plant: &Plant, sent: u64) -> anyhow::Result<()> {
    wait_until("all readings in the store", Duration::from_secs(300), || {
        Ok(plant.counts()?["readings"].as_u64() >= Some(sent))
    })
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn throughput(cli: &Cli, figures: &mut Figures) -> anyhow::Result<()> {
    const READINGS: usize = 5000;
    const CONNECTIONS: usize = 2;
    let plant = Plant::new(CONFIG)?;
    let host = plant.start()?;
    let began = Instant::now();
    let until = began + Duration::from_secs(cli.seconds);
    let sent: u64 = thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let address = host.http.clone();
                let sensors = cli.sensors / CONNECTIONS;
                scope.spawn(move || -> anyhow::Result<u64> {
                    let mut poster = Poster::connect(&address)?;
                    // Each connection has machines of its own, so that one machine's readings stay in order.
                    let mut load = LoadGenerator::new(sensors, READINGS, T0, SECOND);
                    let (mut body, mut sent) = (Vec::new(), 0);
                    while Instant::now() < until {
                        let readings = load.next_body(&mut body);
                        let own = rename(&body, connection);
                        while poster.post(&own)? != 202 {
                            thread::sleep(Duration::from_millis(20));
                        }
                        sent += readings;
                    }
                    Ok(sent)
                })
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?)
            .sum::<anyhow::Result<u64>>()
    })?;
    let acknowledged = began.elapsed();
    settled(&plant, sent)?;
    let through = began.elapsed();
    let name = "HTTP NDJSON in, all stages, fsynced, in the store; load generator included";
    say(figures, "throughput", sent as f64 / through.as_secs_f64(), "readings/s", name);
    say(
        figures,
        "throughput_acknowledged",
        sent as f64 / acknowledged.as_secs_f64(),
        "readings/s",
        "  of which acknowledged (durable in the log) at",
    );
    say(figures, "memory", memory(host.id()), "MB", "  peak resident memory of the host");
    let windows = plant.counts()?["windows"].as_u64().unwrap_or(0);
    say(figures, "windows", windows as f64 / through.as_secs_f64(), "windows/s", "  windows computed and scored");
    let stored = plant.counts()?["readings"].as_u64().unwrap_or(0);
    host.stop()?;
    let log = bytes(&plant.path().join("data/log"), "raw-sensor-data");
    let store =
        plant.query(&["sql", "select coalesce(sum(length(times) + length(vals)), 0) n from reading_chunks"]).ok();
    say(figures, "log_bytes", log as f64 / stored as f64, "bytes", "  a reading in the log");
    if let Some(Value::Number(chunks)) = store.and_then(|rows| rows.first()?.get("n").cloned()) {
        say(
            figures,
            "store_bytes_reading",
            chunks.as_f64().unwrap_or(0.0) / stored as f64,
            "bytes",
            "  a reading in the store, compressed columns",
        );
    }
    let whole = bytes(&plant.path().join("data"), "wheeltapper.db");
    say(
        figures,
        "store_bytes",
        whole as f64 / stored as f64,
        "bytes",
        "  a reading in the whole store file, windows included",
    );
    Ok(())
}

/// Gives each connection's sensors a line of their own: `bench/` becomes `benc0/`, of the same length.
fn rename(body: &[u8], connection: usize) -> Vec<u8> {
    let digit = b'0' + u8::try_from(connection).unwrap_or(0);
    let mut own = body.to_vec();
    let mut from = 0;
    while let Some(at) = own.get(from..).and_then(|rest| rest.iter().position(|&byte| byte == b'\n')) {
        if let Some(letter) = own.get_mut(from + 18) {
            *letter = digit;
        }
        from += at + 1;
    }
    own
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn mqtt(cli: &Cli, readings: usize, figures: &mut Figures) -> anyhow::Result<()> {
    const UNDER_WAY: usize = 800;
    const GROUP: usize = 200;
    let plant = Plant::new(CONFIG)?;
    let host = plant.start()?;
    let mut publisher = Publisher::connect(&host.mqtt, "bench")?;
    let mut load = LoadGenerator::new(1000, 1, T0, SECOND);
    let mut body = Vec::new();
    let began = Instant::now();
    let until = began + Duration::from_secs(cli.seconds);
    let mut messages = 0_u64;
    while Instant::now() < until {
        for _ in 0..GROUP {
            load.next_json(readings, &mut body);
            publisher.publish("bench", &body)?;
        }
        publisher.flush()?;
        messages += GROUP as u64;
        while publisher.waiting() > UNDER_WAY - GROUP {
            publisher.acknowledged()?;
        }
    }
    while publisher.waiting() > 0 {
        publisher.acknowledged()?;
    }
    let rate = messages as f64 / began.elapsed().as_secs_f64();
    settled(&plant, messages * readings as u64)?;
    match readings {
        1 => say(
            figures,
            "mqtt_1",
            rate,
            "messages/s",
            "MQTT QoS 1, 1 reading a message, PUBACK after fdatasync, 1 connection",
        ),
        _ => say(
            figures,
            "mqtt_10",
            rate,
            "messages/s",
            "MQTT QoS 1, 10 readings a message, PUBACK after fdatasync, 1 connection",
        ),
    }
    host.stop()
}

/// 10,000 readings a second of 1,000 machines; one machine in a hundred turns bad after the warm-up.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn latency(cli: &Cli, figures: &mut Figures) -> anyhow::Result<()> {
    const SENSORS: usize = 10_000;
    const BODIES: usize = 100;
    // Learning is over by then.
    const WARM: i64 = 60;
    // Windows of a second, so that many anomalies fall into the measurement, and no lateness to wait for.
    let config = "[windows]\nsize = \"3s\"\nslide = \"1s\"\nlateness = \"0s\"\n";
    let plant = Plant::new(config)?;
    let host = plant.start()?;
    let mut poster = Poster::connect(&host.http)?;
    let seconds = i64::try_from(cli.seconds).unwrap_or(15).max(35) + WARM;
    let mut noise = 1_u64;
    let start = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos())? - SECOND;
    let began = Instant::now();
    for second in 0..seconds {
        for part in 0..BODIES {
            let due = Duration::from_secs_f64(second as f64 + part as f64 / BODIES as f64);
            thread::sleep(due.saturating_sub(began.elapsed()));
            let mut body = String::with_capacity(12_000);
            for sensor in part * SENSORS / BODIES..(part + 1) * SENSORS / BODIES {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                let machine = sensor / 10;
                let bad = if machine % 100 == 0 && second > WARM { 50.0 } else { 0.0 };
                let value = 20.0 + bad + (noise % 1000) as f64 / 1000.0;
                let time = start + second * SECOND + i64::try_from(part)? * (SECOND / 100);
                body.push_str(&format!(
                    "{{\"sensor_id\":\"l/m{machine}/s{}\",\"timestamp\":{time},\"values\":{value}}}\n",
                    sensor % 10
                ));
            }
            ensure!(poster.post(body.as_bytes())? == 202, "the host did not take a body");
        }
    }
    thread::sleep(Duration::from_millis(500));
    let found = quantiles(&host, "wheeltapper_reading_to_anomaly_seconds")?;
    ensure!(found.2 > 50.0, "too few anomalies to measure: {}", found.2);
    say(
        figures,
        "latency_p50",
        found.0 * 1e3,
        "ms",
        "reading's arrival to its anomaly committed, 10,000 readings/s: p50, at most",
    );
    say(figures, "latency_p99", found.1 * 1e3, "ms", "  p99, at most");
    say(figures, "latency_anomalies", found.2, "", "  anomalies measured");
    host.stop()
}

/// p50 and p99 (the upper edges of their buckets) and the number of a histogram of Prometheus.
fn quantiles(host: &Running, name: &str) -> anyhow::Result<(f64, f64, f64)> {
    let (_, text) = host.get("/metrics")?;
    let mut buckets = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(&format!("{name}_bucket{{le=\"")) {
            let (edge, count) = rest.split_once("\"} ").context("a bucket's form")?;
            buckets.push((edge.parse::<f64>().unwrap_or(f64::INFINITY), count.trim().parse::<f64>()?));
        }
    }
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    let at = |share: f64| buckets.iter().find(|(_, count)| *count >= share * total).map_or(f64::NAN, |(edge, _)| *edge);
    Ok((at(0.5), at(0.99), total))
}

fn start(figures: &mut Figures) -> anyhow::Result<()> {
    let plant = Plant::new("")?;
    let first = plant.start()?;
    say(
        figures,
        "start_first",
        first.took.as_secs_f64() * 1e3,
        "ms",
        "first start: components compiled, HTTP and MQTT ready",
    );
    first.stop()?;
    let mut took: Vec<f64> = Vec::new();
    for _ in 0..5 {
        let host = plant.start()?;
        took.push(host.took.as_secs_f64() * 1e3);
        host.stop()?;
    }
    took.sort_by(f64::total_cmp);
    say(
        figures,
        "start",
        took.get(2).copied().unwrap_or(f64::NAN),
        "ms",
        "cold start, compiled components cached (median of 5)",
    );
    Ok(())
}

/// What a call of a component costs, and how fast ingest and featurize are inside the sandbox, on one core.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn calls(figures: &mut Figures) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let limits = Limits { memory: 2 << 30, deadline: Duration::from_secs(60) };
    let sandbox = Sandbox::load(folder.path(), &BTreeMap::new(), limits)?;

    let mut ingester = Ingester::open(&sandbox, "", None)?;
    let rounds = 20_000;
    let began = Instant::now();
    for _ in 0..rounds {
        ingester.decode(&[])?;
    }
    say(
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
    say(
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
        let batch = wit::types::ReadingBatch { sensors: table.clone(), readings: columns, waveforms: Vec::new() };
        let began = Instant::now();
        featurizer.push(&batch)?;
        spent += began.elapsed();
    }
    paths(&sandbox, figures)?;
    say(
        figures,
        "featurize",
        readings as f64 / spent.as_secs_f64(),
        "readings/s",
        "featurize: 1,000 sensors at 1 Hz, windows of 30 s by 10 s, one core, in the sandbox",
    );
    Ok(())
}

/// A window's whole way through featurize and detect inside the sandbox, after learning: of readings, and of a burst of 2,048
/// samples with the lines of a known bearing.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn paths(sandbox: &Sandbox, figures: &mut Figures) -> anyhow::Result<()> {
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
        let batch = wit::types::ReadingBatch { sensors: table.clone(), readings: columns, waveforms: Vec::new() };
        let began = Instant::now();
        let features = featurizer.push(&batch)?.features;
        detector.push(&features)?;
        // All have learnt after 45 windows.
        if round > 55 {
            spent += began.elapsed();
            windows += features.blocks.iter().map(|block| block.sensor.len()).sum::<usize>();
        }
    }
    let cost = spent.as_secs_f64() * 1e6 / windows as f64;
    say(figures, "window_path", cost, "us", "a sensor's window through featurize and detect, in the sandbox");

    let config = r#"{"sensors":{"m0/s0":{"unit":"m/s2","rpm":1480,"bearing":"6205"}}}"#;
    let (mut featurizer, mut detector) = (Featurizer::open(sandbox, config, None)?, Detector::open(sandbox, "", None)?);
    let (mut spent, mut bursts) = (Duration::ZERO, 0_u32);
    for number in 0..300_i64 {
        let samples = (0..2048).map(|_| random() as f32).collect();
        let burst = wit::types::Waveform { sensor: 0, start: T0 + number * SECOND, rate: 25_600.0, samples };
        let readings = wit::types::ReadingColumns { sensor: Vec::new(), time: Vec::new(), value: Vec::new() };
        let batch = wit::types::ReadingBatch { sensors: table.clone(), readings, waveforms: vec![burst] };
        let began = Instant::now();
        let features = featurizer.push(&batch)?.features;
        detector.push(&features)?;
        if number > 50 {
            spent += began.elapsed();
            bursts += 1;
        }
    }
    let cost = spent.as_secs_f64() * 1e3 / f64::from(bursts);
    say(figures, "burst_path", cost, "ms", "a burst of 2,048 samples, envelope and bearing lines, the same way");
    Ok(())
}
