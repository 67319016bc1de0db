//! `wheeltapper replay`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use wheeltapper_simulate::{Chunk, CsvOptions, CsvRecording, NpyOptions, NpyRecording, RecordingError};
use wheeltapper_store::{Counts, Store};

use super::GlobalArgs;
use crate::{
    clock,
    host::Host,
    intake::{Envelope, IntakeError, PendingReceipts},
};

/// Maximum number of chunks in flight: enough to keep the decoders and the disk busy.
const MAX_IN_FLIGHT: usize = 16;

/// Runs recordings through ingest, featurize, detect, alert and schedule into the data folder, and prints a summary.
/// Each file becomes an asset, each column a sensor.
///
/// CSV: the time column is found by its name (datetime, timestamp, time); all other columns are sensors, except those
/// named with --ignore. NumPy: --rate and --start give the times of the samples.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 something was stored; 1 nothing was stored, or failed, see standard error; 2 wrong arguments or configuration"
)]
pub(super) struct Replay {
    /// Recordings: .csv or .npy files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Sensor ids; {asset} is the file's path without its extension, {column} the column's name in lower case with
    /// dashes
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
    /// Columns that are not sensors, such as labels
    #[arg(long, value_delimiter = ',', default_value = "anomaly,changepoint")]
    ignore: Vec<String>,
    /// Decimal separator in CSV
    #[arg(long, value_enum, default_value_t = DecimalSeparator::Point)]
    decimal: DecimalSeparator,
    /// Samples per second; required for NumPy recordings, which do not contain it
    #[arg(long)]
    rate: Option<f64>,
    /// Time of the first sample of NumPy recordings
    #[arg(long, default_value = "2020-01-01T00:00:00Z", value_parser = super::parse_time)]
    start: i64,
    /// Length of a waveform of a NumPy recording, in seconds
    #[arg(long, default_value_t = 0.25)]
    waveform_seconds: f64,
    /// Factor of real time [default: as fast as possible]
    #[arg(long)]
    speed: Option<f64>,
}

/// Decimal separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DecimalSeparator {
    #[value(name = ".")]
    Point,
    #[value(name = ",")]
    Comma,
}

impl Replay {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        let mut config = global.load_config()?;
        // The data is in the past: the broker must not accept live data, and there is no timer that would close
        // windows.
        config.mqtt.broker = None;
        let files = self.files()?;
        let host = Host::start(config)?;
        // Records of an interrupted run are stored in this one.
        let has_unstored_records = host.has_unstored_records();
        let before = host.store.counts()?;
        let started = Instant::now();
        let bar = progress(files.len());
        let mut totals = SubmittedTotals::default();
        for file in &files {
            bar.set_message(file.display().to_string());
            self.replay(&host, file, &mut totals).with_context(|| format!("replaying {}", file.display()))?;
            bar.inc(1);
        }
        bar.set_message("closing the last windows");
        host.flush()?;
        host.wait_until_stored(Duration::from_secs(600))?;
        bar.finish_and_clear();
        let after = host.store.counts()?;
        let took = started.elapsed();
        let store = host.store.clone();
        let repeated = host.metrics.readings_duplicate.get();
        host.stop();
        let outcome = ReplaySummary { files: files.len(), before, after, repeated, has_unstored_records, took };
        outcome.print(&totals)?;
        outcome.check(&totals, &store)
    }

    /// The named files, and the recordings in the named folders, in a fixed order.
    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in &self.files {
            if path.is_dir() {
                collect_recordings(path, &mut files)?;
            } else {
                ensure!(path.exists(), "{} does not exist", path.display());
                files.push(path.clone());
            }
        }
        ensure!(!files.is_empty(), "no .csv or .npy file in the given paths");
        Ok(files)
    }

    fn replay(&self, host: &Host, file: &Path, totals: &mut SubmittedTotals) -> anyhow::Result<()> {
        let asset = self.asset.clone().unwrap_or_else(|| asset_name(file));
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => {
                let options = CsvOptions {
                    asset,
                    sensor: self.sensor.clone(),
                    time_column: self.time_column.clone(),
                    columns: self.columns.clone(),
                    ignore: self.ignore.clone(),
                    rows_per_chunk: 2000,
                    decimal_comma: self.decimal == DecimalSeparator::Comma,
                };
                let mut recording = CsvRecording::open(file, options)?;
                let result = self.submit_chunks(host, &mut recording, totals);
                totals.cells_with_comma += recording.decimal_comma_cells();
                result
            }
            Some("npy") => {
                let options = NpyOptions {
                    sensor: self.sensor.replace("{asset}", &asset).replace("{column}", "vibration"),
                    rate: self.rate.context(
                        "a NumPy recording does not contain its sampling rate: state it with --rate, such as --rate 12000",
                    )?,
                    start_ns: self.start,
                    waveform_seconds: self.waveform_seconds,
                };
                self.submit_chunks(host, NpyRecording::open(file, options)?, totals)
            }
            _ => bail!("expected a .csv or .npy file"),
        }
    }

    fn submit_chunks(
        &self,
        host: &Host,
        chunks: impl Iterator<Item = Result<Chunk, RecordingError>>,
        totals: &mut SubmittedTotals,
    ) -> anyhow::Result<()> {
        let mut in_flight = std::collections::VecDeque::new();
        let mut pace: Option<(Instant, i64)> = None;
        for chunk in chunks {
            let chunk = chunk?;
            if let Some(speed) = self.speed {
                let (began, first) = *pace.get_or_insert((Instant::now(), chunk.last_time_ns));
                #[allow(clippy::cast_precision_loss, reason = "a pause")]
                let due = Duration::from_secs_f64(((chunk.last_time_ns - first) as f64 / 1e9 / speed).max(0.0));
                thread::sleep(due.saturating_sub(began.elapsed()));
            }
            totals.readings += chunk.readings;
            in_flight.push_back(submit(host, &chunk)?);
            while in_flight.len() >= MAX_IN_FLIGHT {
                receive_one(&mut in_flight, totals)?;
            }
        }
        while !in_flight.is_empty() {
            receive_one(&mut in_flight, totals)?;
        }
        Ok(())
    }
}

/// Counts of the readings that were submitted, and ingest's rejections.
#[derive(Debug, Default)]
struct SubmittedTotals {
    readings: u64,
    /// Cells that would be numbers if they had a decimal point.
    cells_with_comma: u64,
    /// By reason: number of rejected readings, and the first message.
    rejected: BTreeMap<&'static str, (u64, String)>,
}

impl SubmittedTotals {
    /// Advice on rejected readings, if the cause is known.
    fn advice(&self) -> String {
        match self.cells_with_comma {
            0 => String::new(),
            cells => format!(
                "; {cells} cells have a decimal comma: replay with `--decimal ,`, or export the file with decimal points"
            ),
        }
    }
}

/// The result in the store.
struct ReplaySummary {
    files: usize,
    before: Counts,
    after: Counts,
    /// Readings and samples that were already stored.
    repeated: u64,
    /// Whether the log had records of an earlier run that were not stored yet: they count as stored in this run.
    has_unstored_records: bool,
    took: Duration,
}

impl ReplaySummary {
    fn stored(&self) -> u64 {
        let Self { before, after, .. } = self;
        (after.readings + after.waveform_samples).saturating_sub(before.readings + before.waveform_samples)
    }

    fn rejected(&self) -> u64 {
        self.after.rejected_readings.saturating_sub(self.before.rejected_readings)
    }

    fn print(&self, totals: &SubmittedTotals) -> anyhow::Result<()> {
        let Self { files, before, after, repeated, took, .. } = self;
        let rejected = self.rejected();
        #[allow(clippy::cast_precision_loss, reason = "only displayed")]
        let rate = totals.readings as f64 / took.as_secs_f64();
        println!("{files} files, {} readings in {:.1} s ({rate:.0} a second)", totals.readings, took.as_secs_f64());
        println!("  stored       {}", self.stored());
        println!(
            "  rejected     {rejected}{}",
            if rejected > 0 { "   (see wheeltapper dead-letters list)" } else { "" }
        );
        if *repeated > 0 {
            println!("  repeated     {repeated}   (stored already, dropped)");
        }
        for (reason, (count, first)) in &totals.rejected {
            println!("    {reason:<12} {count}, the first: {first}");
        }
        println!("  windows      {}", after.windows.saturating_sub(before.windows));
        println!("  anomalies    {}", after.anomalies.saturating_sub(before.anomalies));
        println!("  alerts       {}", after.alerts.saturating_sub(before.alerts));
        println!("  work orders  {}", after.work_orders.saturating_sub(before.work_orders));
        if self.stored() > 0 && totals.cells_with_comma > 0 {
            eprintln!("wheeltapper: some numbers were rejected{}", totals.advice());
        }
        Ok(())
    }

    /// Fails when readings are missing, or nothing was stored.
    fn check(&self, totals: &SubmittedTotals, store: &Store) -> anyhow::Result<()> {
        let (stored, rejected, repeated) = (self.stored(), self.rejected(), self.repeated);
        ensure!(
            stored + rejected + repeated == totals.readings
                || (self.has_unstored_records && stored + rejected + repeated > totals.readings),
            "the counts do not add up: {} readings in, {stored} stored, {rejected} rejected and {repeated} repeated; please report this with the recording",
            totals.readings
        );
        if stored + repeated > 0 {
            return Ok(());
        }
        ensure!(
            totals.readings > 0,
            "nothing was stored: the recordings hold no readings; expected rows with cells below the header, or samples"
        );
        // Rejections of a later stage, such as readings that are already stored, are read from the dead letters.
        let first = match totals.rejected.values().next() {
            Some((_, first)) => first.clone(),
            None => {
                let newest = store.query_sql("SELECT message FROM dead_letters ORDER BY rowid DESC LIMIT 1")?;
                let message = newest.1.first().and_then(|row| row.first()?.as_str());
                message.unwrap_or("see `wheeltapper dead-letters list`").to_owned()
            }
        };
        bail!("nothing was stored: all {rejected} readings were rejected, the first: {first}{}", totals.advice())
    }
}

fn submit(host: &Host, chunk: &Chunk) -> anyhow::Result<PendingReceipts> {
    loop {
        let envelope = Envelope {
            source: "replay".to_owned(),
            format: Some(chunk.content_type.to_owned()),
            sensor: None,
            arrival: clock::now(),
            payload: chunk.body.clone().into(),
        };
        // One lane, so that readings keep the recording's order.
        match host.intake.submit(0, vec![envelope]) {
            Ok(answer) => return Ok(answer),
            Err(IntakeError::Busy { .. }) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(error.into()),
        }
        host.housekeeping();
    }
}

fn receive_one(
    in_flight: &mut std::collections::VecDeque<PendingReceipts>,
    totals: &mut SubmittedTotals,
) -> anyhow::Result<()> {
    let Some(answer) = in_flight.pop_front() else { return Ok(()) };
    let receipts = answer.blocking_recv().map_err(|_| IntakeError::Closed)??;
    for rejected in receipts.into_iter().flat_map(|receipt| receipt.rejected) {
        let (count, _) = totals.rejected.entry(rejected.reason).or_insert((0, rejected.message));
        *count += u64::from(rejected.readings);
    }
    Ok(())
}

fn collect_recordings(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut entries = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("listing {}", folder.display()))?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect_recordings(&entry, files)?;
        } else if matches!(entry.extension().and_then(|extension| extension.to_str()), Some("csv" | "npy")) {
            files.push(entry);
        }
    }
    Ok(())
}

/// The last folder and the file's name without its extension: `valve1/0.csv` is the asset `valve1/0`.
fn asset_name(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    match file.parent().and_then(Path::file_name) {
        Some(folder) => format!("{}/{name}", folder.to_string_lossy()),
        None => name.into_owned(),
    }
}

fn progress(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}
