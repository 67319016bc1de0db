//! Request rate and latency of the API: this host compared with `wasmtime serve` running the same component. The host
//! answers from the pipeline and the store; the peer uses a mock line that answers at once and stores nothing.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use wheeltapper_tests::{SECOND, T0, TestHost, free_port, wait_until};

use crate::{Cli, Figures, report};

/// Number of connections, each with one outstanding request.
const CONNECTIONS: usize = 8;
/// Readings in each ingest body.
const READINGS: i64 = 10;

/// A request that is sent to both servers.
struct BenchRequest {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    content_type: &'static str,
    body: fn(u64) -> String,
    status: u16,
}

const REQUESTS: [BenchRequest; 3] = [
    BenchRequest {
        name: "detect",
        method: "POST",
        path: "/api/v1/detect",
        content_type: "application/json",
        body: |_| {
            format!(
                r#"{{"sensor_data":{{"sensor_id":"bench/m/s","timestamp":{},"values":10.4}}}}"#,
                T0 + 1_000 * SECOND
            )
        },
        status: 200,
    },
    BenchRequest {
        name: "readings",
        method: "GET",
        path: "/api/v1/sensors/bench%2Fm%2Fs/readings?points=500",
        content_type: "",
        body: |_| String::new(),
        status: 200,
    },
    BenchRequest {
        name: "ingest",
        method: "POST",
        path: "/api/v1/ingest",
        content_type: "application/x-ndjson",
        body: |number| {
            let at = i64::try_from(number).unwrap_or(0) * READINGS;
            (at..at + READINGS)
                .map(|second| {
                    format!(
                        "{{\"sensor_id\":\"bench/n{}/s\",\"timestamp\":{},\"values\":1.5}}\n",
                        number % 64,
                        T0 + second * SECOND
                    )
                })
                .collect()
        },
        status: 202,
    },
];

/// The result of one run.
struct Run {
    per_second: f64,
    p50: f64,
    p99: f64,
}

pub(crate) fn api(cli: &Cli, figures: &mut Figures) -> anyhow::Result<()> {
    let test_host = TestHost::without_compiled_components(
        "[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n[access]\nmode = \"off\"\n",
    )?;
    let host = test_host.start()?;
    // 1,000 readings, from which the detector learns the machine's baseline.
    let mut body = String::new();
    for second in 0..1_000_i64 {
        let value = 10.0 + (second * 7919 % 101) as f64 / 101.0;
        body.push_str(&format!(
            "{{\"sensor_id\":\"bench/m/s\",\"timestamp\":{},\"values\":{value}}}\n",
            T0 + second * SECOND
        ));
    }
    ensure!(host.post("application/x-ndjson", body.as_bytes())?.status == 202, "the host rejected the readings");
    wait_until("the machine's baseline", Duration::from_secs(60), || {
        let (status, _) = send_request(&mut connect(&host.http)?, &host.http, &REQUESTS[0], 0)?;
        Ok(status == 200)
    })?;
    let peer = Peer::start()?;
    for request in &REQUESTS {
        // Alternating runs, so that other load on the machine affects both servers.
        let rounds = 3;
        let seconds = (cli.seconds / rounds).max(2);
        let (mut own_runs, mut peer_runs) = (Vec::new(), Vec::new());
        let (mut own_next, mut peer_next) = (0, 0);
        for _ in 0..rounds {
            peer_runs.push(load(&peer.address, request, seconds, &mut peer_next)?);
            own_runs.push(load(&host.http, request, seconds, &mut own_next)?);
        }
        report_median(figures, request.name, "wheeltapper", &mut own_runs);
        report_median(figures, request.name, "wasmtime serve", &mut peer_runs);
    }
    host.stop()
}

/// Reports the median run.
fn report_median(figures: &mut Figures, name: &str, server: &str, runs: &mut [Run]) {
    runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let Some(run) = runs.get(runs.len() / 2) else { return };
    let key = |quantity: &str| -> &'static str { format!("api_{name}_{quantity}_{}", server.replace(' ', "_")).leak() };
    report(figures, key("rate"), run.per_second, "requests/s", &format!("{name}: {server}, {CONNECTIONS} connections"));
    report(figures, key("p50"), run.p50, "ms", "  p50");
    report(figures, key("p99"), run.p99, "ms", "  p99");
}

/// A running `wasmtime serve`.
struct Peer {
    child: Child,
    address: String,
}

impl Peer {
    fn start() -> anyhow::Result<Self> {
        let variable =
            |name: &str| env::var_os(name).with_context(|| format!("{name} is not set; run `cargo xtask bench api`"));
        let address = format!("127.0.0.1:{}", free_port()?);
        let child = Command::new(variable("WHEELTAPPER_WASMTIME")?)
            .args(["serve", "-Scli", "--addr", &address])
            .arg(variable("WHEELTAPPER_BENCH_API")?)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let peer = Self { child, address };
        wait_until("wasmtime serve", Duration::from_secs(120), || Ok(TcpStream::connect(&peer.address).is_ok()))?;
        Ok(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(address: &str) -> anyhow::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(BufReader::new(stream))
}

/// Sends one request over a persistent connection; returns the status and the length of the body.
fn send_request(
    connection: &mut BufReader<TcpStream>,
    address: &str,
    request: &BenchRequest,
    number: u64,
) -> anyhow::Result<(u16, usize)> {
    let BenchRequest { method, path, content_type, .. } = request;
    let body = (request.body)(number);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    if !body.is_empty() {
        head.push_str(&format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    head.push_str(&body);
    connection.get_mut().write_all(head.as_bytes())?;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
    }
    if !chunked {
        std::io::copy(&mut connection.by_ref().take(length as u64), &mut std::io::sink())?;
        return Ok((status, length));
    }
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).context("malformed chunk size")?;
        std::io::copy(&mut connection.by_ref().take(size as u64 + 2), &mut std::io::sink())?;
        length += size;
        if size == 0 {
            return Ok((status, length));
        }
    }
}

/// Sends a request repeatedly for `seconds`. `next` continues from one run to the next, because readings that are sent
/// again are late, and no device sends its readings twice.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn load(address: &str, request: &BenchRequest, seconds: u64, next: &mut u64) -> anyhow::Result<Run> {
    let first = *next;
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let results = thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS as u64)
            .map(|worker| {
                scope.spawn(move || -> anyhow::Result<(Vec<f64>, u64)> {
                    let mut connection = connect(address)?;
                    let mut latencies = Vec::new();
                    let mut number = first + worker;
                    while Instant::now() < end {
                        let sent_at = Instant::now();
                        let (status, _) = send_request(&mut connection, address, request, number)?;
                        latencies.push(sent_at.elapsed().as_secs_f64() * 1e3);
                        ensure!(status == request.status, "{} answered {status}", request.name);
                        number += CONNECTIONS as u64;
                    }
                    Ok((latencies, number))
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a connection's thread panicked")))
            .collect::<Vec<_>>()
    });
    let elapsed = began.elapsed().as_secs_f64();
    let mut latencies = Vec::new();
    for each in results {
        let (each, number) = each?;
        latencies.extend(each);
        // A multiple of the number of connections, so that each connection continues with its own machines.
        *next = (*next).max(number.next_multiple_of(CONNECTIONS as u64));
    }
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    Ok(Run { per_second: latencies.len() as f64 / elapsed, p50: at(0.5), p99: at(0.99) })
}
