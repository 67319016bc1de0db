//! Programs that the tests start, and the API that they serve.

use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use wheeltapper_conformance::{Event, Receipt, http};

/// How long a program may take to listen.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program; it ends with this.
#[derive(Debug)]
pub struct Program {
    child: Child,
    name: String,
}

impl Program {
    /// Starts it. Its own words go to the test's.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { child, name })
    }

    /// Waits until something listens on a port of this machine.
    pub fn listens(&mut self, port: u16) -> anyhow::Result<()> {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}", self.name);
            }
            ensure!(began.elapsed() < PATIENCE, "{} does not listen on port {port}", self.name);
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // In order where it can: some have children of their own.
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let began = Instant::now();
        while asked.is_ok() && began.elapsed() < Duration::from_secs(10) {
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
    /// On a port of this machine.
    pub fn on(port: u16) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Self { agent, base: format!("http://127.0.0.1:{port}") }
    }

    /// Hands in an event.
    pub fn event(&self, event: &Event) -> anyhow::Result<Receipt> {
        let mut request = ::http::Request::post(format!("{}{}", self.base, http::ingest(event)));
        if let Some(format) = &event.format {
            request = request.header("content-type", format);
        }
        // The body as bytes: an event without a format must not get one from the client.
        let mut answer = self.agent.run(request.body(event.payload.clone())?)?;
        http::receipt(answer.status().as_u16(), &answer.body_mut().read_to_vec()?)
    }

    /// Lets time pass.
    pub fn tick(&self, now: i64) -> anyhow::Result<()> {
        let request = self.agent.post(format!("{}{}", self.base, http::tick(now)));
        let mut answer = request.header("authorization", format!("Bearer {}", http::TICK_TOKEN)).send_empty()?;
        ensure!(answer.status() == 200, "{}: {}", answer.status(), answer.body_mut().read_to_string()?);
        Ok(())
    }
}
