//! Runs the built binary in a temporary folder.

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

use crate::compiled;

/// Path of the built binary, in the parent of the folder that contains this test.
///
/// # Errors
/// If the binary has not been built.
pub fn binary() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let found = test.ancestors().skip(1).take(2).map(|folder| folder.join("wheeltapper")).find(|path| path.is_file());
    found.context("the binary is not built; run `cargo xtask test`, or `cargo build --release -p wheeltapper` first")
}

/// The folder of the public recordings: `WHEELTAPPER_TEST_DATA` if set, otherwise `../shared/data` next to the
/// repository. `None` if the folder does not exist.
pub fn data_folder() -> Option<PathBuf> {
    let configured = std::env::var_os("WHEELTAPPER_TEST_DATA").map(PathBuf::from);
    let folder = configured.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    folder.is_dir().then_some(folder)
}

/// A TCP port that is free at the moment.
///
/// # Errors
/// If no port is free.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Path of a featurize component that panics at the value 666, loops at 667 and exhausts its memory at 668. The first
/// call builds it.
///
/// # Errors
/// If the build fails.
pub fn faulty_featurize() -> anyhow::Result<PathBuf> {
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

/// Waits until `condition` returns true. `what` names the condition in the error message.
///
/// # Errors
/// If the condition fails, or is not true within `timeout`.
pub fn wait_until(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    while !condition()? {
        ensure!(began.elapsed() < timeout, "{what}: not reached within {timeout:?}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A temporary folder with the configuration and the data of a host.
#[derive(Debug)]
pub struct TestHost {
    folder: TempDir,
    /// Whether the host gets the components that other hosts have compiled.
    shares_compiled: bool,
}

impl TestHost {
    /// Creates the folder and writes the configuration.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn new(config: &str) -> anyhow::Result<Self> {
        let test_host = Self { folder: tempfile::tempdir()?, shares_compiled: true };
        test_host.configure(config)?;
        Ok(test_host)
    }

    /// As [`Self::new`], but the host compiles its components itself, as one that a user installs.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn without_compiled_components(config: &str) -> anyhow::Result<Self> {
        Ok(Self { shares_compiled: false, ..Self::new(config)? })
    }

    fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Replaces the configuration.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn configure(&self, config: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.folder.path().join("wheeltapper.toml"), config)?)
    }

    /// The temporary folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A command of the binary with this host's configuration and data.
    ///
    /// # Errors
    /// If the binary has not been built.
    pub fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(binary()?);
        command.current_dir(self.path()).args(["--config", "wheeltapper.toml", "--log", "warn"]);
        Ok(command)
    }

    /// Runs a command and returns its standard output.
    ///
    /// # Errors
    /// If the command fails; the error includes its output.
    pub fn output(&self, arguments: &[&str]) -> anyhow::Result<String> {
        // The other commands expect a folder with data, or report that there is none.
        let compiles = self.shares_compiled && arguments.first() == Some(&"replay");
        if compiles {
            compiled::restore(&self.data())?;
        }
        let out = self.command()?.args(arguments).output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        ensure!(out.status.success(), "{arguments:?} failed:\n{text}{}", String::from_utf8_lossy(&out.stderr));
        if compiles {
            compiled::save(&self.data());
        }
        Ok(text)
    }

    /// Runs `wheeltapper query …` and parses each line as JSON.
    ///
    /// # Errors
    /// If the command fails.
    pub fn query(&self, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
        let text = self.output(&[&["query"], arguments].concat())?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Runs `wheeltapper query counts`.
    ///
    /// # Errors
    /// If the command fails.
    pub fn counts(&self) -> anyhow::Result<Value> {
        self.query(&["counts"])?.pop().context("no counts")
    }

    /// Starts `wheeltapper run` on free ports and waits until the host is ready.
    ///
    /// # Errors
    /// If the host does not start within a minute.
    pub fn start(&self) -> anyhow::Result<RunningHost> {
        if self.shares_compiled {
            compiled::restore(&self.data())?;
        }
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
                bail!("the host exited ({status}):\n{}", fs::read_to_string(self.path().join("host.log"))?);
            }
            if began.elapsed() > Duration::from_secs(60) {
                let _ = child.kill();
                bail!("the host did not start:\n{}", fs::read_to_string(self.path().join("host.log"))?);
            }
            thread::sleep(Duration::from_millis(2));
        };
        let startup_time = began.elapsed();
        if self.shares_compiled {
            compiled::save(&self.data());
        }
        let address = |name: &str| addresses.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Ok(RunningHost { child: Some(child), http: address("http"), mqtt: address("mqtt"), agent, startup_time })
    }
}

/// A running host. Dropping it kills the process.
#[derive(Debug)]
pub struct RunningHost {
    child: Option<Child>,
    /// HTTP address.
    pub http: String,
    /// MQTT address.
    pub mqtt: String,
    /// Time from the start of the process until it was ready.
    pub startup_time: Duration,
    agent: ureq::Agent,
}

/// The answer of the ingest route.
#[derive(Clone, Debug)]
pub struct IngestAnswer {
    /// HTTP status.
    pub status: u16,
    /// Body as JSON; null if it is not JSON.
    pub body: Value,
}

impl RunningHost {
    /// Posts to the ingest route with a content type.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn post(&self, content_type: &str, body: &[u8]) -> anyhow::Result<IngestAnswer> {
        self.post_with(&[("Content-Type", content_type)], body)
    }

    /// Posts to the ingest route with headers.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn post_with(&self, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<IngestAnswer> {
        let mut request = self.agent.post(format!("http://{}/api/v1/ingest", self.http));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send(body)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        Ok(IngestAnswer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }

    /// Sends a GET request; returns the status and the body.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut answer = self.agent.get(format!("http://{}{path}", self.http)).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }

    /// Sum of all samples in `/metrics` whose line starts with `name`.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let (_, text) = self.get("/metrics")?;
        Ok(text
            .lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }

    /// Process ID; 0 after the process ended.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Sends the process a signal, given by name such as `HUP`.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status()?;
        ensure!(status.success(), "kill -{name} failed");
        Ok(())
    }

    /// Kills the process with SIGKILL.
    ///
    /// # Errors
    /// If the process cannot be killed.
    pub fn kill(mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Stops the process with SIGTERM and waits until it exits.
    ///
    /// # Errors
    /// If the process fails or does not exit within a minute.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.signal("TERM")?;
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "the host exited with {status}");
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

impl Drop for RunningHost {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
