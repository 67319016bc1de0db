//! A sensor that sends bursts of an accelerometer: octave levels against their baseline, and bearing lines by physics alone.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wheeltapper_condition::baseline::Baseline;

use crate::{
    explain::{self, Context, Finding, Seen, Trend},
    faults,
    probe::Judged,
    unit::Window,
};

/// Bursts do not overlap, so fewer of them say as much as windows of readings.
const SHARE: usize = 3;
const LEAST: usize = 5;
/// An octave is used when it has so many spectral lines.
const LINES: f64 = 12.0;
/// Evidence from which a line is an alarm by itself. It is named from 5 on
/// ([`wheeltapper_condition::bearing::diagnosis::Limits`]), which noise reaches once in a thousand bursts.
const EVIDENCE: f64 = 7.5;
/// Bursts of the course that are kept for display.
const COURSE: usize = 60;

/// What judges a burst.
pub(crate) const MEMBERS: [&str; 2] = [ENVELOPE, OCTAVES];
const ENVELOPE: &str = "envelope";
const OCTAVES: &str = "octaves";

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Burst {
    warmup: usize,
    lessons: Vec<Vec<f64>>,
    model: Option<Model>,
    /// Ends and root mean squares.
    course: VecDeque<(i64, f64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Model {
    /// Places of the octaves in the feature list.
    octaves: Vec<usize>,
    baseline: Baseline,
    /// Median of every feature.
    expected: Vec<f64>,
    bursts: u32,
}

impl Burst {
    pub(crate) fn new(warmup: usize, later: usize) -> Self {
        Self { warmup: Self::lessons(warmup, later), lessons: Vec::new(), model: None, course: VecDeque::new() }
    }

    /// Bursts to learn from, where so many windows of readings are, and come so much later.
    pub(crate) fn lessons(warmup: usize, later: usize) -> usize {
        (warmup / SHARE).max(LEAST) + later / SHARE
    }

    /// Bursts learnt and needed.
    pub(crate) fn learning(&self) -> (usize, usize) {
        let learnt = match &self.model {
            Some(model) => model.bursts as usize,
            // Bursts of all lengths are no model.
            None => self.lessons.len().min(self.warmup.saturating_sub(1)),
        };
        (learnt, self.warmup)
    }

    /// What it would say of a burst; see [`crate::probe`].
    pub(crate) fn judge(&self, window: &Window, context: &Context<'_>, model: Option<&str>) -> Option<Judged> {
        let values = &window.rows.first()?.as_ref()?.values;
        let learnt = self.model.as_ref()?;
        let named = faults::bearing(context, values).filter(|_| model != Some(OCTAVES));
        let by_line = named.as_ref().map_or(0.0, |named| named.evidence / EVIDENCE);
        let by_level = if model == Some(ENVELOPE) { 0.0 } else { learnt.ratio(values) };
        let finding = self.finding(values, named, context, by_line >= by_level && model != Some(OCTAVES));
        Some(Judged { ratio: by_level.max(by_line), finding, sure: 1.0 })
    }

    /// Takes the next burst: its ratio and, past `edge`, what was found. None while learning, unless a bearing's line is plain.
    pub(crate) fn take(&mut self, window: &Window, context: &Context<'_>, edge: f64) -> Option<(f64, Option<Finding>)> {
        let values = &window.rows.first()?.as_ref()?.values;
        let of = |name: &str| context.feature(values, name);
        if self.course.len() >= COURSE {
            self.course.pop_front();
        }
        self.course.push_back((window.end, of("rms")));
        let named = faults::bearing(context, values);
        let by_line = named.as_ref().map_or(0.0, |named| named.evidence / EVIDENCE);
        let by_level = self.model.as_ref().map(|model| model.ratio(values));
        let ratio = by_level.unwrap_or(0.0).max(by_line);
        if ratio >= edge {
            let finding = self.finding(values, named, context, by_line >= by_level.unwrap_or(0.0));
            let (times, values) = self.course.iter().copied().unzip();
            let sensor = context.members.first().map_or_else(String::new, |member| member.name.to_string());
            let unit = context.unit(&sensor, "rms");
            let trend = Some(Trend { sensor, feature: "rms".to_owned(), unit, times, values });
            return Some((ratio, Some(Finding { trend, ..finding })));
        }
        let learning = self.model.is_none();
        self.learn(values, window, context);
        (!learning).then_some((ratio, None))
    }

    fn finding(&self, values: &[f64], named: Option<faults::Bearing>, context: &Context<'_>, by_line: bool) -> Finding {
        let (parts, learnt) = match &self.model {
            Some(model) => (model.parts(values, named.as_ref(), context), model.bursts),
            None => (faults::parts(context, values, named.as_ref()), 0),
        };
        let fault_mode = match &named {
            Some(named) => Some(named.mode),
            None => faults::of_burst(context, values, self.model.as_ref().map_or(&[], |model| &model.expected)),
        };
        let told = context.message(&parts, fault_mode);
        let message = named.map_or(told, |named| named.message);
        let model = if by_line { ENVELOPE } else { OCTAVES };
        Finding { message, fault_mode, parts, trend: None, model, learnt }
    }

    fn learn(&mut self, values: &[f64], window: &Window, context: &Context<'_>) {
        let most = context.config.learn as usize * self.warmup;
        if self.model.as_ref().is_some_and(|model| model.bursts as usize >= most) {
            return;
        }
        self.lessons.push(values.to_vec());
        let count = self.lessons.len();
        if count == self.warmup || count == most {
            if let Some(model) = Model::fit(&self.lessons, window, context) {
                self.model = Some(model);
            } else if count == most {
                // Bursts of all lengths: begin anew.
                self.lessons.clear();
                return;
            }
        }
        if count >= most {
            self.lessons = Vec::new();
        }
    }
}

impl Model {
    #[allow(clippy::cast_precision_loss, reason = "a length of time")]
    fn fit(lessons: &[Vec<f64>], window: &Window, context: &Context<'_>) -> Option<Self> {
        let seconds = window.end.saturating_sub(window.start) as f64 / 1e9;
        let (mut octaves, mut lines) = (Vec::new(), Vec::new());
        for (at, name) in context.features.iter().enumerate() {
            let Some(center) = name.strip_prefix("octave_").and_then(|hz| hz.parse::<f64>().ok()) else { continue };
            // An octave is 1/√2 of its centre wide.
            let in_it = center * std::f64::consts::FRAC_1_SQRT_2 * seconds;
            let there = lessons.iter().all(|lesson| lesson.get(at).is_some_and(|level| level.is_finite()));
            if in_it >= LINES && there {
                octaves.push(at);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
                lines.push(in_it as usize);
            }
        }
        let rows: Vec<Vec<f64>> = lessons
            .iter()
            .map(|lesson| octaves.iter().map(|&at| lesson.get(at).copied().unwrap_or(f64::NAN)).collect())
            .collect();
        let baseline = Baseline::fit(&rows, &lines)?;
        let median =
            |at: usize| crate::robust::median(&mut lessons.iter().filter_map(|row| row.get(at).copied()).collect());
        let expected = (0..context.features.len()).map(median).collect();
        Some(Self { octaves, baseline, expected, bursts: u32::try_from(lessons.len()).unwrap_or(u32::MAX) })
    }

    fn levels(&self, values: &[f64]) -> Vec<f64> {
        self.octaves.iter().map(|&at| values.get(at).copied().unwrap_or(f64::NAN)).collect()
    }

    /// A burst of another length or rate, whose octaves are not there, says nothing.
    fn ratio(&self, values: &[f64]) -> f64 {
        let ratio = self.baseline.ratio(&self.levels(values));
        if ratio.is_finite() { ratio } else { 0.0 }
    }

    /// The octaves by the squares of their deviations; before them the line of the bearing's fault that was named.
    fn parts(
        &self,
        values: &[f64],
        named: Option<&faults::Bearing>,
        context: &Context<'_>,
    ) -> Vec<explain::Contribution> {
        let line = faults::parts(context, values, named);
        let left = 1.0 - line.iter().map(|part| part.share).sum::<f64>();
        let weights: Vec<f64> =
            self.baseline.deviations(&self.levels(values)).iter().map(|deviation| deviation * deviation).collect();
        let sensor = context.members.first().map_or_else(String::new, |member| member.name.to_string());
        let octaves = explain::parts(&weights, |at| {
            let place = *self.octaves.get(at)?;
            Some(Seen {
                sensor: sensor.clone(),
                feature: context.features.get(place)?.clone(),
                expected: *self.expected.get(place)?,
                seen: *values.get(place)?,
            })
        });
        let octaves = octaves.into_iter().map(|part| explain::Contribution { share: part.share * left, ..part });
        line.into_iter().chain(context.with_units(octaves.collect())).collect()
    }
}
