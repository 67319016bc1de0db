//! `wheeltapper replay`.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use wheeltapper_simulate::{Chunk, CsvOptions, CsvRecording, NpyOptions, NpyRecording, RecordingError};

use super::Global;
use crate::{
    clock,
    host::Host,
    intake::{Answer, Envelope, IntakeError},
};

/// Chunks under way at once: enough to keep the decoders and the disk busy.
const IN_FLIGHT: usize = 16;

/// Runs recordings through ingest, featurize, detect, alert and schedule into the data folder, and prints what came of
/// it. Each file becomes an asset, each column a sensor.
///
/// CSV: the time column is found by its name (datetime, timestamp, time); other columns are sensors, but for those named
/// with --ignore. NumPy: --rate and --start say when the samples were taken.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// Recordings: .csv or .npy files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Sensor ids; {asset} is the file's path without its ending, {column} the column's name in lower case with dashes
    #[arg(long, default_value = "{asset}/{column}")]
    sensor: String,
    /// Name of the asset instead of the file's path
    #[arg(long)]
    asset: Option<String>,
    /// The time column
    #[arg(long)]
    time_column: Option<String>,
    /// Only these columns [default: all]
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Columns that are no sensors, such as labels
    #[arg(long, value_delimiter = ',', default_value = "anomaly,changepoint")]
    ignore: Vec<String>,
    /// Samples a second of NumPy recordings [default: from the file's name, such as _DE12 for 12 kHz, else 1]
    #[arg(long)]
    rate: Option<f64>,
    /// Time of the first sample of NumPy recordings
    #[arg(long, default_value = "2020-01-01T00:00:00Z", value_parser = super::parse_time)]
    start: i64,
    /// Seconds of samples in one burst of a NumPy recording
    #[arg(long, default_value_t = 0.25)]
    burst: f64,
    /// N times real time [default: as fast as possible]
    #[arg(long)]
    speed: Option<f64>,
}

impl Replay {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let mut config = global.load()?;
        // A recording lies in the past; nothing of it may count as too old, or be shut out by the timer.
        config.mqtt.broker = None;
        let files = self.files()?;
        let host = Host::start(config)?;
        let before = host.store.counts()?;
        let started = Instant::now();
        let bar = progress(files.len());
        let mut sums = Sums::default();
        for file in &files {
            bar.set_message(file.display().to_string());
            self.replay(&host, file, &mut sums).with_context(|| format!("replaying {}", file.display()))?;
            bar.inc(1);
        }
        bar.set_message("closing the last windows");
        host.flush()?;
        host.settle(Duration::from_secs(600))?;
        bar.finish_and_clear();
        let after = host.store.counts()?;
        let took = started.elapsed();
        let repeated = host.metrics.readings_repeated.get();
        host.stop();

        let stored = after.readings + after.waveform_samples - before.readings - before.waveform_samples;
        let refused = after.rejected_readings - before.rejected_readings;
        #[allow(clippy::cast_precision_loss, reason = "a rate to look at")]
        let rate = sums.readings as f64 / took.as_secs_f64();
        println!(
            "{} files, {} readings in {:.1} s ({rate:.0} a second)",
            files.len(),
            sums.readings,
            took.as_secs_f64()
        );
        println!("  stored       {stored}");
        println!("  rejected     {refused}{}", if refused > 0 { "   (see wheeltapper dlq list)" } else { "" });
        if repeated > 0 {
            println!("  repeated     {repeated}   (stored already, dropped)");
        }
        println!("  windows      {}", after.windows - before.windows);
        println!("  anomalies    {}", after.anomalies - before.anomalies);
        println!("  alerts       {}", after.alerts - before.alerts);
        println!("  work orders  {}", after.work_orders - before.work_orders);
        ensure!(
            stored + refused + repeated == sums.readings,
            "the counts do not add up: {} readings in, {stored} stored, {refused} rejected and {repeated} repeated; please report this with the recording",
            sums.readings
        );
        Ok(())
    }

    /// The recordings that were named, folders searched, in a fixed order.
    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for named in &self.files {
            if named.is_dir() {
                gather(named, &mut files)?;
            } else {
                ensure!(named.exists(), "{} does not exist", named.display());
                files.push(named.clone());
            }
        }
        ensure!(!files.is_empty(), "no .csv or .npy file in what was named");
        Ok(files)
    }

    fn replay(&self, host: &Host, file: &Path, sums: &mut Sums) -> anyhow::Result<()> {
        let asset = self.asset.clone().unwrap_or_else(|| asset_name(file));
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => {
                let options = CsvOptions {
                    asset,
                    sensor: self.sensor.clone(),
                    time_column: self.time_column.clone(),
                    columns: self.columns.clone(),
                    ignore: self.ignore.clone(),
                    rows_per_chunk: 2000,
                };
                self.feed(host, CsvRecording::open(file, options)?, sums)
            }
            Some("npy") => {
                let options = NpyOptions {
                    sensor: self.sensor.replace("{asset}", &asset).replace("{column}", "vibration"),
                    rate: self.rate.unwrap_or_else(|| rate_of(file)),
                    start_ns: self.start,
                    burst_seconds: self.burst,
                };
                self.feed(host, NpyRecording::open(file, options)?, sums)
            }
            _ => bail!("expected a .csv or .npy file"),
        }
    }

    fn feed(
        &self,
        host: &Host,
        chunks: impl Iterator<Item = Result<Chunk, RecordingError>>,
        sums: &mut Sums,
    ) -> anyhow::Result<()> {
        let mut under_way = std::collections::VecDeque::new();
        let mut pace: Option<(Instant, i64)> = None;
        for chunk in chunks {
            let chunk = chunk?;
            if let Some(speed) = self.speed {
                let (began, first) = *pace.get_or_insert((Instant::now(), chunk.last_time_ns));
                #[allow(clippy::cast_precision_loss, reason = "a pause")]
                let due = Duration::from_secs_f64(((chunk.last_time_ns - first) as f64 / 1e9 / speed).max(0.0));
                thread::sleep(due.saturating_sub(began.elapsed()));
            }
            sums.readings += chunk.readings;
            under_way.push_back(submit(host, &chunk)?);
            while under_way.len() >= IN_FLIGHT {
                settle_one(&mut under_way)?;
            }
        }
        while !under_way.is_empty() {
            settle_one(&mut under_way)?;
        }
        Ok(())
    }
}

/// What was fed in.
#[derive(Debug, Default)]
struct Sums {
    readings: u64,
}

fn submit(host: &Host, chunk: &Chunk) -> anyhow::Result<Answer> {
    loop {
        let envelope = Envelope {
            source: "replay".to_owned(),
            format: Some(chunk.content_type.to_owned()),
            sensor: None,
            arrival: clock::now(),
            payload: chunk.body.clone().into(),
        };
        // One lane, so that readings stay in the recording's order.
        match host.intake.submit(0, vec![envelope]) {
            Ok(answer) => return Ok(answer),
            Err(IntakeError::Busy { .. }) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(error.into()),
        }
        host.housekeeping();
    }
}

fn settle_one(under_way: &mut std::collections::VecDeque<Answer>) -> anyhow::Result<()> {
    if let Some(answer) = under_way.pop_front() {
        answer.blocking_recv().map_err(|_| IntakeError::Closed)??;
    }
    Ok(())
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut entries = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("listing {}", folder.display()))?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            gather(&entry, files)?;
        } else if matches!(entry.extension().and_then(|ending| ending.to_str()), Some("csv" | "npy")) {
            files.push(entry);
        }
    }
    Ok(())
}

/// The last folder and the file's name without its ending: `valve1/0.csv` is the asset `valve1/0`.
fn asset_name(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    match file.parent().and_then(Path::file_name) {
        Some(folder) => format!("{}/{name}", folder.to_string_lossy()),
        None => name.into_owned(),
    }
}

/// The rate in a name such as `1797_B_7_DE12`; the healthy recordings of that collection are at 48 kHz.
fn rate_of(file: &Path) -> f64 {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    if name.ends_with("DE12") {
        12_000.0
    } else if name.ends_with("DE48") || name.ends_with("Normal") {
        48_000.0
    } else {
        1.0
    }
}

fn progress(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}
