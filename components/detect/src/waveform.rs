//! Waveforms of one accelerometer: octave levels compared with their baseline, and bearing lines by physics alone.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wheeltapper_condition_monitoring::baseline::Baseline;

use crate::{
    explain::{self, AssetContext, DryRunScore, Explanation, FeatureValue, Trend},
    faults, growth,
    severity::{self, Diagnosis, Distance, PhysicalZone, Severity},
    window::Window,
};

/// The warm-up of waveforms is this fraction of that of windows of readings: waveforms do not overlap, so fewer are
/// needed.
const WINDOWS_PER_WAVEFORM: usize = 3;
/// Fewest training waveforms.
const MIN_WARMUP: usize = 5;
/// Fewest spectral lines of an octave that is used.
const MIN_LINES: f64 = 12.0;
/// Evidence from which a bearing line alone raises an alarm. The fault is named from 5 on
/// ([`wheeltapper_condition_monitoring::bearing::diagnosis::DiagnosisLimits`]), which noise reaches in one of a
/// thousand waveforms.
const ALARM_EVIDENCE: f64 = 7.5;
/// A danger limit that is reached within this time is near: seven days.
const SOON_SECONDS: f64 = 604_800.0;
/// Waveforms in the trend.
const TREND_LENGTH: usize = 60;

/// Names of the models that score a waveform.
pub(crate) const MEMBERS: [&str; 2] = [ENVELOPE, OCTAVES];
const ENVELOPE: &str = "envelope";
const OCTAVES: &str = "octaves";

/// Model of the waveforms of one sensor; see the module documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WaveformModel {
    warmup: usize,
    training_rows: Vec<Vec<f64>>,
    model: Option<OctaveModel>,
    /// Ends and RMS values of the latest waveforms.
    trend: VecDeque<(i64, f64)>,
    /// Ends and velocities (RMS, mm/s) of the latest waveforms, if known.
    velocities: VecDeque<(i64, f64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OctaveModel {
    /// Indices of the octaves in the feature list.
    octaves: Vec<usize>,
    baseline: Baseline,
    /// Median of every feature in the training waveforms.
    expected: Vec<f64>,
    training_waveforms: u32,
}

impl WaveformModel {
    pub(crate) fn new(warmup: usize, training_delay: usize) -> Self {
        Self {
            warmup: Self::warmup_length(warmup, training_delay),
            training_rows: Vec::new(),
            model: None,
            trend: VecDeque::new(),
            velocities: VecDeque::new(),
        }
    }

    /// Number of training waveforms for a warm-up of this many windows of readings that is delayed by `training_delay`
    /// windows.
    pub(crate) fn warmup_length(warmup: usize, training_delay: usize) -> usize {
        (warmup / WINDOWS_PER_WAVEFORM).max(MIN_WARMUP) + training_delay / WINDOWS_PER_WAVEFORM
    }

    /// Number of waveforms learnt, and number needed.
    pub(crate) fn training_progress(&self) -> (usize, usize) {
        let learnt = match &self.model {
            Some(model) => model.training_waveforms as usize,
            // With waveforms of mixed lengths there is no model.
            None => self.training_rows.len().min(self.warmup.saturating_sub(1)),
        };
        (learnt, self.warmup)
    }

    /// Scores a waveform without learning from it; see the module `dry_run`.
    pub(crate) fn dry_run(
        &self,
        window: &Window,
        context: &AssetContext<'_>,
        model: Option<&str>,
    ) -> Option<DryRunScore> {
        let values = &window.rows.first()?.as_ref()?.values;
        let octave_model = self.model.as_ref()?;
        let fault = faults::bearing_fault(context, values).filter(|_| model != Some(OCTAVES));
        let by_line = fault.as_ref().map_or(0.0, |fault| fault.evidence / ALARM_EVIDENCE);
        let by_level = if model == Some(ENVELOPE) { 0.0 } else { octave_model.ratio(values) };
        let finding = self.explanation(values, fault, context, by_line >= by_level && model != Some(OCTAVES));
        Some(DryRunScore { ratio: by_level.max(by_line), finding, confidence_factor: 1.0 })
    }

    /// Consumes the next waveform. Returns its ratio and, from `limit` on, the finding. None during the warm-up, unless
    /// the evidence of a bearing line reaches `limit`.
    pub(crate) fn score(
        &mut self,
        window: &Window,
        context: &AssetContext<'_>,
        limit: f64,
    ) -> Option<(f64, Option<Explanation>)> {
        let values = &window.rows.first()?.as_ref()?.values;
        let of = |name: &str| context.feature(values, name);
        if self.trend.len() >= TREND_LENGTH {
            self.trend.pop_front();
        }
        self.trend.push_back((window.end, of("rms")));
        if of("velocity_rms").is_finite() {
            if self.velocities.len() >= TREND_LENGTH {
                self.velocities.pop_front();
            }
            self.velocities.push_back((window.end, of("velocity_rms")));
        }
        let fault = faults::bearing_fault(context, values);
        let by_line = fault.as_ref().map_or(0.0, |fault| fault.evidence / ALARM_EVIDENCE);
        let by_level = self.model.as_ref().map(|model| model.ratio(values));
        let ratio = by_level.unwrap_or(0.0).max(by_line);
        if ratio >= limit {
            let distance = Distance::of_ratio(by_level.unwrap_or(0.0) / limit);
            let severity = self.severity(values, distance, fault.is_some(), context);
            let finding = self.explanation(values, fault, context, by_line >= by_level.unwrap_or(0.0));
            let (times, values) = self.trend.iter().copied().unzip();
            let sensor = context.members.first().map_or_else(String::new, |member| member.name.to_string());
            let unit = context.unit(&sensor, "rms");
            let trend = Some(Trend { sensor, feature: "rms".to_owned(), unit, times, values });
            return Some((ratio, Some(Explanation { trend, severity, ..finding })));
        }
        let learning = self.model.is_none();
        self.train(values, window, context);
        (!learning).then_some((ratio, None))
    }

    /// Severity by the zone of the waveform's velocity, the distance of its octaves from normal, and the fault.
    fn severity(
        &self,
        values: &[f64],
        distance: Distance,
        is_identified: bool,
        context: &AssetContext<'_>,
    ) -> Option<Severity> {
        let zone = match context.feature(values, "iso_zone") {
            1.0 => PhysicalZone::New,
            3.0 => PhysicalZone::Restricted,
            4.0 => PhysicalZone::Danger,
            _ => PhysicalZone::Unrestricted,
        };
        let sensor = context.members.first().and_then(|member| context.config.sensors.get(&*member.name));
        let danger = sensor.and_then(|sensor| sensor.iso_class).map(|class| {
            let [.., c_to_d] = class.boundaries();
            c_to_d
        });
        let is_soon = danger
            .and_then(|danger| growth::seconds_until(danger, self.velocities.iter().copied()))
            .is_some_and(|seconds| seconds <= SOON_SECONDS);
        let diagnosis = match (is_identified, is_soon) {
            (true, true) => Diagnosis::Growing,
            (true, false) => Diagnosis::Identified,
            (false, _) => Diagnosis::None,
        };
        severity::severity(zone, distance, diagnosis)
    }

    fn explanation(
        &self,
        values: &[f64],
        fault: Option<faults::BearingFault>,
        context: &AssetContext<'_>,
        by_line: bool,
    ) -> Explanation {
        let (parts, learnt) = match &self.model {
            Some(model) => (model.contributions(values, fault.as_ref(), context), model.training_waveforms),
            None => (faults::bearing_contributions(context, values, fault.as_ref()), 0),
        };
        let fault_mode = match &fault {
            Some(fault) => Some(fault.mode),
            None => faults::of_waveform(context, values, self.model.as_ref().map_or(&[], |model| &model.expected)),
        };
        let message = context.message(&parts, fault_mode);
        let message = fault.map_or(message, |fault| fault.message);
        let model = if by_line { ENVELOPE } else { OCTAVES };
        Explanation {
            message,
            fault_mode,
            contributions: parts,
            trend: None,
            model,
            training_windows: learnt,
            severity: None,
        }
    }

    fn train(&mut self, values: &[f64], window: &Window, context: &AssetContext<'_>) {
        let max = context.config.learn as usize * self.warmup;
        if self.model.as_ref().is_some_and(|model| model.training_waveforms as usize >= max) {
            return;
        }
        self.training_rows.push(values.to_vec());
        let count = self.training_rows.len();
        if count == self.warmup || count == max {
            if let Some(model) = OctaveModel::fit(&self.training_rows, window, context) {
                self.model = Some(model);
            } else if count == max {
                // The waveforms have mixed lengths: start again.
                self.training_rows.clear();
                return;
            }
        }
        if count >= max {
            self.training_rows = Vec::new();
        }
    }
}

impl OctaveModel {
    #[allow(clippy::cast_precision_loss, reason = "a length of time")]
    fn fit(training_rows: &[Vec<f64>], window: &Window, context: &AssetContext<'_>) -> Option<Self> {
        let seconds = window.end.saturating_sub(window.start) as f64 / 1e9;
        let (mut octaves, mut lines) = (Vec::new(), Vec::new());
        for (at, name) in context.features.iter().enumerate() {
            let Some(center) = name.strip_prefix("octave_").and_then(|hz| hz.parse::<f64>().ok()) else { continue };
            // The width of an octave is 1/√2 of its centre frequency.
            let line_count = center * std::f64::consts::FRAC_1_SQRT_2 * seconds;
            let is_present = training_rows.iter().all(|row| row.get(at).is_some_and(|level| level.is_finite()));
            if line_count >= MIN_LINES && is_present {
                octaves.push(at);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
                lines.push(line_count as usize);
            }
        }
        let rows: Vec<Vec<f64>> = training_rows
            .iter()
            .map(|row| octaves.iter().map(|&at| row.get(at).copied().unwrap_or(f64::NAN)).collect())
            .collect();
        let baseline = Baseline::fit(&rows, &lines)?;
        let median = |at: usize| {
            crate::robust::median(&mut training_rows.iter().filter_map(|row| row.get(at).copied()).collect())
        };
        let expected = (0..context.features.len()).map(median).collect();
        Some(Self {
            octaves,
            baseline,
            expected,
            training_waveforms: u32::try_from(training_rows.len()).unwrap_or(u32::MAX),
        })
    }

    fn levels(&self, values: &[f64]) -> Vec<f64> {
        self.octaves.iter().map(|&at| values.get(at).copied().unwrap_or(f64::NAN)).collect()
    }

    /// 0 for a waveform of another length or rate, which lacks the octaves.
    fn ratio(&self, values: &[f64]) -> f64 {
        let ratio = self.baseline.limit_ratio(&self.levels(values));
        if ratio.is_finite() { ratio } else { 0.0 }
    }

    /// Contributions: the line of the named bearing fault first, then the octaves by their squared deviations.
    fn contributions(
        &self,
        values: &[f64],
        fault: Option<&faults::BearingFault>,
        context: &AssetContext<'_>,
    ) -> Vec<explain::Contribution> {
        let bearing_parts = faults::bearing_contributions(context, values, fault);
        let remaining_share = 1.0 - bearing_parts.iter().map(|part| part.share).sum::<f64>();
        let weights: Vec<f64> =
            self.baseline.deviations(&self.levels(values)).iter().map(|deviation| deviation * deviation).collect();
        let sensor = context.members.first().map_or_else(String::new, |member| member.name.to_string());
        let octaves = explain::largest_contributions(&weights, |at| {
            let feature_index = *self.octaves.get(at)?;
            Some(FeatureValue {
                sensor: sensor.clone(),
                feature: context.features.get(feature_index)?.clone(),
                expected: *self.expected.get(feature_index)?,
                actual: *values.get(feature_index)?,
            })
        });
        let octaves =
            octaves.into_iter().map(|part| explain::Contribution { share: part.share * remaining_share, ..part });
        bearing_parts.into_iter().chain(context.with_units(octaves.collect())).collect()
    }
}
