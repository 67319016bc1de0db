//! The binary, run in a folder of its own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use wheeltapper_wasm::Build;

/// The built binary, which lies beside this test's own folder.
///
/// # Errors
/// When it was not built.
pub fn binary() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let found = this.ancestors().skip(1).take(2).map(|folder| folder.join("wheeltapper")).find(|path| path.is_file());
    found.context("the binary is not built; run `cargo xtask test`, or `cargo build --release -p wheeltapper` first")
}

/// Real recordings: `WHEELTAPPER_TEST_DATA`, else `../shared/data` beside the repository. None when they are not there.
pub fn data_folder() -> Option<PathBuf> {
    let named = std::env::var_os("WHEELTAPPER_TEST_DATA").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    folder.is_dir().then_some(folder)
}

/// A port that is free now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A featurize component that panics at the value 666, loops at 667 and fills its memory at 668; built once.
///
/// # Errors
/// When it does not build.
pub fn hostile_featurize() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = binary().map_err(|error| error.to_string())?.with_file_name("").join("../components");
        let package = "wheeltapper-faulty-stage";
        let build = Build::new(&root, &target).map_err(|error| error.to_string())?;
        build.run(&[package], &["--quiet"]).map_err(|error| error.to_string())?;
        Ok(build.artifact(package))
    });
    built.clone().map_err(anyhow::Error::msg)
}

/// Waits until `done`, at most `most`.
///
/// # Errors
/// When that time is over; `what` says what was waited for.
pub fn wait_until(what: &str, most: Duration, mut done: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let began = Instant::now();
    while !done()? {
        ensure!(began.elapsed() < most, "{what} did not happen within {most:?}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A folder with a configuration and the data of a host.
#[derive(Debug)]
pub struct Plant {
    folder: TempDir,
}

impl Plant {
    /// A new one, with this configuration.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(config: &str) -> anyhow::Result<Self> {
        let plant = Self { folder: tempfile::tempdir()? };
        plant.configure(config)?;
        Ok(plant)
    }

    /// Writes another configuration.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, config: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.folder.path().join("wheeltapper.toml"), config)?)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The binary with this plant's configuration and data.
    ///
    /// # Errors
    /// When the binary was not built.
    pub fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(binary()?);
        command.current_dir(self.path()).args(["--config", "wheeltapper.toml", "--log", "warn"]);
        Ok(command)
    }

    /// Runs a command to its end and gives what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn output(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let out = self.command()?.args(arguments).output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        ensure!(out.status.success(), "{arguments:?} failed:\n{text}{}", String::from_utf8_lossy(&out.stderr));
        Ok(text)
    }

    /// `wheeltapper query …`, each line as JSON.
    ///
    /// # Errors
    /// When it fails.
    pub fn query(&self, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
        let text = self.output(&[&["query"], arguments].concat())?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// `wheeltapper query counts`.
    ///
    /// # Errors
    /// When it fails.
    pub fn counts(&self) -> anyhow::Result<Value> {
        self.query(&["counts"])?.pop().context("no counts")
    }

    /// Starts `wheeltapper run` on free ports and waits until it is up.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&self) -> anyhow::Result<Running> {
        let ready = self.path().join("ready.json");
        let _ = fs::remove_file(&ready);
        let log = fs::File::options().create(true).append(true).open(self.path().join("host.log"))?;
        let mut child = self
            .command()?
            .args(["run", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-file"])
            .arg(&ready)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let began = Instant::now();
        let addresses: Value = loop {
            if let Ok(Ok(value)) = fs::read(&ready).map(|bytes| serde_json::from_slice(&bytes)) {
                break value;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the host ended ({status}):\n{}", fs::read_to_string(self.path().join("host.log"))?);
            }
            if began.elapsed() > Duration::from_secs(60) {
                let _ = child.kill();
                bail!("the host did not come up:\n{}", fs::read_to_string(self.path().join("host.log"))?);
            }
            thread::sleep(Duration::from_millis(2));
        };
        let address = |name: &str| addresses.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Ok(Running { child: Some(child), http: address("http"), mqtt: address("mqtt"), agent, took: began.elapsed() })
    }
}

/// A running host; it is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    /// Address of HTTP.
    pub http: String,
    /// Address of MQTT.
    pub mqtt: String,
    /// How long it took to come up.
    pub took: Duration,
    agent: ureq::Agent,
}

/// What HTTP answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body as JSON; null when it is none.
    pub body: Value,
}

impl Running {
    /// Posts to the ingest route.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn post(&self, kind: &str, body: &[u8]) -> anyhow::Result<Answer> {
        self.post_with(&[("Content-Type", kind)], body)
    }

    /// Posts to the ingest route with headers.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn post_with(&self, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<Answer> {
        let mut request = self.agent.post(format!("http://{}/api/v1/ingest", self.http));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send(body)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }

    /// Gets a path as text.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut answer = self.agent.get(format!("http://{}{path}", self.http)).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }

    /// One of Prometheus's numbers, summed over the samples whose line starts with `name`.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let (_, text) = self.get("/metrics")?;
        Ok(text
            .lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Sends it a signal by name, such as `HUP`.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status()?;
        ensure!(status.success(), "kill -{name} failed");
        Ok(())
    }

    /// kill -9.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Stops it in order and waits for its end.
    ///
    /// # Errors
    /// When it does not end well within a minute.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.signal("TERM")?;
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "the host ended with {status}");
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(60) {
                let _ = child.kill();
                bail!("the host did not stop within a minute");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
