//! A real `wash` with a real NATS server and PostgreSQL: `wash dev` on a project that names the composed components.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::Row;

use wheeltapper_test_hosts::free_port;

use crate::{ConnectionPool, PostgresServer};

/// The timeout for `wash` to compile the components.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// What `wash` logs when all components are running.
const READY: &str = "listening for HTTP requests";

/// `wash dev` and its servers, which are killed when this value is dropped.
#[derive(Debug)]
pub struct WashProcess {
    wash: Child,
    nats: Child,
    nats_port: u16,
    http_port: u16,
    pool: ConnectionPool,
    runtime: Runtime,
    _postgres: PostgresServer,
    folder: TempDir,
}

/// How the line is split into components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All stages in one component.
    SingleComponent,
    /// One component for each stage, and the component with all stages for ticks.
    ComponentPerStage,
}

impl WashProcess {
    /// Returns the path of the program: `WHEELTAPPER_WASH`, or `wash` on the path.
    pub fn find() -> Option<PathBuf> {
        let named = env::var_os("WHEELTAPPER_WASH").map(PathBuf::from);
        let paths = env::var_os("PATH").unwrap_or_default();
        named.into_iter().chain(env::split_paths(&paths).map(|folder| folder.join("wash"))).find(|path| path.is_file())
    }

    /// Starts everything on free ports and waits until the API answers. `composed` is the folder of wasmCloud's
    /// components.
    ///
    /// # Errors
    /// If a program is missing or does not start; the error contains the log of `wash`.
    pub fn start(wash: &Path, composed: &Path, plant: &str, layout: Layout) -> io::Result<Self> {
        let postgres = PostgresServer::start()?;
        let folder = tempfile::tempdir()?;
        let (nats_port, http_port) = (free_port()?, free_port()?);
        let nats = Command::new("nats-server")
            .args(["-js", "-a", "127.0.0.1", "-p", &nats_port.to_string(), "-sd"])
            .arg(folder.path().join("nats"))
            .stderr(fs::File::create(folder.path().join("nats.log"))?)
            .spawn()?;
        fs::create_dir(folder.path().join(".wash"))?;
        let config = project_config(&fs::canonicalize(composed)?, plant, layout, &postgres, nats_port, http_port);
        fs::write(folder.path().join(".wash/config.yaml"), config)?;
        wait_until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, nats_port)).is_ok(), "NATS")?;
        let log = fs::File::create(folder.path().join("wash.log"))?;
        let wash = Command::new(wash)
            .args(["--non-interactive", "-C"])
            .arg(folder.path())
            .arg("dev")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let pool = ConnectionPool::new(&postgres.database_url()).map_err(io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let process = Self { wash, nats, nats_port, http_port, pool, runtime, _postgres: postgres, folder };
        wait_until(|| process.is_ready(), "wash")
            .map_err(|error| io::Error::other(format!("{error}; log of wash: {}", process.log())))?;
        Ok(process)
    }

    /// Returns the log of `wash` since it was ready.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("wash.log")).unwrap_or_default();
        log.rsplit_once(READY).map_or(log.as_str(), |(_, since)| since).to_owned()
    }

    fn is_ready(&self) -> bool {
        fs::read_to_string(self.folder.path().join("wash.log")).is_ok_and(|log| log.contains(READY))
    }

    /// Returns the API's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// Returns the API's port.
    pub fn port(&self) -> u16 {
        self.http_port
    }

    /// Publishes messages on one subject. The server has received them when this returns.
    ///
    /// # Errors
    /// If NATS does not accept them.
    pub fn publish<'a>(&self, subject: &str, bodies: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.nats_port))?;
        let mut commands = b"CONNECT {\"verbose\":false}\r\n".to_vec();
        for body in bodies {
            commands.extend_from_slice(format!("PUB {subject} {}\r\n", body.len()).as_bytes());
            commands.extend_from_slice(body);
            commands.extend_from_slice(b"\r\n");
        }
        commands.extend_from_slice(b"PING\r\n");
        stream.write_all(&commands)?;
        for line in BufReader::new(stream).lines() {
            match line?.as_str() {
                "PONG" => return Ok(()),
                error if error.starts_with("-ERR") => return Err(io::Error::other(error.to_owned())),
                _ => {}
            }
        }
        Err(io::Error::other("NATS closed the connection"))
    }

    /// Returns rows of the database.
    ///
    /// # Errors
    /// PostgreSQL's error.
    pub fn rows(&self, statement: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.runtime.block_on(async {
            let client = self.pool.acquire().await?;
            let rows = client.query(statement, &[]).await?;
            self.pool.release(client);
            Ok(rows)
        })
    }

    /// Waits until the statement's single number is `expected`. A database error, such as a missing table, counts as
    /// a different number.
    ///
    /// # Errors
    /// After two minutes, with the last number and the log of `wash`.
    pub fn wait_for_number(&self, statement: &str, expected: i64) -> io::Result<()> {
        let started = Instant::now();
        loop {
            let result = self.rows(statement).map(|rows| rows.first().and_then(|row| row.try_get::<_, i64>(0).ok()));
            if matches!(result, Ok(Some(number)) if number == expected) {
                return Ok(());
            }
            if started.elapsed() > Duration::from_secs(120) {
                let log = self.log();
                return Err(io::Error::other(format!(
                    "{statement}: {result:?}, expected {expected}; log of wash: {log}"
                )));
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for WashProcess {
    fn drop(&mut self) {
        for child in [&mut self.wash, &mut self.nats] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_until(ready: impl Fn() -> bool, service: &str) -> io::Result<()> {
    let started = Instant::now();
    while !ready() {
        if started.elapsed() > START_TIMEOUT {
            return Err(io::Error::other(format!("{service} does not answer")));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Returns the project's `.wash/config.yaml`: this repository's, with other ports.
fn project_config(
    composed: &Path,
    plant: &str,
    layout: Layout,
    postgres: &PostgresServer,
    nats: u16,
    http: u16,
) -> String {
    let (composed, server) = (composed.display(), postgres.server_url());
    // JSON on one line is valid YAML. A single quote is doubled within YAML's single quotes.
    let plant = plant.replace('\n', " ").replace('\'', "''");
    let mut config = format!(
        "version: 2.0.0
build: {{command: 'true', component_path: {composed}/http.wasm}}
workload:
  config: {{plant: '{plant}'}}
dev:
  address: 127.0.0.1:{http}
  data_nats_url: nats://127.0.0.1:{nats}
  postgres_url: {server}
  host_interfaces:
    - {{namespace: wasmcloud, package: postgres, version: 0.1.1-draft, interfaces: [types, query], config: {{database: wheeltapper}}}}
    - {{namespace: wasmcloud, package: keyvalue, version: 0.2.0, interfaces: [store, cas], config: {{backend: nats, url: 'nats://127.0.0.1:{nats}'}}}}
    - {{namespace: wasmcloud, package: messaging, version: 0.3.0, interfaces: [consumer, handler], config: {{}}}}
    - {{namespace: wasmcloud, package: messaging, version: 0.2.0, interfaces: [consumer], config: {{}}}}
  components:
"
    );
    // Readings are processed one after the other, in the order in which devices send them, so they may have to wait.
    let mut component = |name: &str, subscriptions: &str| {
        let order =
            if subscriptions.starts_with("readings") { ", max_in_flight: '1', admission_wait: 10m" } else { "" };
        config.push_str(&format!(
            "    - {{name: {name}, file: {composed}/{name}.wasm, config: {{subscriptions: '{subscriptions}'{order}}}}}\n"
        ));
    };
    match layout {
        Layout::SingleComponent => {
            component(
                "all-stages",
                "readings.>,tick,raw-sensor-data.>,processed-data.>,anomaly-events.>,alert-events.>",
            );
        }
        Layout::ComponentPerStage => {
            component("all-stages", "tick");
            component("ingest", "readings.>");
            component("featurize", "raw-sensor-data.>");
            component("detect", "processed-data.>");
            component("alert", "anomaly-events.>");
            component("schedule", "alert-events.>");
        }
    }
    config
}
