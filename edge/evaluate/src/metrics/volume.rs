//! VUS-PR: the volume under the precision-recall surface.
//!
//! Source: Paparrizos et al. 2022, "Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly
//! Detection", PVLDB 15(11), in the form that TSB-AD 1.5 computes (`generate_curve`, version `opt`): an anomaly from
//! `s` to `e` is widened by `w / 2` rows (rounded down) on both sides; the label at distance `d` is `sqrt(1 - d / w)`.
//! Labels of several anomalies are added, up to 1. For each width `w` from 0 to the window, and each of 250 thresholds
//! at evenly spaced ranks:
//!
//! - `N` is the number of predicted rows, `TP` the sum of their labels,
//! - precision `TP / N`,
//! - recall `min(1, TP / P) * existence`, where `P` is the mean of the anomalous rows' count and of that count plus the
//!   labels of the predicted rows outside the anomalies, and `existence` the share of widened anomalies with a
//!   predicted row,
//! - the area is the sum of `(recall - recall before) * precision`, from recall 0.
//!
//! VUS-PR is the mean of the areas. This implementation needs one pass per width over only the rows near anomalies,
//! because nothing else depends on the width.

/// TSB-AD's default window, in rows.
pub const VOLUME_WINDOW: usize = 100;

/// TSB-AD's number of thresholds.
pub const VOLUME_THRESHOLDS: usize = 250;

/// VUS-PR, 0 to 1, of series with common thresholds: one series, or pooled files. An anomaly is not widened into the
/// next file. NaN if no row is anomalous.
#[must_use]
pub fn vus_pr(series: &[(&[f64], &[bool])], window: usize) -> f64 {
    let thresholds = thresholds(series.iter().flat_map(|(scores, _)| scores.iter().copied()).collect());
    let rank = |score: f64| thresholds.partition_point(|threshold| *threshold > score);
    // A row is predicted at all thresholds from its rank on. The last threshold is the lowest score, so every row has a
    // rank.
    let ranks: Vec<Vec<usize>> =
        series.iter().map(|(scores, _)| scores.iter().map(|score| rank(*score)).collect()).collect();
    let count = thresholds.len();
    let mut predicted = vec![0.0; count];
    let mut hit = vec![0.0; count];
    for (ranks, (_, labels)) in ranks.iter().zip(series) {
        for (rank, label) in ranks.iter().zip(*labels) {
            increment(&mut predicted, *rank, 1.0);
            increment(&mut hit, *rank, f64::from(u8::from(*label)));
        }
    }
    accumulate(&mut predicted);
    accumulate(&mut hit);
    let anomalies: Vec<Vec<(usize, usize)>> = series.iter().map(|(_, labels)| runs(labels)).collect();
    let anomalous = hit.last().copied().unwrap_or(0.0);
    if anomalous == 0.0 {
        return f64::NAN;
    }

    let mut volume = 0.0;
    for width in 0..=window {
        let mut beside = vec![0.0; count];
        let mut existing = vec![0.0; count];
        let mut ranges = 0.0;
        for (ranks, anomalies) in ranks.iter().zip(&anomalies) {
            for (row, label) in widened_labels(anomalies, ranks.len(), width) {
                increment(&mut beside, ranks.get(row).copied().unwrap_or(count), label);
            }
            for (start, end) in merged_anomalies(anomalies, ranks.len(), width) {
                let first = ranks.get(start..=end).unwrap_or_default().iter().min();
                increment(&mut existing, first.copied().unwrap_or(count), 1.0);
                ranges += 1.0;
            }
        }
        accumulate(&mut beside);
        accumulate(&mut existing);
        let mut before = 0.0;
        for at in 0..count {
            let count_at = |counts: &[f64]| counts.get(at).copied().unwrap_or(0.0);
            let tp = count_at(&hit) + count_at(&beside);
            let positive = anomalous + count_at(&beside) / 2.0;
            let recall = (tp / positive).min(1.0) * count_at(&existing) / ranges;
            volume += (recall - before) * tp / count_at(&predicted);
            before = recall;
        }
    }
    volume / (window + 1) as f64
}

/// Scores at evenly spaced ranks, from the highest to the lowest.
fn thresholds(mut scores: Vec<f64>) -> Vec<f64> {
    scores.sort_by(|one, other| other.total_cmp(one));
    let last = scores.len().saturating_sub(1) as f64;
    let step = last / (VOLUME_THRESHOLDS - 1) as f64;
    let at = |k: usize| if k + 1 == VOLUME_THRESHOLDS { last } else { k as f64 * step };
    (0..VOLUME_THRESHOLDS).filter_map(|k| scores.get(at(k) as usize).copied()).collect()
}

fn increment(counts: &mut [f64], at: usize, by: f64) {
    if let Some(count) = counts.get_mut(at) {
        *count += by;
    }
}

fn accumulate(counts: &mut [f64]) {
    let mut sum = 0.0;
    for count in counts {
        sum += *count;
        *count = sum;
    }
}

/// First and last row of each run of `true`.
fn runs(labels: &[bool]) -> Vec<(usize, usize)> {
    let mut start = 0;
    let mut runs = Vec::new();
    for run in labels.chunk_by(|one, other| one == other) {
        let end = start + run.len();
        if run.first() == Some(&true) {
            runs.push((start, end - 1));
        }
        start = end;
    }
    runs
}

/// Rows next to the anomalies, with their labels.
fn widened_labels(anomalies: &[(usize, usize)], rows: usize, width: usize) -> Vec<(usize, f64)> {
    let mut labels: Vec<(usize, f64)> = Vec::new();
    let label = |distance: usize| (1.0 - distance as f64 / width as f64).sqrt();
    for (at, &(start, end)) in anomalies.iter().enumerate() {
        // Labels extend across neighbouring anomalies, but not onto the rows of those.
        let reach = width / 2;
        let before = (start.saturating_sub(reach)..start).map(|row| (row, label(start - row)));
        let after = (end + 1..rows.min(end + reach + 1)).map(|row| (row, label(row - end)));
        let left = anomalies.get(..at).unwrap_or_default().iter().rev();
        let right = anomalies.get(at + 1..).unwrap_or_default().iter();
        let own = |row: usize| {
            let among = |&&(start, end): &&(usize, usize)| (start..=end).contains(&row);
            left.clone().take_while(|anomaly| anomaly.1 + reach >= start).any(|anomaly| among(&anomaly))
                || right.clone().take_while(|anomaly| anomaly.0 <= end + reach).any(|anomaly| among(&anomaly))
        };
        labels.extend(before.chain(after).filter(|(row, _)| !own(*row)));
    }
    labels.sort_by_key(|(row, _)| *row);
    labels
        .chunk_by(|one, other| one.0 == other.0)
        .filter_map(|same| {
            let sum: f64 = same.iter().map(|(_, label)| label).sum();
            same.first().map(|(row, _)| (*row, sum.min(1.0)))
        })
        .collect()
}

/// First and last row of the widened anomalies; anomalies that touch are merged.
fn merged_anomalies(anomalies: &[(usize, usize)], rows: usize, width: usize) -> Vec<(usize, usize)> {
    let reach = width / 2;
    let joined = anomalies.chunk_by(|one, next| one.1 + reach >= next.0.saturating_sub(reach));
    joined
        .filter_map(|joined| {
            let (first, last) = (joined.first()?, joined.last()?);
            Some((first.0.saturating_sub(reach), (last.1 + reach).min(rows.saturating_sub(1))))
        })
        .collect()
}

#[cfg(test)]
#[path = "volume_tests.rs"]
mod tests;
