//! `wheeltapper simulate`.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;
use wheeltapper_simulate::{Fleet, FleetSpec, Pace};

use crate::clock;

/// Publishes the readings of a simulated fleet: pumps, motors, fans, gearboxes, with shaft speed, imbalance,
/// misalignment, bearing defects at their fault frequencies, cavitation, drift, stuck and dropping sensors.
///
/// The same seed gives the same fleet. With --backfill the fleet's clock starts in the past and runs at --speed until
/// it reaches the present; from then on it runs in real time.
#[derive(Debug, clap::Args)]
pub(super) struct Simulate {
    /// Number of machines
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    machines: u32,
    /// Seed of the fleet
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of the machines that degrade, 0 to 1
    #[arg(long, default_value_t = 0.2, value_parser = parse_share)]
    faulty: f64,
    /// Target: http://host:8080 or mqtt://host:1883
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    to: String,
    /// An API key with the scope ingest, if the host requires one; create one with `wheeltapper key add`
    #[arg(long, env = "WHEELTAPPER_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Factor of real time, while in the past
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Start this long ago, such as 30m
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    backfill: Duration,
    /// Stop after this much time of the fleet's clock [default: never]
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    run_for: Option<Duration>,
    /// Start of the fleet's clock, instead of --backfill
    #[arg(long, value_parser = super::parse_time, conflicts_with = "backfill")]
    start: Option<i64>,
    /// Earliest onset of faults after the start
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    onset: Duration,
    /// Time from a fault's onset to its full strength
    #[arg(long, default_value = "15m", value_parser = humantime::parse_duration)]
    degrade: Duration,
    /// Write the fleet's configuration (sites, machines, sensors, technicians) to this file and publish nothing
    #[arg(long, value_name = "FILE")]
    write_config: Option<PathBuf>,
    /// Write each machine's fault and its onset to this file, as CSV
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
}

impl Simulate {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let backfill = i64::try_from(self.backfill.as_nanos()).unwrap_or(i64::MAX);
        let spec = FleetSpec {
            machines: usize::try_from(self.machines).unwrap_or(usize::MAX),
            seed: self.seed,
            start_ns: self.start.unwrap_or_else(|| clock::now().saturating_sub(backfill)),
            faulty_fraction: self.faulty,
            fault_onset_range: (self.onset.as_secs_f64(), self.onset.as_secs_f64() + 120.0),
            degradation_seconds: self.degrade.as_secs_f64(),
            ..FleetSpec::default()
        };
        let mut fleet = Fleet::new(spec);
        if let Some(path) = &self.labels {
            fs::write(path, fleet.labels_csv()).with_context(|| format!("writing {}", path.display()))?;
        }
        if let Some(path) = &self.write_config {
            fs::write(path, fleet.config_toml()).with_context(|| format!("writing {}", path.display()))?;
            println!("wrote {}", path.display());
            return Ok(());
        }
        let pace = Pace { speed: self.speed, run_for: self.run_for };
        let sent = if self.to.starts_with("mqtt") {
            wheeltapper_simulate::publish_mqtt(&self.to, self.key.as_deref(), &mut fleet, &pace)?
        } else {
            wheeltapper_simulate::publish_http(&self.to, self.key.as_deref(), &mut fleet, &pace)?
        };
        println!("sent {sent} readings");
        Ok(())
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let error = || format!("expected a share from 0 to 1, such as 0.2; got {text}");
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(error)
}
