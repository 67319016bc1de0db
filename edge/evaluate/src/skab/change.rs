//! SKAB's score of change points. It follows NAB's score, with windows in time and a different curve.
//!
//! A change is predicted where the verdict changes from normal to anomalous or back, and at the first scored row if
//! that is anomalous. A window covers 60 s from each true change; if two overlap, the later one starts where the
//! earlier one ends. The reward of the first prediction in a window, at the share `p` of its width (in steps of a
//! thousandth), is `m - h tanh(x) / tanh(pi/2)` with `x = pi (p - 1/2)`, half height `h = (1 + a) / 2` and middle `m =
//! (1 - a) / 2`: 1 at the left edge, `-a` at the right one, where `a` is the cost of a prediction outside all windows.
//! A window without a prediction costs 1 or 2. The score is normalised as in NAB: 100 is perfect, 0 is without any
//! prediction.

use std::f64::consts::{FRAC_PI_2, PI};

/// Width of a window in nanoseconds.
const WINDOW_NANOSECONDS: i64 = 60_000_000_000;
const REWARD_STEPS: f64 = 1000.0;

/// Cost of a false prediction and of a missed change, by profile: standard, low FP, low FN.
const PROFILES: [(f64, f64); 3] = [(0.11, 1.0), (0.22, 1.0), (0.11, 2.0)];

/// Score and counts of change points, summed over files.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ChangePointScore {
    /// Score by profile, not normalised.
    sums: [f64; 3],
    /// Number of true changes.
    pub(crate) total: u32,
    /// Number of true changes without a prediction.
    pub(crate) missed: u32,
    /// Number of predictions outside all windows.
    pub(crate) false_alarms: u32,
}

impl ChangePointScore {
    /// Scores one file. For each row: its time, whether it has an alarm, and whether it is a true change.
    pub(crate) fn score_file(times: &[i64], alarms: &[bool], changes: &[bool]) -> Self {
        let before = std::iter::once(&false).chain(alarms);
        let turned = alarms.iter().zip(before).map(|(now, before)| now != before);
        let predicted: Vec<i64> =
            times.iter().zip(turned).filter(|(_, turned)| *turned).map(|(time, _)| *time).collect();
        let mut windows: Vec<(i64, i64)> = Vec::new();
        for (&time, _) in times.iter().zip(changes).filter(|(_, change)| **change) {
            let start = windows.last().map_or(time, |(_, end)| time.max(*end));
            windows.push((start, time + WINDOW_NANOSECONDS));
        }
        let mut found = Self { total: windows.len() as u32, ..Self::default() };
        for &(start, end) in &windows {
            let Some(first) = predicted.iter().find(|time| (start..=end).contains(time)) else {
                found.missed += 1;
                found.sums.iter_mut().zip(PROFILES).for_each(|(sum, (_, missed))| *sum -= missed);
                continue;
            };
            let share = (first - start) as f64 / (end - start).max(1) as f64;
            found.sums.iter_mut().zip(PROFILES).for_each(|(sum, (cost, _))| *sum += reward(share, cost));
        }
        let outside = |time: &&i64| windows.iter().all(|(start, end)| !(start..=end).contains(time));
        found.false_alarms = predicted.iter().filter(outside).count() as u32;
        let count = f64::from(found.false_alarms);
        found.sums.iter_mut().zip(PROFILES).for_each(|(sum, (cost, _))| *sum -= count * cost);
        found
    }

    /// Adds the score and the counts of another file.
    pub(crate) fn add(&mut self, other: Self) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, other)| *sum += other);
        self.total += other.total;
        self.missed += other.missed;
        self.false_alarms += other.false_alarms;
    }

    /// Normalised scores: standard, low FP, low FN. NaN if there is no true change.
    pub(crate) fn normalised(&self) -> [f64; 3] {
        let all = f64::from(self.total);
        let mut scores = self.sums;
        for (score, (_, missed)) in scores.iter_mut().zip(PROFILES) {
            *score = 100.0 * (*score + all * missed) / (all + all * missed);
        }
        scores
    }
}

/// Reward of the first prediction at this share of its window.
fn reward(share: f64, cost: f64) -> f64 {
    let step = (share * REWARD_STEPS).floor().min(REWARD_STEPS - 1.0);
    let x = PI * (step / (REWARD_STEPS - 1.0) - 0.5);
    (1.0 - cost) / 2.0 - (1.0 + cost) / 2.0 * x.tanh() / FRAC_PI_2.tanh()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reward_matches_a_manual_calculation() {
        assert!((reward(0.0, 0.11) - 1.0).abs() < 1e-12);
        assert!((reward(1.0, 0.11) + 0.11).abs() < 1e-12);
        // Half a step from the middle.
        assert!((reward(0.5, 0.11) - 0.445).abs() < 1e-3);
    }

    #[test]
    fn scores_match_a_manual_calculation() {
        let times: Vec<i64> = (0..300).map(|second| second * 1_000_000_000).collect();
        let rows = |of: &dyn Fn(usize) -> bool| (0..300).map(of).collect::<Vec<bool>>();
        let changes = rows(&|row| row == 100 || row == 200);
        let perfect = ChangePointScore::score_file(&times, &rows(&|row| (100..200).contains(&row)), &changes);
        assert_eq!((perfect.missed, perfect.false_alarms), (0, 0));
        assert!(perfect.normalised().iter().all(|score| (score - 100.0).abs() < 1e-9));
        let nothing = ChangePointScore::score_file(&times, &[false; 300], &changes);
        assert_eq!((nothing.missed, nothing.normalised()), (2, [0.0; 3]));
        // Anomalous from the first row on: one false prediction there and one at 190.
        let false_ = ChangePointScore::score_file(&times, &rows(&|row| row < 190), &changes);
        assert_eq!((false_.missed, false_.false_alarms), (2, 2));
        for (score, expected) in false_.normalised().iter().zip([-0.22 / 4.0, -0.44 / 4.0, -0.22 / 6.0]) {
            assert!((score - 100.0 * expected).abs() < 1e-9);
        }
        // Overlapping windows: the second starts at 160.
        let close = rows(&|row| row == 100 || row == 130);
        let found = ChangePointScore::score_file(&times, &rows(&|row| (100..170).contains(&row)), &close);
        assert_eq!((found.total, found.missed, found.false_alarms), (2, 0, 0));
        assert!((found.sums[0] - 1.0 - reward(10.0 / 30.0, 0.11)).abs() < 1e-12);
    }
}
