//! Whether what is normal has moved: a slow change that is no fault, such as a season, wear, or another product.
//!
//! The levels of the first normal windows after learning are kept as a sample, and compared with the latest ones sensor by
//! sensor (two-sample Kolmogorov-Smirnov, p < 0.05 after Benjamini and Hochberg's control of false discoveries). Windows
//! overlap and resemble their neighbours, which the test does not know; so only windows apart are compared, and a drift has
//! to show as half of the distributions as well. Beside it ADWIN watches the detector's ratio. On drift a shadow learns from the
//! normal windows that follow; it takes over only if it fits the last of them better, which it did not learn from.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wheeltapper_detectors::{Any, Detector as _, Layout, adwin::Adwin, ks};

use crate::unit::Window;

/// Windows in a sample.
const SAMPLE: usize = 40;
/// New ones between two comparisons.
const EVERY: usize = 20;
/// Level of the false-discovery rate.
const LEVEL: f64 = 0.05;
/// The largest distance between the distributions must reach this, too.
const APART: f64 = 0.5;
/// ADWIN's confidence.
const DELTA: f64 = 1e-4;
/// The share of the shadow's windows that it is judged by.
const JUDGED: usize = 4;
/// It takes over when its mean ratio is below this share of the present detector's.
const BETTER: f64 = 0.8;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftKind {
    /// What is normal has moved; a shadow begins to learn.
    Drifted,
    /// The shadow was no better.
    Kept,
    /// The shadow took over.
    Switched,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drifts {
    pub(crate) kind: DriftKind,
    /// Places of the sensors whose levels moved.
    pub(crate) sensors: Vec<usize>,
    /// The smallest adjusted p-value; 1 when only ADWIN saw it.
    pub(crate) p: f64,
}

/// A detector that learns beside the present one.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shadow {
    /// Rows, and the present detector's ratios.
    rows: Vec<(Vec<f64>, f64)>,
    sensors: Vec<usize>,
    p: f64,
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Monitor {
    /// Levels of the sample, oldest first.
    reference: Vec<Vec<f64>>,
    recent: VecDeque<Vec<f64>>,
    since: usize,
    /// End of the last window that was taken.
    last: i64,
    ratios: Adwin,
    moved: bool,
    shadow: Option<Shadow>,
    /// Windows that a shadow learns from and is judged by; none where the detector follows by itself.
    lessons: Option<usize>,
}

impl Monitor {
    pub(crate) fn new(lessons: usize, shadows: bool) -> Self {
        Self {
            reference: Vec::new(),
            recent: VecDeque::new(),
            since: 0,
            last: i64::MIN,
            ratios: Adwin::new(DELTA),
            moved: false,
            shadow: None,
            lessons: shadows.then_some(lessons.max(SAMPLE)),
        }
    }

    /// Takes a normal window: its levels, its row, its ratio.
    pub(crate) fn push(
        &mut self,
        window: &Window,
        levels: &[f64],
        row: &[f64],
        ratio: f64,
        detector: &mut Any,
        layout: Layout,
    ) -> Vec<Drifts> {
        let mut told = Vec::new();
        if let Some(shadow) = &mut self.shadow {
            shadow.rows.push((row.to_vec(), ratio));
            if self.lessons.is_some_and(|lessons| shadow.rows.len() >= lessons)
                && let Some(shadow) = self.shadow.take()
            {
                let kind = shadow.judge(window.start, detector, layout);
                told.push(Drifts { kind, sensors: shadow.sensors, p: shadow.p });
                // Either way this is what is normal now, and the ratios before it tell nothing of what comes.
                self.reference = self.recent.drain(..).collect();
                self.since = 0;
                self.ratios = Adwin::new(DELTA);
                self.moved = false;
            }
        }
        self.moved |= self.ratios.push(ratio);
        if window.start < self.last {
            return told;
        }
        self.last = window.end;
        if self.reference.len() < SAMPLE {
            self.reference.push(levels.to_vec());
            return told;
        }
        if self.recent.len() >= SAMPLE {
            self.recent.pop_front();
        }
        self.recent.push_back(levels.to_vec());
        self.since += 1;
        if self.since < EVERY || self.recent.len() < SAMPLE || self.shadow.is_some() {
            return told;
        }
        self.since = 0;
        let (sensors, p) = self.compare();
        if !sensors.is_empty() || std::mem::take(&mut self.moved) {
            match self.lessons {
                Some(_) => self.shadow = Some(Shadow { rows: Vec::new(), sensors: sensors.clone(), p }),
                None => self.reference = self.recent.drain(..).collect(),
            }
            told.push(Drifts { kind: DriftKind::Drifted, sensors, p });
        }
        told
    }

    /// The sensors whose levels are no longer distributed as they were.
    fn compare(&self) -> (Vec<usize>, f64) {
        let sensors = self.reference.first().map_or(0, Vec::len);
        let of = |rows: &mut dyn Iterator<Item = &Vec<f64>>, at: usize| -> Vec<f64> {
            rows.filter_map(|row| row.get(at).copied()).collect()
        };
        let tests: Vec<Option<ks::Test>> = (0..sensors)
            .map(|at| ks::two_sample(&of(&mut self.reference.iter(), at), &of(&mut self.recent.iter(), at)))
            .collect();
        let p: Vec<f64> = tests.iter().map(|test| test.as_ref().map_or(1.0, |test| test.p)).collect();
        let adjusted = ks::benjamini_hochberg(&p);
        let moved = tests.iter().zip(&adjusted).enumerate().filter_map(|(at, (test, p))| {
            (*p < LEVEL && test.as_ref().is_some_and(|test| test.statistic >= APART)).then_some(at)
        });
        (moved.collect(), adjusted.iter().copied().fold(1.0, f64::min))
    }
}

impl Shadow {
    /// Learns, is judged by the last windows, and takes over if it is better.
    fn judge(&self, time: i64, detector: &mut Any, layout: Layout) -> DriftKind {
        let judged = self.rows.len() / JUDGED;
        let (lessons, last) = self.rows.split_at(self.rows.len() - judged);
        let rows = |of: &[(Vec<f64>, f64)]| of.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>();
        let mut shadow = Any::new(detector.kind());
        if judged == 0 || shadow.fit(layout, &rows(lessons)).is_err() {
            return DriftKind::Kept;
        }
        let of_shadow: f64 = last.iter().map(|(row, _)| shadow.score(time, row)).sum();
        let of_present: f64 = last.iter().map(|(_, ratio)| ratio).sum();
        if of_shadow >= BETTER * of_present || shadow.fit(layout, &rows(&self.rows)).is_err() {
            return DriftKind::Kept;
        }
        *detector = shadow;
        DriftKind::Switched
    }
}
