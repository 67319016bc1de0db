//! What is evaluated: a line that takes recordings and gives verdicts.

use std::ops::Range;

use serde::Serialize;

use crate::Error;

/// Which benchmark a recording is of, for the host to pick the window and the sampling interval by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Skoltech Anomaly Benchmark: 8 channels at 1 Hz.
    Skab,
    /// Numenta Anomaly Benchmark: one channel, mostly at 5 minutes.
    Nab,
    /// Case Western Reserve University: bearing vibration at 12 and 48 kHz; SKF 6205-2RS.
    Cwru,
    /// NASA C-MAPSS: turbofans, one row a flight.
    Cmapss,
    /// Tennessee Eastman process: 52 channels at 3 minutes.
    Tep,
    /// IMS bearings: features of one snapshot in 10 minutes.
    Ims,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Skab, Self::Nab, Self::Cwru, Self::Cmapss, Self::Tep, Self::Ims];

    /// The folder's usual name.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Skab => "skab",
            Self::Nab => "nab",
            Self::Cwru => "cwru",
            Self::Cmapss => "cmapss",
            Self::Tep => "tep",
            Self::Ims => "ims-features",
        }
    }
}

/// One recording of one asset: scalar sensors sampled together.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The asset.
    pub asset: String,
    /// The sensors' names, one a column.
    pub sensors: Vec<String>,
    /// Nanoseconds since 1970, one a row. In the order of the file; some benchmarks' clocks repeat themselves.
    pub times: Vec<i64>,
    /// The rows; NaN is a missing value.
    pub rows: Vec<Vec<f64>>,
}

impl Recording {
    /// The first `rows` rows.
    pub(crate) fn head(&self, rows: usize) -> Self {
        self.joined(0..rows, self.rows.len())
    }

    /// The rows of `first`, then those from `rest` on.
    pub(crate) fn joined(&self, first: Range<usize>, rest: usize) -> Self {
        fn kept<T: Clone>(of: &[T], first: Range<usize>, rest: usize) -> Vec<T> {
            [of.get(first).unwrap_or_default(), of.get(rest..).unwrap_or_default()].concat()
        }
        Self {
            asset: self.asset.clone(),
            sensors: self.sensors.clone(),
            times: kept(&self.times, first.clone(), rest),
            rows: kept(&self.rows, first, rest),
        }
    }
}

/// One waveform recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveform {
    /// The asset.
    pub asset: String,
    /// The sensor.
    pub sensor: String,
    /// Of the first sample, nanoseconds since 1970.
    pub start: i64,
    /// Samples a second.
    pub rate: f64,
    /// The shaft's speed as the benchmark states it, revolutions a minute.
    pub rpm: f64,
    /// In g.
    pub samples: Vec<f32>,
}

/// What the line said of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The window's end, nanoseconds since 1970.
    pub end: i64,
    /// Higher is less normal, from 0 on; of one scale over all recordings.
    pub score: f64,
    /// Whether the line would raise an anomaly.
    pub alarm: bool,
    /// What it takes the fault for.
    pub fault_mode: Option<String>,
}

/// Remaining life: quantiles, in cycles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Life {
    /// When it was estimated, nanoseconds since 1970.
    pub end: i64,
    /// One in ten fails before.
    pub q10: f64,
    /// The median.
    pub q50: f64,
    /// Nine in ten fail before.
    pub q90: f64,
}

/// The line under evaluation. Each call is a fresh start: nothing learned in one may be known in another.
pub trait Line {
    /// Runs one recording; the first `fit` rows are the warm-up, to learn from. One verdict for each row after them, in
    /// order, made from that row and those before it.
    ///
    /// # Errors
    /// [`Error::Line`].
    fn rows(&mut self, profile: Profile, fit: usize, recording: &Recording) -> Result<Vec<Verdict>, Error>;

    /// Runs waveforms of one asset, each cut into bursts of `seconds`; learns from those marked `true`, which come first.
    /// For each recording one verdict for each whole burst, in order.
    ///
    /// # Errors
    /// [`Error::Line`].
    fn bursts(
        &mut self,
        profile: Profile,
        recordings: &[(Waveform, bool)],
        seconds: f64,
    ) -> Result<Vec<Vec<Verdict>>, Error>;

    /// Learns from `histories`, each of which ends in failure; estimates the life that is left after the last row of each
    /// of `running`, which know nothing of each other.
    ///
    /// # Errors
    /// [`Error::Line`].
    fn lives(&mut self, histories: &[Recording], running: &[Recording]) -> Result<Vec<Life>, Error>;
}

/// Has the line run a recording, and checks that it answered what was asked.
pub(crate) fn rows(
    line: &mut dyn Line,
    profile: Profile,
    fit: usize,
    recording: &Recording,
) -> Result<Vec<Verdict>, Error> {
    let verdicts = line.rows(profile, fit, recording)?;
    checked(&recording.asset, recording.rows.len().saturating_sub(fit), &verdicts)?;
    Ok(verdicts)
}

/// Whether there are `expected` verdicts, all with a score.
pub(crate) fn checked(recording: &str, expected: usize, verdicts: &[Verdict]) -> Result<(), Error> {
    if verdicts.len() != expected {
        return Err(Error::answer(recording, format!("{expected} verdicts"), verdicts.len().to_string()));
    }
    match verdicts.iter().position(|verdict| verdict.score.is_nan() || verdict.score < 0.0) {
        Some(at) => Err(Error::answer(
            recording,
            "scores from 0 on",
            format!("{} in verdict {at}", verdicts.get(at).map_or(f64::NAN, |verdict| verdict.score)),
        )),
        None => Ok(()),
    }
}

/// Scores and alarms of verdicts.
pub(crate) fn split(verdicts: &[Verdict]) -> (Vec<f64>, Vec<bool>) {
    verdicts.iter().map(|verdict| (verdict.score, verdict.alarm)).unzip()
}
