//! Drift of the baseline: a slow change that is not a fault, such as a season, wear, or another product.
//!
//! The levels of the first normal windows after the training are kept as a sample. They are compared with the latest
//! ones sensor by sensor (two-sample Kolmogorov-Smirnov, p < 0.05 after the Benjamini-Hochberg control of false
//! discoveries). Windows overlap and resemble their neighbours, which the test does not account for. So only windows
//! that do not overlap are compared, and a drift also needs a distance of half between the distributions. In addition
//! ADWIN monitors the detector's ratio. On drift a shadow detector is trained on the normal windows that follow. It
//! replaces the present detector only if it fits the last of these windows better, which it was not trained on.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wheeltapper_detectors::{AnyDetector, Detector as _, Layout, adwin::Adwin, ks};

use crate::window::Window;

/// Windows per sample.
const SAMPLE_SIZE: usize = 40;
/// New windows between two comparisons.
const COMPARISON_INTERVAL: usize = 20;
/// Level of the false-discovery rate.
const FALSE_DISCOVERY_RATE: f64 = 0.05;
/// Smallest distance between the distributions that counts as drift.
const MIN_DISTANCE: f64 = 0.5;
/// δ of ADWIN.
const ADWIN_DELTA: f64 = 1e-4;
/// One of this many windows of the shadow is held out for its evaluation.
const HOLDOUT_FRACTION: usize = 4;
/// The shadow takes over if its mean ratio is below this share of the present detector's.
const MAX_SHADOW_RATIO: f64 = 0.8;

/// Type of a drift event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftKind {
    /// The baseline has changed; a shadow detector starts its training.
    Drifted,
    /// The shadow was not better; the present detector stays.
    Kept,
    /// The shadow replaced the present detector.
    Switched,
}

/// A drift event within an asset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DriftEvent {
    pub(crate) kind: DriftKind,
    /// Indices of the sensors whose levels changed.
    pub(crate) sensors: Vec<usize>,
    /// Smallest adjusted p-value; 1 if no test was made or only ADWIN detected the drift.
    pub(crate) p_value: f64,
    /// What happened, if it is not the usual text of the kind.
    pub(crate) text: Option<&'static str>,
}

impl DriftKind {
    /// Name in ids.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Drifted => "drifted",
            Self::Kept => "kept",
            Self::Switched => "switched",
        }
    }
}

/// Training data of a detector that is to replace the present one.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shadow {
    /// Rows, and the ratios of the present detector.
    rows: Vec<(Vec<f64>, f64)>,
    sensors: Vec<usize>,
    p: f64,
}

/// Drift monitor of one asset; see the module documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DriftMonitor {
    /// Levels of the reference sample, oldest first.
    reference: Vec<Vec<f64>>,
    recent: VecDeque<Vec<f64>>,
    windows_since_comparison: usize,
    /// End of the last window in a sample.
    last_end: i64,
    ratios: Adwin,
    ratio_changed: bool,
    shadow: Option<Shadow>,
    /// Windows that a shadow is trained and evaluated on; None if the detector follows drift by itself.
    shadow_rows: Option<usize>,
}

impl DriftMonitor {
    pub(crate) fn new(training_windows: usize, shadows: bool) -> Self {
        Self {
            reference: Vec::new(),
            recent: VecDeque::new(),
            windows_since_comparison: 0,
            last_end: i64::MIN,
            ratios: Adwin::new(ADWIN_DELTA),
            ratio_changed: false,
            shadow: None,
            shadow_rows: shadows.then_some(training_windows.max(SAMPLE_SIZE)),
        }
    }

    /// Adds a normal window with its levels, its row and its ratio, and returns the resulting events.
    pub(crate) fn push(
        &mut self,
        window: &Window,
        levels: &[f64],
        row: &[f64],
        ratio: f64,
        detector: &mut AnyDetector,
        layout: Layout,
    ) -> Vec<DriftEvent> {
        let mut events = Vec::new();
        if let Some(shadow) = &mut self.shadow {
            shadow.rows.push((row.to_vec(), ratio));
            if self.shadow_rows.is_some_and(|needed| shadow.rows.len() >= needed)
                && let Some(shadow) = self.shadow.take()
            {
                let kind = shadow.evaluate(window.start, detector, layout);
                events.push(DriftEvent { kind, sensors: shadow.sensors, p_value: shadow.p, text: None });
                // In both cases the recent levels are the new baseline, and earlier ratios no longer apply.
                self.reference = self.recent.drain(..).collect();
                self.windows_since_comparison = 0;
                self.ratios = Adwin::new(ADWIN_DELTA);
                self.ratio_changed = false;
            }
        }
        self.ratio_changed |= self.ratios.push(ratio);
        if window.start < self.last_end {
            return events;
        }
        self.last_end = window.end;
        if self.reference.len() < SAMPLE_SIZE {
            self.reference.push(levels.to_vec());
            return events;
        }
        if self.recent.len() >= SAMPLE_SIZE {
            self.recent.pop_front();
        }
        self.recent.push_back(levels.to_vec());
        self.windows_since_comparison += 1;
        if self.windows_since_comparison < COMPARISON_INTERVAL
            || self.recent.len() < SAMPLE_SIZE
            || self.shadow.is_some()
        {
            return events;
        }
        self.windows_since_comparison = 0;
        let (sensors, p) = self.compare();
        if !sensors.is_empty() || std::mem::take(&mut self.ratio_changed) {
            match self.shadow_rows {
                Some(_) => self.shadow = Some(Shadow { rows: Vec::new(), sensors: sensors.clone(), p }),
                None => self.reference = self.recent.drain(..).collect(),
            }
            events.push(DriftEvent { kind: DriftKind::Drifted, sensors, p_value: p, text: None });
        }
        events
    }

    /// Returns the sensors whose distribution of levels has changed, and the smallest adjusted p-value.
    fn compare(&self) -> (Vec<usize>, f64) {
        let sensors = self.reference.first().map_or(0, Vec::len);
        let of = |rows: &mut dyn Iterator<Item = &Vec<f64>>, at: usize| -> Vec<f64> {
            rows.filter_map(|row| row.get(at).copied()).collect()
        };
        let tests: Vec<Option<ks::KsResult>> = (0..sensors)
            .map(|at| ks::two_sample_test(&of(&mut self.reference.iter(), at), &of(&mut self.recent.iter(), at)))
            .collect();
        let p: Vec<f64> = tests.iter().map(|test| test.as_ref().map_or(1.0, |test| test.p_value)).collect();
        let adjusted = ks::benjamini_hochberg(&p);
        let changed = tests.iter().zip(&adjusted).enumerate().filter_map(|(at, (test, p))| {
            (*p < FALSE_DISCOVERY_RATE && test.as_ref().is_some_and(|test| test.statistic >= MIN_DISTANCE))
                .then_some(at)
        });
        (changed.collect(), adjusted.iter().copied().fold(1.0, f64::min))
    }
}

impl Shadow {
    /// Trains the shadow, evaluates it on the last windows, and replaces `detector` if the shadow is better.
    fn evaluate(&self, time: i64, detector: &mut AnyDetector, layout: Layout) -> DriftKind {
        let holdout = self.rows.len() / HOLDOUT_FRACTION;
        let (training, test) = self.rows.split_at(self.rows.len() - holdout);
        let rows = |of: &[(Vec<f64>, f64)]| of.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>();
        let mut shadow = AnyDetector::new(detector.kind());
        if holdout == 0 || shadow.fit(layout, &rows(training)).is_err() {
            return DriftKind::Kept;
        }
        let of_shadow: f64 = test.iter().map(|(row, _)| shadow.score(time, row)).sum();
        let of_present: f64 = test.iter().map(|(_, ratio)| ratio).sum();
        if of_shadow >= MAX_SHADOW_RATIO * of_present || shadow.fit(layout, &rows(&self.rows)).is_err() {
            return DriftKind::Kept;
        }
        *detector = shadow;
        DriftKind::Switched
    }
}
