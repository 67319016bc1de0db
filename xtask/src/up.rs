//! `cargo xtask up`.

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

use crate::{binaries, run, setup, target};

/// The fleet and where it runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// How many machines
    #[arg(long, default_value_t = 50)]
    machines: usize,
    /// Which fleet
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the page and the API listen
    #[arg(long, default_value = "127.0.0.1:8080")]
    http: String,
    /// Where the MQTT broker listens
    #[arg(long, default_value = "127.0.0.1:1883")]
    mqtt: String,
    /// Go on with the data of the run before
    #[arg(long)]
    keep: bool,
    /// Stop after so many seconds [default: at Ctrl-C]
    #[arg(long)]
    seconds: Option<u64>,
}

/// A program that is stopped with this one.
struct Program(Child);

impl Program {
    fn ended(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)))
    }

    fn stop(mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

impl Up {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        setup::target()?;
        setup::dashboard()?;
        eprintln!("building (the first time takes some minutes)");
        binaries()?;
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
            "\n  http://{} shows the fleet; MQTT listens on {}; Ctrl-C stops\n  machines with a fault: {}\n",
            self.http,
            self.mqtt,
            folder.join("labels.csv").display()
        );
        // Forty minutes of the past go through in under a minute: the warm-up, then the faults as they grow.
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
        let began = Instant::now();
        let over = || self.seconds.is_some_and(|most| began.elapsed() >= Duration::from_secs(most));
        while !stop.load(Ordering::Relaxed) && !over() && !host.ended() && !fleet.ended() {
            thread::sleep(Duration::from_millis(200));
        }
        let wanted = stop.load(Ordering::Relaxed) || over();
        fleet.stop();
        host.stop();
        if !wanted {
            bail!("a program ended by itself; what it said stands above");
        }
        Ok(())
    }

    fn wait_for_http(&self, host: &mut Program, stop: &AtomicBool) -> anyhow::Result<()> {
        let began = Instant::now();
        while TcpStream::connect(&self.http).is_err() {
            if host.ended() {
                bail!(
                    "wheeltapper run ended; is {} or {} in use? Choose others with --http and --mqtt",
                    self.http,
                    self.mqtt
                );
            }
            if stop.load(Ordering::Relaxed) || began.elapsed() > Duration::from_secs(60) {
                bail!("wheeltapper run did not listen on {}", self.http);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}
