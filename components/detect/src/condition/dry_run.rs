//! Scores a window without learning from it; see the module `dry_run` of this crate.

use wheeltapper_detectors::similarity::{Metric, Role};

use super::{
    finding,
    model::{ConditionModel, Judged},
    plan::LearningPlan,
    track::{LEVEL, NUMBERS},
};
use crate::{
    explain::{AssetContext, DryRunScore},
    sensor_kind::SensorKind,
    window::Window,
};

impl ConditionModel {
    /// Scores a window with some of the sensors. Each number is compared with its limit on its own: there is nothing to
    /// average. Of a window with few readings only the levels count, and their limit is wider by the uncertainty of a
    /// mean of few readings. None before anything is learnt.
    pub(crate) fn dry_run(&self, window: &Window, context: &AssetContext<'_>) -> Option<DryRunScore> {
        let mut copy = self.clone();
        let numbers = copy.present_numbers(window, context);
        let metric = Metric { columns: NUMBERS, roles: &numbers.roles, scales: &numbers.scales };
        let estimate = self.reference_estimate(&metric, &numbers.values)?;
        let plan = LearningPlan::new(context.config, (window.end - window.start).max(1));
        let mut judged = Vec::new();
        let mut confidence_factor = 1.0_f64;
        for (index, (&actual, range)) in numbers.values.iter().zip(&estimate.ranges).enumerate() {
            let expected = range.nearest(actual);
            let (sensor, number) = (index / NUMBERS, index % NUMBERS);
            let reading = numbers.readings.get(sensor).copied().flatten();
            let (Some(reading), Some(track), Some(kind)) = (reading, copy.track(sensor), copy.kind(sensor)) else {
                continue;
            };
            if numbers.roles.get(index - number) == Some(&Role::Driver) || !(actual - expected).is_finite() {
                continue;
            }
            let width = plan.width(self.running_seconds(), estimate.evidence, kind, number == LEVEL);
            let few = f64::from(reading.count) < 0.5 * track.usual_count();
            if few && number != LEVEL {
                continue;
            }
            if few {
                let share = f64::from(reading.count) / track.usual_count().max(1.0);
                confidence_factor = confidence_factor.min(0.5 + 0.5 * share.sqrt());
            }
            let uncertainty = match track.usual() {
                (_, std) if few && std.is_finite() => std / f64::from(reading.count.max(1)).sqrt(),
                _ => 0.0,
            };
            let [limit, ..] = copy.limits(index, track.limit_floor(number, kind).hypot(uncertainty), width);
            let ratio = if limit > 0.0 { (actual - expected) / limit } else { 0.0 };
            let ratio = if number == LEVEL && !kind.only_rise_is_bad() { ratio } else { ratio.max(0.0) };
            judged.push(Judged::of_single_window(index, ratio, range.mean, actual));
        }
        let ratio = judged.iter().map(|judged| judged.ratio.abs()).fold(0.0, f64::max);
        let kinds: Vec<SensorKind> =
            context.members.iter().map(|member| SensorKind::of(&member.name, context.config)).collect();
        let finding = finding::explain(context, copy.indices(), &kinds, &judged, window, self.learnt_windows(), &[]);
        Some(DryRunScore { ratio, finding, confidence_factor })
    }
}
