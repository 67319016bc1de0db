//! Fewer points that still look the same: largest triangle three buckets.
//!
//! Sveinn Steinarsson, "Downsampling Time Series for Visual Representation", University of Iceland 2013, section 4.2. The
//! first and the last point stay. Those between are cut into buckets of (nearly) one size, and of each bucket that point
//! stays which forms the largest triangle with the point that stayed before it and the mean of the bucket after it. So
//! peaks stay, which a mean would wear away: a bearing's are what is looked for.

/// At most `points` of them, and never fewer than two where there are two. Times do not descend.
pub fn thin(readings: &[(i64, f64)], points: usize) -> Vec<(i64, f64)> {
    let points = points.max(2);
    let (&[first, ref between @ .., last], true) = (readings, readings.len() > points) else {
        return readings.to_vec();
    };
    let buckets = points - 2;
    // Nanoseconds since 1970 are more than a double tells apart; since the first reading they are not.
    let place = |&(time, value): &(i64, f64)| (time.saturating_sub(first.0) as f64, value);
    let edge = |bucket: usize| {
        // In 64 bits, as this also runs where a length has 32: a product of two lengths.
        usize::try_from(bucket as u64 * between.len() as u64 / buckets as u64).unwrap_or(between.len())
    };
    let mut kept = Vec::with_capacity(points);
    kept.push(first);
    for bucket in 0..buckets {
        let candidates = &between[edge(bucket)..edge(bucket + 1)];
        let following = match bucket + 1 < buckets {
            true => &between[edge(bucket + 1)..edge(bucket + 2)],
            false => std::slice::from_ref(&last),
        };
        let before = place(kept.last().unwrap_or(&first));
        let after = mean(following.iter().map(place));
        kept.extend(largest(candidates, |candidate| area(before, place(candidate), after)));
    }
    kept.push(last);
    kept
}

/// The first of those whose area is the largest. One whose area is no number, as huge values make it, is small.
fn largest(candidates: &[(i64, f64)], area: impl Fn(&(i64, f64)) -> f64) -> Option<(i64, f64)> {
    let mut best = None;
    let mut most = f64::NEG_INFINITY;
    for candidate in candidates {
        let area = area(candidate);
        if best.is_none() || area > most {
            best = Some(*candidate);
            most = if area.is_nan() { f64::NEG_INFINITY } else { area };
        }
    }
    best
}

fn mean(points: impl ExactSizeIterator<Item = (f64, f64)>) -> (f64, f64) {
    let count = points.len() as f64;
    // Divided first, so that a sum of large values stays finite.
    points.fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / count, sum.1 + point.1 / count))
}

/// Twice the area of a triangle; only which is larger matters.
fn area(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> f64 {
    ((a.0 - c.0) * (b.1 - a.1) - (a.0 - b.0) * (c.1 - a.1)).abs()
}
