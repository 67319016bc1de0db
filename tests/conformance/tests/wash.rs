//! The cases on wasmCloud itself: `cargo xtask conformance --host wash`.
//!
//! `wash dev` with a NATS server as its bus and a PostgreSQL of its own. Events and ticks come by HTTP; what the stages
//! hand to each other goes over NATS, so after each event this waits until all queues in the store are worked off.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use common::server::{Api, Program, free_port};
use tempfile::TempDir;
use wheeltapper_conformance::{Case, Cell, Event, Found, Host, Receipt, Rows, http::TICK_TOKEN, platform};

/// How long the line may take for one event.
const PATIENCE: Duration = Duration::from_secs(60);
/// The line is idle when the store says the same so many times.
const QUIET: u32 = 3;
/// Queues in which something waits, as the line asks for them, and how much there is of anything.
const IDLE: &str = "SELECT count(*) FILTER (WHERE positions.position IS NULL OR positions.position < last.seq),
        coalesce(sum(last.seq), 0), (SELECT count(*) FROM dead_letters)
    FROM (SELECT topic, key, max(seq) AS seq FROM events WHERE topic <> 'dlq-sensor-data' GROUP BY topic, key) AS last
    LEFT JOIN positions ON positions.topic = last.topic AND positions.key = last.key";

#[test]
#[ignore = "needs wash, nats-server and PostgreSQL: cargo xtask conformance --host wash"]
fn wash_conforms() {
    common::all_cases(&mut Wash::default());
}

#[derive(Default)]
struct Wash(Option<Running>);

struct Running {
    // In this order: each ends before what it uses.
    _wash: Program,
    _nats: Program,
    _postgres: Program,
    api: Api,
    store: Psql,
    _folder: TempDir,
}

/// The components, and to what each listens: `.wash/config.yaml` takes a list.
const COMPONENTS: [(&str, &str); 2] =
    [("http", ""), ("stages", "raw-sensor-data.>,processed-data.>,anomaly-events.>,alert-events.>")];

fn config(case: &Case, http: u16, nats: u16, postgres: u16) -> anyhow::Result<String> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut yaml = format!(
        "dev:\n  address: 127.0.0.1:{http}\n  data_nats_url: nats://127.0.0.1:{nats}\n  wasi_keyvalue_nats_url: nats://127.0.0.1:{nats}\n  \
         postgres_url: postgres://wheeltapper@127.0.0.1:{postgres}/wheeltapper\n  components:\n"
    );
    for (name, subscriptions) in COMPONENTS {
        let file = fs::canonicalize(common::composed("wasmcloud", name))?;
        // JSON is YAML, and quotes what has to be quoted.
        writeln!(yaml, "    - name: {name}\n      file: {}", text(&file.to_string_lossy()))?;
        writeln!(yaml, "      environment: {{WHEELTAPPER_TICK_TOKEN: {}}}", text(TICK_TOKEN))?;
        writeln!(yaml, "      config: {{plant: {}, subscriptions: {}}}", text(&case.plant), text(subscriptions))?;
    }
    Ok(yaml)
}

fn postgres(folder: &Path, port: u16) -> anyhow::Result<Program> {
    let data = folder.join("postgres");
    let made = Command::new("initdb")
        .args(["--auth=trust", "--username=wheeltapper", "--no-sync", "-D"])
        .arg(&data)
        .output()?;
    ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let mut command = Command::new("postgres");
    command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"]).arg(folder);
    let mut server = Program::start(&mut command)?;
    server.listens(port)?;
    let made = Command::new("createdb")
        .args(["-h", "127.0.0.1", "-U", "wheeltapper", "-p", &port.to_string(), "wheeltapper"])
        .output()?;
    ensure!(made.status.success(), "createdb: {}", String::from_utf8_lossy(&made.stderr));
    Ok(server)
}

impl Wash {
    fn running(&mut self) -> anyhow::Result<&mut Running> {
        self.0.as_mut().context("wash is not started")
    }
}

impl Running {
    /// Waits until nothing moves any more.
    fn settle(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        let (mut last, mut quiet) = (Vec::new(), 0);
        while quiet < QUIET {
            ensure!(began.elapsed() < PATIENCE, "the line did not get through within {PATIENCE:?}: {last:?}");
            thread::sleep(Duration::from_millis(100));
            let now = self.store.rows(IDLE)?.pop().context("no row")?;
            let idle = now.first() == Some(&Cell::Text("0".into()));
            quiet = if idle && now == last { quiet + 1 } else { 0 };
            last = now;
        }
        Ok(())
    }
}

impl Host for Wash {
    fn start(&mut self, case: &Case) -> anyhow::Result<()> {
        self.0 = None;
        let folder = tempfile::tempdir()?;
        let (http, nats, sql) = (free_port()?, free_port()?, free_port()?);
        let postgres = postgres(folder.path(), sql)?;
        let mut bus = Program::start(
            Command::new("nats-server")
                .args(["-a", "127.0.0.1", "-js", "-p", &nats.to_string(), "-sd"])
                .arg(folder.path().join("nats")),
        )?;
        bus.listens(nats)?;
        let project = folder.path().join("project");
        fs::create_dir_all(project.join(".wash"))?;
        fs::write(project.join(".wash/config.yaml"), config(case, http, nats, sql)?)?;
        let mut wash = Program::start(Command::new("wash").arg("dev").current_dir(&project))?;
        wash.listens(http)?;
        let store = Psql { port: sql };
        self.0 =
            Some(Running { _wash: wash, _nats: bus, _postgres: postgres, api: Api::on(http), store, _folder: folder });
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<Option<Receipt>> {
        let running = self.running()?;
        let receipt = running.api.event(event)?;
        running.settle()?;
        Ok(Some(receipt))
    }

    fn tick(&mut self, now: i64) -> anyhow::Result<()> {
        let running = self.running()?;
        running.api.tick(now)?;
        running.settle()
    }

    fn found(&mut self) -> anyhow::Result<Found> {
        platform::found(&mut self.running()?.store)
    }
}

/// PostgreSQL by its own client, which gives every cell as text.
struct Psql {
    port: u16,
}

/// Bytes that no cell has: between cells, between rows, and for NULL.
const CELL: char = '\u{1f}';
const ROW: char = '\u{1e}';
const NULL: &str = "\u{1d}";

impl Rows for Psql {
    fn rows(&mut self, sql: &str) -> anyhow::Result<Vec<Vec<Cell>>> {
        let out = Command::new("psql")
            .args(["-h", "127.0.0.1", "-U", "wheeltapper", "-d", "wheeltapper", "-p", &self.port.to_string()])
            .args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set", "ON_ERROR_STOP=1"])
            .args(["--field-separator", &CELL.to_string(), "--record-separator", &ROW.to_string()])
            .args(["--pset", &format!("null={NULL}"), "--command", sql])
            .output()
            .context("starting psql")?;
        ensure!(out.status.success(), "psql: {}", String::from_utf8_lossy(&out.stderr));
        Ok(read(&String::from_utf8(out.stdout)?))
    }
}

fn read(text: &str) -> Vec<Vec<Cell>> {
    // The last row ends with a line's end.
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    let cell = |cell: &str| if cell == NULL { Cell::Null } else { Cell::Text(cell.to_owned()) };
    text.split(ROW).map(|row| row.split(CELL).map(cell).collect()).collect()
}

#[test]
fn what_psql_prints_is_read() {
    assert!(read("\n").is_empty());
    let text = |text: &str| Cell::Text(text.into());
    assert_eq!(read("a\u{1f}\u{1d}\u{1e}b\nc\u{1f}\n"), [vec![text("a"), Cell::Null], vec![text("b\nc"), text("")]]);
}
