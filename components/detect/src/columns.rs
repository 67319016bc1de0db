//! Which features are scored, and how they are straightened: spreads by their logarithm, shapes by asinh, so that what is
//! normal lies about evenly around its median.

use serde::{Deserialize, Serialize};

/// How a feature is straightened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shape {
    /// As it is.
    Level,
    /// ln(x + floor): a ratio counts, not a difference.
    Spread,
    /// asinh(x).
    Tail,
}

/// The features that are scored; others, such as the dominant frequency, jump between values when all is well.
const SCORED: [(&str, Shape); 12] = [
    ("mean", Shape::Level),
    ("q50", Shape::Level),
    ("spectral_entropy", Shape::Level),
    ("std", Shape::Spread),
    ("rms", Shape::Spread),
    ("peak_to_peak", Shape::Spread),
    ("iqr", Shape::Spread),
    ("rolling_mean_std", Shape::Spread),
    ("dominant_magnitude", Shape::Spread),
    ("crest_factor", Shape::Spread),
    ("skewness", Shape::Tail),
    ("kurtosis", Shape::Tail),
];

/// A scored column of a feature list.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    /// Place in the feature list.
    pub(crate) at: u32,
    pub(crate) shape: Shape,
}

/// The scored columns of a feature list.
pub(crate) fn of(features: &[String]) -> Vec<Column> {
    let mut columns = Vec::new();
    for (at, feature) in (0..).zip(features) {
        if let Some((_, shape)) = SCORED.iter().find(|(name, _)| name == feature) {
            columns.push(Column { at, shape: *shape });
        }
    }
    columns
}

/// What is normal for a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Normal {
    /// Median as the feature comes.
    pub(crate) expected: f64,
    floor: f64,
    center: f64,
    scale: f64,
}

impl Normal {
    /// From the values seen in the warm-up. `level` is the sensor's usual level: what is a thousandth of it is nothing.
    pub(crate) fn fit(shape: Shape, values: &mut Vec<f64>, level: f64) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a count")]
        let count = values.iter().filter(|value| value.is_finite()).count() as f64;
        let straight: Vec<f64> = values.clone();
        let expected = crate::robust::median(values);
        if !expected.is_finite() {
            return Self { expected, floor: 0.0, center: f64::NAN, scale: 1.0 };
        }
        let floor = match shape {
            Shape::Spread => (1e-3 * level.abs())
                .min(0.1 * expected.abs())
                .max(1e-2 * expected.abs())
                .max(1e-6 * level.abs())
                .max(1e-12),
            Shape::Level | Shape::Tail => 0.0,
        };
        let mut straight: Vec<f64> = straight.iter().map(|&value| straighten(shape, value, floor)).collect();
        let (center, scale) = crate::robust::center_and_scale(&mut straight);
        let least = match shape {
            Shape::Level => (1e-3 * expected.abs()).max(1e-9),
            Shape::Spread => 0.1,
            Shape::Tail => 0.2,
        };
        // Few windows understate the spread: Student's t instead of the normal distribution, roughly.
        Self { expected, floor, center, scale: scale.max(least) * (1.0 + 10.0 / count) }
    }

    /// By how many scales a value stands out; 0 where either is not defined.
    pub(crate) fn z(&self, shape: Shape, value: f64) -> f64 {
        let z = (straighten(shape, value, self.floor) - self.center) / self.scale;
        if z.is_finite() { z.clamp(-1e6, 1e6) } else { 0.0 }
    }

    /// As [`Self::z`], of a level that is told by so few values that it scatters by this variance more than usual.
    pub(crate) fn z_of_few(&self, value: f64, variance: f64) -> f64 {
        let z = (value - self.center) / (self.scale * self.scale + variance).sqrt();
        if z.is_finite() { z.clamp(-1e6, 1e6) } else { 0.0 }
    }
}

fn straighten(shape: Shape, value: f64, floor: f64) -> f64 {
    match shape {
        Shape::Level => value,
        Shape::Spread => (value.max(0.0) + floor).ln(),
        Shape::Tail => value.asinh(),
    }
}
