//! `cargo xtask up`: runs the host with a simulated fleet.

use std::{
    fs,
    net::TcpStream,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{cargo, run, setup, target};

/// Settings of the fleet and the host.
#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// Number of machines
    #[arg(long, default_value_t = 50)]
    machines: usize,
    /// Seed of the simulated fleet; the same seed gives the same fleet
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Address of the dashboard and the API
    #[arg(long, default_value = "127.0.0.1:8080")]
    http: String,
    /// Address of the MQTT broker
    #[arg(long, default_value = "127.0.0.1:1883")]
    mqtt: String,
    /// Keep the data of the previous run
    #[arg(long)]
    keep: bool,
    /// Stop after this many seconds [default: at Ctrl-C]
    #[arg(long)]
    seconds: Option<u64>,
}

/// A child process.
struct Program(Child);

impl Program {
    fn has_exited(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)))
    }

    /// Sends SIGTERM and waits until the program exits.
    fn stop(mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

impl Up {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        setup::wasm_target()?;
        setup::dashboard()?;
        // Only the host: the programs of the tests need half as much time again.
        cargo(&["build", "--release", "--package", "wheeltapper"])?;
        let folder = target().join("up");
        if !self.keep && folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        let binary = target().join("release").join("wheeltapper");
        let config = folder.join("wheeltapper.toml");
        let (machines, seed) = (self.machines.to_string(), self.seed.to_string());
        let fleet = ["--machines", machines.as_str(), "--seed", seed.as_str()];
        run(Command::new(&binary)
            .arg("simulate")
            .args(fleet)
            .arg("--write-config")
            .arg(&config)
            .stdout(std::process::Stdio::null()))?;

        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        let mut host = Program(
            Command::new(&binary)
                .arg("--config")
                .arg(&config)
                .args(["--log", "warn", "run", "--findings", "--http", &self.http, "--mqtt", &self.mqtt])
                .spawn()
                .context("starting wheeltapper run")?,
        );
        self.wait_for_http(&mut host, &stop)?;
        println!(
            "\n  Ready after {:.0} s\n  Dashboard: http://{}; MQTT: {}; press Ctrl-C to stop\n  \
             Machines with a fault: {}\n",
            started.elapsed().as_secs_f64(),
            self.http,
            self.mqtt,
            folder.join("labels.csv").display()
        );
        // Forty minutes of past data are processed in under a minute: the warm-up, then the growing faults.
        let backfill: &[&str] = if self.keep { &[] } else { &["--backfill", "40m", "--speed", "60"] };
        let mut fleet = Program(
            Command::new(&binary)
                .arg("simulate")
                .args(fleet)
                .args(["--to", &format!("http://{}", self.http)])
                .args(backfill)
                .arg("--labels")
                .arg(folder.join("labels.csv"))
                .spawn()
                .context("starting wheeltapper simulate")?,
        );
        let started = Instant::now();
        let is_over = || self.seconds.is_some_and(|seconds| started.elapsed() >= Duration::from_secs(seconds));
        while !stop.load(Ordering::Relaxed) && !is_over() && !host.has_exited() && !fleet.has_exited() {
            thread::sleep(Duration::from_millis(200));
        }
        let is_regular_end = stop.load(Ordering::Relaxed) || is_over();
        fleet.stop();
        host.stop();
        if !is_regular_end {
            bail!("a program exited unexpectedly; its output is above");
        }
        Ok(())
    }

    fn wait_for_http(&self, host: &mut Program, stop: &AtomicBool) -> anyhow::Result<()> {
        let started = Instant::now();
        while TcpStream::connect(&self.http).is_err() {
            if host.has_exited() {
                bail!(
                    "wheeltapper run exited; if {} or {} is in use, set others with --http and --mqtt",
                    self.http,
                    self.mqtt
                );
            }
            if stop.load(Ordering::Relaxed) || started.elapsed() > Duration::from_secs(60) {
                bail!("wheeltapper run did not listen on {}", self.http);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}
