//! Measures all stages together, through HTTP and MQTT.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use wheeltapper_simulate::LoadGenerator;
use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost, mqtt::Publisher, wait_until};

use crate::{Cli, Figures, bytes, peak_memory, report};

/// One HTTP connection that posts one body at a time.
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

/// Waits until the store holds `sent` readings.
fn wait_until_stored(test_host: &TestHost, sent: u64) -> anyhow::Result<()> {
    wait_until("all readings in the store", Duration::from_secs(300), || {
        Ok(test_host.counts()?["readings"].as_u64() >= Some(sent))
    })
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn throughput(cli: &Cli, figures: &mut Figures) -> anyhow::Result<()> {
    const READINGS: usize = 5000;
    const CONNECTIONS: usize = 2;
    let test_host = TestHost::without_compiled_components(CONFIG)?;
    let host = test_host.start()?;
    let began = Instant::now();
    let until = began + Duration::from_secs(cli.seconds);
    let sent: u64 = thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let address = host.http.clone();
                let sensors = cli.sensors / CONNECTIONS;
                scope.spawn(move || -> anyhow::Result<u64> {
                    let mut poster = Poster::connect(&address)?;
                    // Each connection has its own machines, so that the readings of one machine stay in order.
                    let mut load = LoadGenerator::new(sensors, READINGS, T0, SECOND);
                    let (mut body, mut sent) = (Vec::new(), 0);
                    while Instant::now() < until {
                        let readings = load.next_body(&mut body);
                        let own = set_connection(&body, connection);
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
    // A stopping host processes and stores everything it accepted at once; a running host waits for the next
    // checkpoint.
    let peak = watch_memory(host.id());
    host.stop()?;
    let finished = began.elapsed();
    let counts = test_host.counts()?;
    ensure!(counts["readings"].as_u64() == Some(sent), "{sent} readings were acknowledged, but the store has {counts}");
    let name = "HTTP NDJSON in, all stages, fsynced, in the store; load generator included";
    report(figures, "throughput", sent as f64 / finished.as_secs_f64(), "readings/s", name);
    report(
        figures,
        "throughput_acknowledged",
        sent as f64 / acknowledged.as_secs_f64(),
        "readings/s",
        "  of which acknowledged (durable in the log) at",
    );
    let peak = peak.join().map_err(|_| anyhow::anyhow!("measuring the memory failed"))?;
    report(figures, "memory", peak, "MB", "  peak resident memory of the host");
    let windows = counts["windows"].as_u64().unwrap_or(0);
    report(figures, "windows", windows as f64 / finished.as_secs_f64(), "windows/s", "  windows computed and scored");
    let log = bytes(&test_host.path().join("data/log"), "raw-sensor-data");
    let store =
        test_host.query(&["sql", "select coalesce(sum(length(times) + length(vals)), 0) n from reading_chunks"]).ok();
    report(figures, "log_bytes", log as f64 / sent as f64, "bytes", "  a reading in the log");
    if let Some(Value::Number(chunks)) = store.and_then(|rows| rows.first()?.get("n").cloned()) {
        report(
            figures,
            "store_bytes_reading",
            chunks.as_f64().unwrap_or(0.0) / sent as f64,
            "bytes",
            "  a reading in the store, compressed columns",
        );
    }
    let whole = bytes(&test_host.path().join("data"), "wheeltapper.db");
    report(
        figures,
        "store_bytes",
        whole as f64 / sent as f64,
        "bytes",
        "  a reading in the whole store file, windows included",
    );
    Ok(())
}

/// Measures the peak resident memory of a process until it exits, in MB.
fn watch_memory(process: u32) -> thread::JoinHandle<f64> {
    thread::spawn(move || {
        let mut peak = 0.0_f64;
        loop {
            match peak_memory(process) {
                0.0 => return peak,
                now => peak = peak.max(now),
            }
            thread::sleep(Duration::from_millis(50));
        }
    })
}

/// Gives each connection its own sensors: `bench/` becomes `benc0/`, which has the same length.
fn set_connection(body: &[u8], connection: usize) -> Vec<u8> {
    let digit = b'0' + u8::try_from(connection).unwrap_or(0);
    let mut own = body.to_vec();
    let mut from = 0;
    while let Some(at) = own.get(from..).and_then(|rest| rest.iter().position(|&byte| byte == b'\n')) {
        if let Some(byte) = own.get_mut(from + 18) {
            *byte = digit;
        }
        from += at + 1;
    }
    own
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn mqtt(cli: &Cli, readings: usize, figures: &mut Figures) -> anyhow::Result<()> {
    const MAX_UNACKNOWLEDGED: usize = 800;
    const GROUP: usize = 200;
    let test_host = TestHost::without_compiled_components(CONFIG)?;
    let host = test_host.start()?;
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
        while publisher.unacknowledged() > MAX_UNACKNOWLEDGED - GROUP {
            publisher.wait_for_puback()?;
        }
    }
    while publisher.unacknowledged() > 0 {
        publisher.wait_for_puback()?;
    }
    let rate = messages as f64 / began.elapsed().as_secs_f64();
    wait_until_stored(&test_host, messages * readings as u64)?;
    match readings {
        1 => report(
            figures,
            "mqtt_1",
            rate,
            "messages/s",
            "MQTT QoS 1, 1 reading a message, PUBACK after fdatasync, 1 connection",
        ),
        _ => report(
            figures,
            "mqtt_10",
            rate,
            "messages/s",
            "MQTT QoS 1, 10 readings a message, PUBACK after fdatasync, 1 connection",
        ),
    }
    host.stop()
}

/// Sends 10,000 readings/s of 1,000 machines; 1 % of the machines develop a fault after the learning phase.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn latency(cli: &Cli, figures: &mut Figures) -> anyhow::Result<()> {
    const SENSORS: usize = 10_000;
    const BODIES: usize = 100;
    // Learning has finished after this time.
    const LEARNING_SECONDS: i64 = 60;
    // A slide of one second gives many anomalies during the measurement; no lateness, so windows close at once.
    let config = "[windows]\nsize = \"3s\"\nslide = \"1s\"\nlateness = \"0s\"\n";
    let test_host = TestHost::without_compiled_components(config)?;
    let host = test_host.start()?;
    let mut poster = Poster::connect(&host.http)?;
    let seconds = i64::try_from(cli.seconds).unwrap_or(15).max(35) + LEARNING_SECONDS;
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
                let offset = if machine % 100 == 0 && second > LEARNING_SECONDS { 50.0 } else { 0.0 };
                let value = 20.0 + offset + (noise % 1000) as f64 / 1000.0;
                let time = start + second * SECOND + i64::try_from(part)? * (SECOND / 100);
                body.push_str(&format!(
                    "{{\"sensor_id\":\"l/m{machine}/s{}\",\"timestamp\":{time},\"values\":{value}}}\n",
                    sensor % 10
                ));
            }
            ensure!(poster.post(body.as_bytes())? == 202, "the host rejected a body");
        }
    }
    thread::sleep(Duration::from_millis(500));
    let latency_quantiles = quantiles(&host, "wheeltapper_reading_to_anomaly_seconds")?;
    ensure!(latency_quantiles.2 > 50.0, "too few anomalies to measure: {}", latency_quantiles.2);
    report(
        figures,
        "latency_p50",
        latency_quantiles.0 * 1e3,
        "ms",
        "reading's arrival to its anomaly committed, 10,000 readings/s: p50, at most",
    );
    report(figures, "latency_p99", latency_quantiles.1 * 1e3, "ms", "  p99, at most");
    report(figures, "latency_anomalies", latency_quantiles.2, "", "  anomalies measured");
    host.stop()
}

/// p50 and p99 (upper bounds of their buckets) and the sample count of a Prometheus histogram.
fn quantiles(host: &RunningHost, name: &str) -> anyhow::Result<(f64, f64, f64)> {
    let (_, text) = host.get("/metrics")?;
    let mut buckets = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(&format!("{name}_bucket{{le=\"")) {
            let (edge, count) = rest.split_once("\"} ").context("malformed bucket")?;
            buckets.push((edge.parse::<f64>().unwrap_or(f64::INFINITY), count.trim().parse::<f64>()?));
        }
    }
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    let at = |share: f64| buckets.iter().find(|(_, count)| *count >= share * total).map_or(f64::NAN, |(edge, _)| *edge);
    Ok((at(0.5), at(0.99), total))
}

pub(crate) fn start(figures: &mut Figures) -> anyhow::Result<()> {
    let test_host = TestHost::without_compiled_components("")?;
    let first = test_host.start()?;
    report(
        figures,
        "start_first",
        first.startup_time.as_secs_f64() * 1e3,
        "ms",
        "first start: components compiled, HTTP and MQTT ready",
    );
    first.stop()?;
    let mut startup_times: Vec<f64> = Vec::new();
    for _ in 0..5 {
        let host = test_host.start()?;
        startup_times.push(host.startup_time.as_secs_f64() * 1e3);
        host.stop()?;
    }
    startup_times.sort_by(f64::total_cmp);
    report(
        figures,
        "start",
        startup_times.get(2).copied().unwrap_or(f64::NAN),
        "ms",
        "cold start, compiled components cached (median of 5)",
    );
    Ok(())
}
