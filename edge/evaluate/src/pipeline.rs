//! The interface of the pipeline under test: it gets recordings and returns verdicts.

use std::ops::Range;

use serde::Serialize;

use crate::Error;

/// The benchmark of a recording. The host selects the window and the sampling interval by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Benchmark {
    /// Skoltech Anomaly Benchmark: 8 channels at 1 Hz.
    Skab,
    /// Numenta Anomaly Benchmark: one channel, mostly at 5 minutes.
    Nab,
    /// Case Western Reserve University: bearing vibration at 12 and 48 kHz; SKF 6205-2RS.
    Cwru,
    /// NASA C-MAPSS: turbofans, one row per flight.
    Cmapss,
    /// Tennessee Eastman process: 52 channels at 3 minutes.
    Tep,
    /// IMS bearings: features of one snapshot per 10 minutes.
    Ims,
}

impl Benchmark {
    /// All benchmarks.
    pub const ALL: [Self; 6] = [Self::Skab, Self::Nab, Self::Cwru, Self::Cmapss, Self::Tep, Self::Ims];

    /// Usual name of the benchmark's folder.
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
    /// Names of the sensors, one per column.
    pub sensors: Vec<String>,
    /// Times in nanoseconds since 1970, one per row, in the order of the file. In some benchmarks times repeat.
    pub times: Vec<i64>,
    /// Values by row and column; NaN is a missing value.
    pub rows: Vec<Vec<f64>>,
}

impl Recording {
    /// Returns the first `rows` rows.
    pub(crate) fn head(&self, rows: usize) -> Self {
        self.join_ranges(0..rows, self.rows.len())
    }

    /// Returns the rows of the range `first`, followed by the rows from `rest` on.
    pub(crate) fn join_ranges(&self, first: Range<usize>, rest: usize) -> Self {
        fn concat_ranges<T: Clone>(values: &[T], first: Range<usize>, rest: usize) -> Vec<T> {
            [values.get(first).unwrap_or_default(), values.get(rest..).unwrap_or_default()].concat()
        }
        Self {
            asset: self.asset.clone(),
            sensors: self.sensors.clone(),
            times: concat_ranges(&self.times, first.clone(), rest),
            rows: concat_ranges(&self.rows, first, rest),
        }
    }
}

/// One waveform recording.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveformRecording {
    /// The asset.
    pub asset: String,
    /// The sensor.
    pub sensor: String,
    /// Time of the first sample, in nanoseconds since 1970.
    pub start: i64,
    /// Sampling rate in Hz.
    pub rate: f64,
    /// Shaft speed according to the benchmark, in rpm.
    pub rpm: f64,
    /// Acceleration in g.
    pub samples: Vec<f32>,
}

/// Result of the pipeline for one window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowVerdict {
    /// End of the window, in nanoseconds since 1970.
    pub end: i64,
    /// Anomaly score, at least 0; higher is more anomalous. All recordings use the same scale.
    pub score: f64,
    /// Whether the pipeline would raise an anomaly.
    pub alarm: bool,
    /// The diagnosed fault mode, if any.
    pub fault_mode: Option<String>,
}

/// Estimate of the remaining useful life: quantiles in cycles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RemainingLife {
    /// Time of the estimate, in nanoseconds since 1970.
    pub end: i64,
    /// 10 % quantile.
    pub q10: f64,
    /// Median.
    pub q50: f64,
    /// 90 % quantile.
    pub q90: f64,
}

/// The pipeline under test. Each call starts from an untrained state: nothing learned in one call may be used in
/// another.
pub trait Pipeline {
    /// Runs one recording. The first `fit` rows are for learning. Returns one verdict for each later row, in order,
    /// computed from that row and the rows before it.
    ///
    /// # Errors
    /// [`Error::Pipeline`].
    fn score_rows(
        &mut self,
        profile: Benchmark,
        fit: usize,
        recording: &Recording,
    ) -> Result<Vec<WindowVerdict>, Error>;

    /// Runs waveforms of one asset, each split into windows of `seconds`. Learns from those marked `true`, which come
    /// first. Returns, for each waveform, one verdict per complete window, in order.
    ///
    /// # Errors
    /// [`Error::Pipeline`].
    fn score_waveforms(
        &mut self,
        profile: Benchmark,
        recordings: &[(WaveformRecording, bool)],
        seconds: f64,
    ) -> Result<Vec<Vec<WindowVerdict>>, Error>;

    /// Learns from `histories`, each of which ends with a failure. Estimates the remaining life after the last row of
    /// each recording in `running`, independently of each other.
    ///
    /// # Errors
    /// [`Error::Pipeline`].
    fn estimate_remaining_life(
        &mut self,
        histories: &[Recording],
        running: &[Recording],
    ) -> Result<Vec<RemainingLife>, Error>;
}

/// Runs a recording and validates the verdicts.
pub(crate) fn checked_rows(
    pipeline: &mut dyn Pipeline,
    profile: Benchmark,
    fit: usize,
    recording: &Recording,
) -> Result<Vec<WindowVerdict>, Error> {
    let verdicts = pipeline.score_rows(profile, fit, recording)?;
    check_verdicts(&recording.asset, recording.rows.len().saturating_sub(fit), &verdicts)?;
    Ok(verdicts)
}

/// Checks that there are `expected` verdicts and that all scores are valid.
pub(crate) fn check_verdicts(recording: &str, expected: usize, verdicts: &[WindowVerdict]) -> Result<(), Error> {
    if verdicts.len() != expected {
        return Err(Error::invalid_result(recording, format!("{expected} verdicts"), verdicts.len().to_string()));
    }
    match verdicts.iter().position(|verdict| verdict.score.is_nan() || verdict.score < 0.0) {
        Some(at) => Err(Error::invalid_result(
            recording,
            "scores of at least 0",
            format!("{} in verdict {at}", verdicts.get(at).map_or(f64::NAN, |verdict| verdict.score)),
        )),
        None => Ok(()),
    }
}

/// Returns the scores and the alarms of the verdicts.
pub(crate) fn scores_and_alarms(verdicts: &[WindowVerdict]) -> (Vec<f64>, Vec<bool>) {
    verdicts.iter().map(|verdict| (verdict.score, verdict.alarm)).unzip()
}
