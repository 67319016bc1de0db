//! Time until a value reaches a limit at its present growth.

/// Fewest points of a trend.
const MIN_POINTS: usize = 10;
/// A slope that is so many standard errors above 0 is growth.
const MIN_SIGNIFICANCE: f64 = 4.0;

/// Seconds from the last point until the least-squares line through the points reaches `limit`; None if they do not
/// clearly rise, or are fewer than ten. Points are (time in ns, value), oldest first; values that are not finite are
/// left out. 0 if the line is beyond the limit.
#[allow(clippy::cast_precision_loss, reason = "lengths of time and counts")]
pub(crate) fn seconds_until(limit: f64, points: impl Iterator<Item = (i64, f64)>) -> Option<f64> {
    let points: Vec<(i64, f64)> = points.filter(|(_, value)| value.is_finite()).collect();
    let (first, last) = (points.first()?.0, points.last()?.0);
    if points.len() < MIN_POINTS || last <= first {
        return None;
    }
    let count = points.len() as f64;
    let seconds = |time: i64| (time - first) as f64 / 1e9;
    let mean_time = points.iter().map(|(time, _)| seconds(*time)).sum::<f64>() / count;
    let mean_value = points.iter().map(|(_, value)| value).sum::<f64>() / count;
    let square = points.iter().map(|(time, _)| (seconds(*time) - mean_time).powi(2)).sum::<f64>();
    let cross = points.iter().map(|(time, value)| (seconds(*time) - mean_time) * (value - mean_value)).sum::<f64>();
    let slope = cross / square;
    let line = |time: i64| mean_value + slope * (seconds(time) - mean_time);
    let residual = points.iter().map(|(time, value)| (value - line(*time)).powi(2)).sum::<f64>();
    let error = (residual / (count - 2.0) / square).sqrt();
    (slope > MIN_SIGNIFICANCE * error && slope > 0.0).then(|| ((limit - line(last)) / slope).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reaches_its_limit_and_noise_does_not() {
        let points = |slope: f64, noise: f64| {
            (0..30).map(move |at| {
                let wave = noise * f64::from(at % 3 - 1);
                (i64::from(at) * 3_600_000_000_000, 1.0 + slope * f64::from(at) + wave)
            })
        };
        // 0.1 an hour from 3.9 on: 11 hours to 5.
        let seconds = seconds_until(5.0, points(0.1, 0.0)).unwrap_or(f64::NAN);
        assert!((seconds / 3600.0 - 11.0).abs() < 1e-6, "{seconds}");
        assert_eq!(seconds_until(5.0, points(0.0, 0.1)), None);
        assert_eq!(seconds_until(5.0, points(-0.1, 0.1)), None);
        assert_eq!(seconds_until(5.0, points(0.1, 0.0).take(9)), None);
        assert_eq!(seconds_until(2.0, points(0.1, 0.0)), Some(0.0));
    }
}
