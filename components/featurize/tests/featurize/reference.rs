//! Compares the features with NumPy and SciPy on 1,000 windows: noise, huge offsets, constants, spikes, single samples,
//! NaN.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "the same arithmetic as in reference/generate.py")]

use wheeltapper_featurize::features::{BASIC_FEATURES as FEATURES, FeatureExtractor};

/// Relative.
const TOLERANCE: f64 = 1e-9;

/// SplitMix64 (G. Steele, D. Lea, C. Flood, 2014).
struct SplitMix(u64);

impl SplitMix {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2f64.powi(-53)
    }
    fn normal(&mut self) -> f64 {
        (0..12).fold(0.0, |total, _| total + self.uniform()) - 6.0
    }
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.bits() % limit as u64).unwrap()
    }
}

fn triangle(i: usize, period: f64) -> f64 {
    let phase = i as f64 % period;
    if 2.0 * phase < period { 4.0 * (phase / period) - 1.0 } else { 3.0 - 4.0 * (phase / period) }
}

const LENGTHS: [usize; 16] = [1, 2, 3, 7, 8, 9, 10, 11, 30, 31, 128, 129, 257, 400, 1000, 3001];
const OFFSETS: [f64; 6] = [0.0, 1.0, 1e6, -1e9, 1e12, 1e15];
const SCALES: [f64; 4] = [1.0, 1e-12, 1e6, 1e-3];

/// The values and the rate of a window, as in reference/generate.py.
fn window(number: usize) -> (Vec<f64>, f64) {
    let mut source = SplitMix(number as u64);
    let count = if source.below(2) == 0 { LENGTHS[source.below(LENGTHS.len())] } else { 1 + source.below(400) };
    let offset = OFFSETS[source.below(OFFSETS.len())];
    let scale = SCALES[source.below(SCALES.len())];
    let rate = 0.5 + 100.0 * source.uniform();
    let values = (0..count)
        .map(|i| match number % 12 {
            0 => source.normal(),
            1 => offset + source.normal(),
            2 => offset + scale,
            3 => offset + if i == count / 3 { scale } else { 0.0 },
            4 => triangle(i, 16.0) + 0.1 * source.normal(),
            5 => scale * source.normal(),
            6 => offset + 0.25 * source.below(9) as f64,
            7 => scale * i as f64 + source.uniform(),
            8 if i == count / 2 => f64::NAN,
            8 => source.normal(),
            9 => (if i % 2 == 0 { 1.0 } else { -1.0 }) * (1.0 + source.uniform()),
            10 => source.normal() * source.normal() * source.normal() * 1e3,
            _ => offset + scale * triangle(i, 7.0) + scale * source.uniform(),
        })
        .collect();
    (values, rate)
}

#[test]
fn features_agree_with_numpy_and_scipy() {
    let mut extractor = FeatureExtractor::default();
    let rows = include_str!("../../reference/features.csv").lines().filter(|line| !line.starts_with('#'));
    let (mut checked, mut wrong) = (0, Vec::new());
    for (number, row) in rows.enumerate() {
        let (values, rate) = window(number);
        let actual = extractor.basic_features(&values, rate);
        let expected: Vec<f64> = row.split(',').map(|number| number.parse().unwrap()).collect();
        assert_eq!(expected.len(), FEATURES.len());
        for ((name, &actual), &expected) in FEATURES.iter().zip(&actual).zip(&expected) {
            checked += 1;
            let agrees = (actual.is_nan() && expected.is_nan())
                || actual == expected
                || (actual - expected).abs() <= TOLERANCE * expected.abs();
            if !agrees {
                wrong.push(format!(
                    "window {number} (kind {}, n {}): {name} {actual:?}, not {expected:?}",
                    number % 12,
                    values.len()
                ));
            }
        }
    }
    assert_eq!(checked, 17_000);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Values whose squares overflow or underflow have the same spectrum as the unscaled values. The scales are powers of
/// 2, so that scaling is exact.
#[test]
fn the_spectrum_does_not_depend_on_the_scale() {
    let mut extractor = FeatureExtractor::default();
    let mut source = SplitMix(7);
    for count in [2, 3, 8, 31, 400, 3001] {
        let values: Vec<f64> = (0..count).map(|_| source.normal()).collect();
        let usual = extractor.basic_features(&values, 10.0);
        for power in [-1000, -530, 500, 1000] {
            let scale = 2f64.powi(power);
            let scaled: Vec<f64> = values.iter().map(|value| value * scale).collect();
            let actual = extractor.basic_features(&scaled, 10.0);
            for (name, unit) in [("dominant_frequency", 1.0), ("dominant_magnitude", scale), ("spectral_entropy", 1.0)]
            {
                let at = FEATURES.iter().position(|feature| *feature == name).unwrap();
                let (actual, expected) = (actual[at] / unit, usual[at]);
                let agrees = actual == expected
                    || (actual.is_nan() && expected.is_nan())
                    || (actual / expected - 1.0).abs() < TOLERANCE;
                assert!(agrees, "{name} of {count} values times 2^{power}: {actual}, not {expected}");
            }
        }
    }
}
