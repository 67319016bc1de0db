//! Scored features and their transformations: the logarithm for spreads and asinh for shapes, so that normal values lie
//! symmetrically around their median.

use serde::{Deserialize, Serialize};

/// Transformation of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Transform {
    /// No transformation.
    Identity,
    /// ln(x + floor), so that ratios count instead of differences.
    Log,
    /// asinh(x).
    Asinh,
}

/// The scored features. Others, such as the dominant frequency, jump between values on healthy machines.
const SCORED: [(&str, Transform); 12] = [
    ("mean", Transform::Identity),
    ("q50", Transform::Identity),
    ("spectral_entropy", Transform::Identity),
    ("std", Transform::Log),
    ("rms", Transform::Log),
    ("peak_to_peak", Transform::Log),
    ("iqr", Transform::Log),
    ("rolling_mean_std", Transform::Log),
    ("dominant_magnitude", Transform::Log),
    ("crest_factor", Transform::Log),
    ("skewness", Transform::Asinh),
    ("kurtosis", Transform::Asinh),
];

/// A scored column of a feature list.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    /// Index in the feature list.
    pub(crate) index: u32,
    pub(crate) transform: Transform,
}

/// Returns the scored columns of a feature list.
pub(crate) fn scored_columns(features: &[String]) -> Vec<Column> {
    let mut columns = Vec::new();
    for (at, feature) in (0..).zip(features) {
        if let Some((_, transform)) = SCORED.iter().find(|(name, _)| name == feature) {
            columns.push(Column { index: at, transform: *transform });
        }
    }
    columns
}

/// True if the column is a level, which is meaningful even for a single value.
pub(crate) fn is_level(features: &[String], column: Column) -> bool {
    features.get(column.index as usize).is_some_and(|name| name == "mean" || name == "q50")
}

/// Normal range of a column of one sensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NormalRange {
    /// Median of the untransformed feature.
    pub(crate) expected: f64,
    floor: f64,
    center: f64,
    scale: f64,
}

impl NormalRange {
    /// Fits the values of the warm-up. `level` is the sensor's usual level; variations below a thousandth of it are
    /// ignored.
    pub(crate) fn fit(transform: Transform, values: &mut Vec<f64>, level: f64) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a count")]
        let count = values.iter().filter(|value| value.is_finite()).count() as f64;
        let original: Vec<f64> = values.clone();
        let expected = crate::robust::median(values);
        if !expected.is_finite() {
            return Self { expected, floor: 0.0, center: f64::NAN, scale: 1.0 };
        }
        let floor = match transform {
            Transform::Log => (1e-3 * level.abs())
                .min(0.1 * expected.abs())
                .max(1e-2 * expected.abs())
                .max(1e-6 * level.abs())
                .max(1e-12),
            Transform::Identity | Transform::Asinh => 0.0,
        };
        let mut transformed: Vec<f64> =
            original.iter().map(|&value| apply_transform(transform, value, floor)).collect();
        let (center, scale) = crate::robust::center_and_scale(&mut transformed);
        let min = match transform {
            Transform::Identity => (1e-3 * expected.abs()).max(1e-9),
            Transform::Log => 0.1,
            Transform::Asinh => 0.2,
        };
        // Few windows underestimate the spread: this approximates Student's t by the normal distribution.
        Self { expected, floor, center, scale: scale.max(min) * (1.0 + 10.0 / count) }
    }

    /// Distance of a value from the median, in scales; 0 if either is undefined.
    pub(crate) fn z(&self, transform: Transform, value: f64) -> f64 {
        let z = (apply_transform(transform, value, self.floor) - self.center) / self.scale;
        if z.is_finite() { z.clamp(-1e6, 1e6) } else { 0.0 }
    }

    /// Like [`Self::z`], for a level from so few readings that its variance is larger by `variance` than usual.
    pub(crate) fn z_with_few_readings(&self, value: f64, variance: f64) -> f64 {
        let z = (value - self.center) / (self.scale * self.scale + variance).sqrt();
        if z.is_finite() { z.clamp(-1e6, 1e6) } else { 0.0 }
    }
}

fn apply_transform(transform: Transform, value: f64, floor: f64) -> f64 {
    match transform {
        Transform::Identity => value,
        Transform::Log => (value.max(0.0) + floor).ln(),
        Transform::Asinh => value.asinh(),
    }
}
