//! The bearing recordings of Case Western Reserve University (bearing data center; drive-end bearing SKF 6205-2RS).
//!
//! The pipeline learns from the first half of the healthy recording with the same speed. It scores the second half and
//! the faults in windows of 0.25 s. It never learns from a window of a fault, so nothing leaks from training to test.
//! For fault recordings at 12 kHz, the healthy recording (48 kHz) is decimated: otherwise the rate alone would
//! distinguish them.

mod decimate;
mod name;

pub use decimate::decimate;
pub use name::RecordingName;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use wheeltapper_simulate::TrueFaultKind;

use crate::{
    Benchmark, Column, Error, Pipeline, Report, Row, WaveformRecording, WindowVerdict, damaged_part::DamagedPart,
    diagnosis::Diagnosis, npy, pipeline::check_verdicts, read,
};

/// Length of a window in seconds.
pub const WINDOW_SECONDS: f64 = 0.25;
/// Time between recordings in nanoseconds: one hour.
const RECORDING_INTERVAL: i64 = 3_600_000_000_000;

const PROTOCOL: &str = "learn from the first half of the healthy recording only, score windows of 0.25 s; a race counts as named \
                        if the window's alarm names it (inner, outer, ball); ball faults are separate";

const COLUMNS: [Column; 5] = [
    Column { key: "windows", title: "windows", meaning: "number of scored windows", digits: 0 },
    Column { key: "found", title: "found %", meaning: "fault windows with an alarm", digits: 1 },
    Column { key: "named", title: "named %", meaning: "fault windows whose alarm names the race or ball", digits: 1 },
    Column {
        key: "misnamed",
        title: "misnamed %",
        meaning: "fault windows whose alarm names another part or a cause that is no bearing fault",
        digits: 1,
    },
    Column { key: "far", title: "FAR %", meaning: "windows of the healthy second half with an alarm", digits: 1 },
];

/// Numbers of windows: all, with an alarm, with the right race named, and with a wrong cause named.
#[derive(Clone, Copy, Debug, Default)]
struct WindowCounts {
    windows: u64,
    alarms: u64,
    named: u64,
    misnamed: u64,
}

impl WindowCounts {
    fn from_verdicts(verdicts: &[WindowVerdict], race: Option<DamagedPart>) -> Self {
        let mut counts = Self { windows: verdicts.len() as u64, ..Self::default() };
        for verdict in verdicts.iter().filter(|verdict| verdict.alarm) {
            counts.alarms += 1;
            let Some(race) = race else { continue };
            let named = verdict.fault_mode.as_deref().and_then(DamagedPart::from_fault_mode);
            counts.named += u64::from(named == Some(race));
            let diagnosis = Diagnosis::from_fault_mode(verdict.fault_mode.as_deref());
            counts.misnamed += u64::from(!diagnosis.fits(TrueFaultKind::Machine(race.fault())));
        }
        counts
    }

    fn add(&mut self, other: Self) {
        self.windows += other.windows;
        self.alarms += other.alarms;
        self.named += other.named;
        self.misnamed += other.misnamed;
    }

    fn row(self, name: &str, healthy: bool) -> Row {
        let percent = |part: u64| 100.0 * part as f64 / self.windows as f64;
        let windows = ("windows", self.windows as f64);
        if healthy {
            Row::new(name, &[windows, ("far", percent(self.alarms))])
        } else {
            let (named, misnamed) = (percent(self.named), percent(self.misnamed));
            Row::new(name, &[windows, ("found", percent(self.alarms)), ("named", named), ("misnamed", misnamed)])
        }
    }
}

/// Evaluates a pipeline on a folder of `.npy` files named `rpm_fault_diameter_rate`, with at least one `rpm_Normal`.
///
/// # Errors
/// [`Error`] if there is no healthy recording, a file is not a `.npy` file, or the pipeline fails.
pub fn evaluate(pipeline: &mut dyn Pipeline, folder: &Path) -> Result<Report, Error> {
    let mut report = Report::new(Benchmark::Cwru, PROTOCOL, &COLUMNS);
    let mut healthy: BTreeMap<u32, PathBuf> = BTreeMap::new();
    // By speed and rate.
    let mut faults: BTreeMap<(u32, u32), Vec<(RecordingName, PathBuf)>> = BTreeMap::new();
    for path in read::files(folder, &[".npy"])? {
        match RecordingName::parse(&read::file_name(&path)) {
            Some(name) if name.race.is_none() => drop(healthy.insert(name.rpm, path)),
            Some(name) => faults.entry((name.rpm, name.rate)).or_default().push((name, path)),
            None => report
                .notes
                .push(format!("{} is skipped: it is not named like a drive-end recording", read::file_name(&path))),
        }
    }
    if healthy.is_empty() {
        return Err(Error::layout(folder, "a healthy recording, such as 1797_Normal.npy", "none"));
    }
    if faults.is_empty() {
        // The false-alarm rate can still be measured.
        faults.extend(healthy.keys().map(|rpm| ((*rpm, name::HEALTHY_RATE), Vec::new())));
    }
    let (mut races, mut balls, mut normal) =
        (WindowCounts::default(), WindowCounts::default(), WindowCounts::default());
    let mut races_by_diameter: BTreeMap<u32, WindowCounts> = BTreeMap::new();
    for ((rpm, rate), files) in faults {
        // If no healthy recording has the same speed, use the nearest one.
        let nearest = healthy.iter().min_by_key(|(other, _)| other.abs_diff(rpm));
        let Some((base, path)) = nearest else { continue };
        if *base != rpm {
            report.notes.push(format!("no healthy recording at {rpm} rpm: the one at {base} rpm is used for learning"));
        }
        let verdicts = score_recordings(pipeline, (rpm, rate), (*base, path), &files)?;
        let mut verdicts = verdicts.iter();
        let of_healthy = WindowCounts::from_verdicts(verdicts.next().map_or(&[], Vec::as_slice), None);
        let name = format!("{base}_Normal, second half, {rate} Hz");
        if report.file(&name, "far").is_none() {
            normal.add(of_healthy);
            report.files.push(of_healthy.row(&name, true));
        }
        for ((name, path), verdicts) in files.iter().zip(verdicts) {
            let counts = WindowCounts::from_verdicts(verdicts, name.race);
            if name.race == Some(DamagedPart::Ball) {
                balls.add(counts);
            } else {
                races.add(counts);
                races_by_diameter.entry(name.diameter).or_default().add(counts);
            }
            report.files.push(counts.row(&read::file_name(path), false));
        }
    }
    report.ours.push(races.row("races (inner and outer)", false));
    // One diameter is the same as all.
    for (diameter, counts) in races_by_diameter.iter().filter(|_| races_by_diameter.len() > 1) {
        report.ours.push(counts.row(&format!("races, {diameter} mil"), false));
    }
    report.ours.push(balls.row("balls", false));
    report.ours.push(normal.row("healthy", true));
    report.publish(
        ["found", "named"],
        &[
            ("trained classifiers, low (mostly leaking)", [f64::NAN, 97.0]),
            ("trained classifiers, high (the same)", [f64::NAN, 100.0]),
        ],
    );
    report.notes.push(
        "most published classifiers use windows of the same recording for training and test (Hendriks et al. 2022)"
            .to_owned(),
    );
    Ok(report)
}

/// Returns the verdicts of the healthy second half, then of each fault.
fn score_recordings(
    pipeline: &mut dyn Pipeline,
    (rpm, rate): (u32, u32),
    (base, healthy): (u32, &Path),
    faults: &[(RecordingName, PathBuf)],
) -> Result<Vec<Vec<WindowVerdict>>, Error> {
    let mut normal = npy::read(healthy)?;
    if rate != name::HEALTHY_RATE {
        if !name::HEALTHY_RATE.is_multiple_of(rate) {
            return Err(Error::layout(healthy, format!("a rate that is a multiple of {rate} Hz"), "48 kHz"));
        }
        normal = decimate(&normal, (name::HEALTHY_RATE / rate) as usize);
    }
    let (first, second) = normal.split_at(normal.len() / 2);
    let waveform = |at: usize, rpm: u32, samples: &[f32]| WaveformRecording {
        asset: format!("cwru-{rate}"),
        sensor: "drive-end/vibration".to_owned(),
        start: at as i64 * RECORDING_INTERVAL,
        rate: f64::from(rate),
        rpm: f64::from(rpm),
        samples: samples.to_vec(),
    };
    let mut recordings = vec![(waveform(0, base, first), true), (waveform(1, base, second), false)];
    for (at, (_, path)) in faults.iter().enumerate() {
        recordings.push((waveform(at + 2, rpm, &npy::read(path)?), false));
    }
    let mut verdicts = pipeline.score_waveforms(Benchmark::Cwru, &recordings, WINDOW_SECONDS)?;
    let what = format!("{rpm} rpm at {rate} Hz");
    if verdicts.len() != recordings.len() {
        return Err(Error::invalid_result(
            what,
            format!("{} recordings' verdicts", recordings.len()),
            verdicts.len().to_string(),
        ));
    }
    let samples = (f64::from(rate) * WINDOW_SECONDS) as usize;
    for (verdicts, (waveform, _)) in verdicts.iter().zip(&recordings) {
        check_verdicts(&what, waveform.samples.len() / samples.max(1), verdicts)?;
    }
    // The verdicts of the learning phase do not count.
    verdicts.remove(0);
    Ok(verdicts)
}
