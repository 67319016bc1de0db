//! Requests a second and latency of the API: this host beside `wasmtime serve` with the very same component. Behind the
//! host's are the line and the store; behind the peer's stands what answers at once and keeps nothing.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use wheeltapper_tests::{Plant, SECOND, T0, free_port, wait_until};

use crate::{Cli, Figures, say};

/// Connections, each with one request under way.
const CONNECTIONS: usize = 8;
/// Readings of a body for ingest.
const READINGS: i64 = 10;

/// A question, as it is put to both.
struct Question {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    kind: &'static str,
    body: fn(u64) -> String,
    status: u16,
}

const QUESTIONS: [Question; 3] = [
    Question {
        name: "detect",
        method: "POST",
        path: "/api/v1/detect",
        kind: "application/json",
        body: |_| {
            format!(
                r#"{{"sensor_data":{{"sensor_id":"bench/m/s","timestamp":{},"values":10.4}}}}"#,
                T0 + 1_000 * SECOND
            )
        },
        status: 200,
    },
    Question {
        name: "readings",
        method: "GET",
        path: "/api/v1/sensors/bench%2Fm%2Fs/readings?points=500",
        kind: "",
        body: |_| String::new(),
        status: 200,
    },
    Question {
        name: "ingest",
        method: "POST",
        path: "/api/v1/ingest",
        kind: "application/x-ndjson",
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

/// What a run gave.
struct Run {
    per_second: f64,
    p50: f64,
    p99: f64,
}

pub(crate) fn api(cli: &Cli, figures: &mut Figures) -> anyhow::Result<()> {
    let plant = Plant::new("[detect]\nwarmup_windows = 10\n[access]\nmode = \"off\"\n")?;
    let host = plant.start()?;
    // A thousand readings, from which the machine's normal is learnt.
    let mut body = String::new();
    for second in 0..1_000_i64 {
        let value = 10.0 + (second * 7919 % 101) as f64 / 101.0;
        body.push_str(&format!(
            "{{\"sensor_id\":\"bench/m/s\",\"timestamp\":{},\"values\":{value}}}\n",
            T0 + second * SECOND
        ));
    }
    ensure!(host.post("application/x-ndjson", body.as_bytes())?.status == 202, "the host took no readings");
    wait_until("the machine's normal", Duration::from_secs(60), || {
        let (status, _) = ask(&mut connect(&host.http)?, &host.http, &QUESTIONS[0], 0)?;
        Ok(status == 200)
    })?;
    let peer = Peer::start()?;
    for question in &QUESTIONS {
        // In turns, so that what else the machine does falls on both.
        let rounds = 3;
        let seconds = (cli.seconds / rounds).max(2);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut our_next, mut their_next) = (0, 0);
        for _ in 0..rounds {
            theirs.push(load(&peer.address, question, seconds, &mut their_next)?);
            ours.push(load(&host.http, question, seconds, &mut our_next)?);
        }
        tell(figures, question.name, "wheeltapper", &mut ours);
        tell(figures, question.name, "wasmtime serve", &mut theirs);
    }
    host.stop()
}

/// The median run.
fn tell(figures: &mut Figures, name: &str, who: &str, runs: &mut [Run]) {
    runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let Some(run) = runs.get(runs.len() / 2) else { return };
    let key = |what: &str| -> &'static str { format!("api_{name}_{what}_{}", who.replace(' ', "_")).leak() };
    say(figures, key("rate"), run.per_second, "requests/s", &format!("{name}: {who}, {CONNECTIONS} connections"));
    say(figures, key("p50"), run.p50, "ms", "  p50");
    say(figures, key("p99"), run.p99, "ms", "  p99");
}

/// `wasmtime serve`.
struct Peer {
    child: Child,
    address: String,
}

impl Peer {
    fn start() -> anyhow::Result<Self> {
        let named =
            |name: &str| env::var_os(name).with_context(|| format!("{name} is not set; run `cargo xtask bench api`"));
        let address = format!("127.0.0.1:{}", free_port()?);
        let child = Command::new(named("WHEELTAPPER_WASMTIME")?)
            .args(["serve", "-Scli", "--addr", &address])
            .arg(named("WHEELTAPPER_STAND_IN")?)
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

/// One request over a connection that stays open; gives status and length of the body.
fn ask(
    connection: &mut BufReader<TcpStream>,
    address: &str,
    question: &Question,
    number: u64,
) -> anyhow::Result<(u16, usize)> {
    let Question { method, path, kind, .. } = question;
    let body = (question.body)(number);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    if !body.is_empty() {
        head.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()));
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
        let size = usize::from_str_radix(line.trim(), 16).context("a chunk's size")?;
        std::io::copy(&mut connection.by_ref().take(size as u64 + 2), &mut std::io::sink())?;
        length += size;
        if size == 0 {
            return Ok((status, length));
        }
    }
}

/// Puts a question for so long. `next` counts on from one run to the next: what was sent once is late the next time, and
/// no device does that.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn load(address: &str, question: &Question, seconds: u64, next: &mut u64) -> anyhow::Result<Run> {
    let first = *next;
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let worked = thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS as u64)
            .map(|worker| {
                scope.spawn(move || -> anyhow::Result<(Vec<f64>, u64)> {
                    let mut connection = connect(address)?;
                    let mut took = Vec::new();
                    let mut number = first + worker;
                    while Instant::now() < end {
                        let asked = Instant::now();
                        let (status, _) = ask(&mut connection, address, question, number)?;
                        took.push(asked.elapsed().as_secs_f64() * 1e3);
                        ensure!(status == question.status, "{} answered {status}", question.name);
                        number += CONNECTIONS as u64;
                    }
                    Ok((took, number))
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a connection's thread panicked")))
            .collect::<Vec<_>>()
    });
    let elapsed = began.elapsed().as_secs_f64();
    let mut took = Vec::new();
    for each in worked {
        let (each, number) = each?;
        took.extend(each);
        // A multiple of the connections, so that each goes on with its own machines.
        *next = (*next).max(number.next_multiple_of(CONNECTIONS as u64));
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    Ok(Run { per_second: took.len() as f64 / elapsed, p50: at(0.5), p99: at(0.99) })
}
