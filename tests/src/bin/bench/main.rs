//! `cargo xtask bench`: measures the built binary through its HTTP and MQTT interfaces.

mod api;
mod calls;
mod line;
mod pages;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::Context as _;
use clap::Parser;
use serde_json::{Value, json};

/// Measures the built binary; prints the figures and the machine
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Cli {
    /// Which: throughput, mqtt, latency, start, calls, api, pages [default: all but the last two]
    measurements: Vec<String>,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds of load for each measurement
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Sensors of the throughput measurement
    #[arg(long, default_value_t = 10_000)]
    sensors: usize,
}

type Figures = BTreeMap<&'static str, Value>;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let mut figures = Figures::new();
    let machine = machine();
    println!("machine: {machine}");
    figures.insert("machine", machine.into());
    let named = |name: &str| cli.measurements.iter().any(|each| each == name);
    let selected = |name: &str| cli.measurements.is_empty() || named(name);
    if selected("throughput") {
        line::throughput(&cli, &mut figures)?;
    }
    if selected("mqtt") {
        line::mqtt(&cli, 1, &mut figures)?;
        line::mqtt(&cli, 10, &mut figures)?;
    }
    if selected("latency") {
        line::latency(&cli, &mut figures)?;
    }
    if selected("start") {
        line::start(&mut figures)?;
    }
    if selected("calls") {
        calls::calls(&mut figures)?;
    }
    if named("api") {
        api::api(&cli, &mut figures)?;
    }
    if named("pages") {
        pages::pages(&cli, &mut figures)?;
    }
    if let Some(file) = &cli.json {
        fs::write(file, serde_json::to_string_pretty(&figures)? + "\n")
            .with_context(|| format!("writing {}", file.display()))?;
        println!("written to {}", file.display());
    }
    Ok(())
}

fn report(figures: &mut Figures, key: &'static str, value: f64, unit: &str, description: &str) {
    let formatted = if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    println!("{description:<72} {formatted:>12} {unit}");
    figures.insert(key, json!({ "value": value, "unit": unit, "what": description }));
}

/// Processor, cores, memory and kernel of this machine.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown").trim().to_owned()
    };
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processor = after(&read("/proc/cpuinfo"), "model name");
    let memory = after(&read("/proc/meminfo"), "MemTotal");
    format!("{processor}, {cores} cores, {memory}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

/// Peak resident memory of a process in MB.
fn peak_memory(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Total bytes of the files below a folder whose path contains `part`.
fn bytes(folder: &Path, part: &str) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => bytes(&entry.path(), part),
            Ok(about) if entry.path().to_string_lossy().contains(part) => about.len(),
            _ => 0,
        })
        .sum()
}
