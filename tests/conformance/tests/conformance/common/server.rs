//! Programs that the tests start, and the API that they serve.

use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use wheeltapper_conformance::{Event, Receipt, http};

/// The timeout for a program to open its port.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A program, which is stopped when this value is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    name: String,
}

impl Program {
    /// Starts the program. Its output goes to the test's.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { child, name })
    }

    /// Waits until the program listens on a port of this computer.
    pub fn wait_for_port(&mut self, port: u16) -> anyhow::Result<()> {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} exited with {status}", self.name);
            }
            ensure!(started.elapsed() < START_TIMEOUT, "{} does not listen on port {port}", self.name);
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SIGTERM first, because some programs have children of their own.
        let signal = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let started = Instant::now();
        while signal.is_ok() && started.elapsed() < Duration::from_secs(10) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The API over HTTP.
#[derive(Debug)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
}

impl Api {
    /// Creates a client for a port of this computer.
    pub fn new(port: u16) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Self { agent, base: format!("http://127.0.0.1:{port}") }
    }

    /// Sends an event.
    pub fn event(&self, event: &Event) -> anyhow::Result<Receipt> {
        let mut request = ::http::Request::post(format!("{}{}", self.base, http::ingest_path(event)));
        if let Some(format) = &event.format {
            request = request.header("content-type", format);
        }
        // The body is sent as bytes, so that the client adds no Content-Type to an event without a format.
        let mut response = self.agent.run(request.body(event.payload.clone())?)?;
        http::parse_receipt(response.status().as_u16(), &response.body_mut().read_to_vec()?)
    }

    /// Advances the time.
    pub fn tick(&self, now: i64) -> anyhow::Result<()> {
        let request = self.agent.post(format!("{}{}", self.base, http::tick_path(now)));
        let mut response = request.header("authorization", format!("Bearer {}", http::TICK_TOKEN)).send_empty()?;
        ensure!(response.status() == 200, "{}: {}", response.status(), response.body_mut().read_to_string()?);
        Ok(())
    }
}
