//! Downsampling that preserves the shape of a time series: largest triangle three buckets (LTTB).
//!
//! Sveinn Steinarsson, "Downsampling Time Series for Visual Representation", University of Iceland 2013, section 4.2.
//! The first and the last point are kept. The points between them are divided into buckets of (nearly) equal size. Of
//! each bucket, LTTB keeps the point that forms the largest triangle with the previously kept point and the mean of the
//! next bucket. Peaks are therefore kept, which averaging would flatten: bearing faults show as peaks.

/// Returns at most `points` of the readings, but at least two if there are two. The input must be sorted by time.
pub fn downsample(readings: &[(i64, f64)], points: usize) -> Vec<(i64, f64)> {
    let points = points.max(2);
    let (&[first, ref between @ .., last], true) = (readings, readings.len() > points) else {
        return readings.to_vec();
    };
    let buckets = points - 2;
    // A double cannot represent nanoseconds since 1970 exactly; relative to the first reading it can.
    let to_point = |&(time, value): &(i64, f64)| (time.saturating_sub(first.0) as f64, value);
    let edge = |bucket: usize| {
        // In 64 bits: the product of two lengths overflows a 32-bit `usize`.
        usize::try_from(bucket as u64 * between.len() as u64 / buckets as u64).unwrap_or(between.len())
    };
    let mut selected = Vec::with_capacity(points);
    selected.push(first);
    for bucket in 0..buckets {
        let candidates = &between[edge(bucket)..edge(bucket + 1)];
        let following = match bucket + 1 < buckets {
            true => &between[edge(bucket + 1)..edge(bucket + 2)],
            false => std::slice::from_ref(&last),
        };
        let before = to_point(selected.last().unwrap_or(&first));
        let after = mean(following.iter().map(to_point));
        selected.extend(largest_triangle(candidates, |candidate| area(before, to_point(candidate), after)));
    }
    selected.push(last);
    selected
}

/// Returns the candidate with the largest area; of several, the first. An area of NaN, which huge values can cause,
/// counts as the smallest.
fn largest_triangle(candidates: &[(i64, f64)], area: impl Fn(&(i64, f64)) -> f64) -> Option<(i64, f64)> {
    let mut best = None;
    let mut largest = f64::NEG_INFINITY;
    for candidate in candidates {
        let area = area(candidate);
        if best.is_none() || area > largest {
            best = Some(*candidate);
            largest = if area.is_nan() { f64::NEG_INFINITY } else { area };
        }
    }
    best
}

fn mean(points: impl ExactSizeIterator<Item = (f64, f64)>) -> (f64, f64) {
    let count = points.len() as f64;
    // Divides first, so that a sum of large values stays finite.
    points.fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / count, sum.1 + point.1 / count))
}

/// Returns twice the area of a triangle, which is enough for a comparison.
fn area(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> f64 {
    ((a.0 - c.0) * (b.1 - a.1) - (a.0 - b.0) * (c.1 - a.1)).abs()
}
