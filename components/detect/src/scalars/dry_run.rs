//! Scores windows without learning from them; see the module `dry_run` of this crate.

use wheeltapper_detectors::{AnyDetector, Detector as _};

use super::{MIN_READINGS_SHARE, ScalarModel, TrainedModel, TrainingRow, training_row};
use crate::{
    columns,
    explain::{AssetContext, DryRunScore},
    window::{FeatureRow, Window},
};

impl ScalarModel {
    /// Copy of the detector in its present state; None during the warm-up.
    pub(crate) fn cloned_detector(&self) -> Option<AnyDetector> {
        self.model.as_ref().map(|model| model.detector.clone())
    }

    /// Number of windows learnt of a sensor, and number needed.
    pub(crate) fn training_progress(&self, sensor: Option<usize>) -> (usize, usize) {
        let learnt = match (&self.model, sensor) {
            (None, Some(_)) => self.seen_windows.min(self.warmup.saturating_sub(1)),
            // A sensor that appeared after the training has no usual number of readings.
            (Some(model), Some(at)) if model.usual_counts.get(at).is_some_and(|usual| *usual > 0.0) => {
                self.seen_windows.max(self.warmup)
            }
            _ => 0,
        };
        (learnt, self.warmup)
    }

    /// Scores a window with some of the sensors; see the module `dry_run` of this crate. `detector` is the copy from
    /// [`Self::cloned_detector`], which advances from window to window.
    pub(crate) fn dry_run(
        &self,
        detector: &mut AnyDetector,
        window: &Window,
        context: &AssetContext<'_>,
        member: Option<&str>,
    ) -> Option<DryRunScore> {
        let model = self.model.as_ref()?;
        let mut z = model.z_of_partial_window(&training_row(window, context.columns), context)?;
        let is_present: Vec<bool> = z.iter().map(|value| value.is_finite()).collect();
        detector.impute(&mut z);
        let ratio = match member {
            Some(member) => detector.score_with_member(member, window.start, &z)?,
            None => detector.score(window.start, &z),
        };
        let weights = detector.explain().into_iter().zip(&is_present);
        let weights: Vec<f64> = weights.map(|(weight, is_present)| if *is_present { weight } else { 0.0 }).collect();
        let mut finding = model.explanation(&weights, window, &z, context);
        if let Some(name) = member.and_then(|member| detector.members().iter().find(|name| **name == member)) {
            finding.model = name;
        }
        Some(DryRunScore { ratio, finding, confidence_factor: model.confidence_factor(window) })
    }
}

impl TrainedModel {
    /// z-values of a window that holds some of the sensors, possibly with few readings. Of a sensor with few readings
    /// only the levels are used, whose variance is larger by `σ² (1/n − 1/N)` than in a window of the usual `N`
    /// readings. All other values are NaN. None if the window holds nothing.
    fn z_of_partial_window(&self, row: &TrainingRow, context: &AssetContext<'_>) -> Option<Vec<f64>> {
        let columns = context.columns;
        let width = columns.len();
        let complete = self.z(row, width, columns);
        let mut z = complete.unwrap_or_else(|| vec![f64::NAN; self.normal_ranges.len()]);
        let spread = columns
            .iter()
            .position(|column| context.features.get(column.index as usize).is_some_and(|name| name == "std"));
        for (at, (normals, usual)) in self.normal_ranges.chunks(width.max(1)).zip(&self.usual_counts).enumerate() {
            let count = f64::from(row.counts.get(at).copied().unwrap_or(0));
            if count <= 0.0 || count >= MIN_READINGS_SHARE * usual {
                continue;
            }
            let std = spread.and_then(|spread| normals.get(spread)).map_or(0.0, |normal| normal.expected);
            let added_variance = std * std * (1.0 / count - 1.0 / usual);
            for (column_index, (column, normal)) in columns.iter().zip(normals).enumerate() {
                let value = row.values.get(at * width + column_index).copied().unwrap_or(f64::NAN);
                if let Some(slot) =
                    z.get_mut(at * width + column_index).filter(|_| columns::is_level(context.features, *column))
                {
                    *slot = normal
                        .z_with_few_readings(value, if added_variance.is_finite() { added_variance } else { 0.0 });
                }
            }
        }
        z.iter().any(|value| value.is_finite()).then_some(z)
    }

    /// Factor on the confidence, from a half to 1, by the number of readings in the window.
    fn confidence_factor(&self, window: &Window) -> f64 {
        let share = |(row, usual): (&Option<FeatureRow>, &f64)| Some(f64::from(row.as_ref()?.count) / usual.max(1.0));
        let min = window.rows.iter().zip(&self.usual_counts).filter_map(share).fold(1.0, f64::min);
        0.5 + 0.5 * min.sqrt()
    }
}
