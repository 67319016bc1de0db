//! SKAB's score of change points: NAB's idea, with windows by time and a curve of its own.
//!
//! Where the verdict turns, from normal to anomalous or back, a change is predicted; also at the first row judged, where that
//! is anomalous. A window reaches from each true change 60 s on; where two overlap the later begins where the earlier ends.
//! The first prediction in a window is worth, at the share `p` of its width (taken in steps of a thousandth),
//! `m - h tanh(x) / tanh(pi/2)` with `x = pi (p - 1/2)`, half height `h = (1 + a) / 2` and middle `m = (1 - a) / 2`: 1 at the
//! left edge, `-a` at the right one, where `a` is the cost of a prediction outside all windows. A window without one costs 1,
//! or 2. Normalised as NAB is: 100 is perfect, 0 predicts nothing.

use std::f64::consts::{FRAC_PI_2, PI};

/// The windows' width, nanoseconds.
const WIDTH: i64 = 60_000_000_000;
const STEPS: f64 = 1000.0;

/// Costs by profile: of a false prediction, of a missed change. Standard, low FP, low FN.
const PROFILES: [(f64, f64); 3] = [(0.11, 1.0), (0.22, 1.0), (0.11, 2.0)];

/// Sums over files.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// By profile, not normalised.
    sums: [f64; 3],
    /// True changes.
    pub(crate) all: u32,
    /// Those without a prediction.
    pub(crate) missed: u32,
    /// Predictions outside all windows.
    pub(crate) false_alarms: u32,
}

impl Changes {
    /// Of one file: when rows were, whether they got an alarm, and whether they are true changes.
    pub(crate) fn of(times: &[i64], alarms: &[bool], changes: &[bool]) -> Self {
        let before = std::iter::once(&false).chain(alarms);
        let turned = alarms.iter().zip(before).map(|(now, before)| now != before);
        let predicted: Vec<i64> =
            times.iter().zip(turned).filter(|(_, turned)| *turned).map(|(time, _)| *time).collect();
        let mut windows: Vec<(i64, i64)> = Vec::new();
        for (&time, _) in times.iter().zip(changes).filter(|(_, change)| **change) {
            let start = windows.last().map_or(time, |(_, end)| time.max(*end));
            windows.push((start, time + WIDTH));
        }
        let mut found = Self { all: windows.len() as u32, ..Self::default() };
        for &(start, end) in &windows {
            let Some(first) = predicted.iter().find(|time| (start..=end).contains(time)) else {
                found.missed += 1;
                found.sums.iter_mut().zip(PROFILES).for_each(|(sum, (_, missed))| *sum -= missed);
                continue;
            };
            let share = (first - start) as f64 / (end - start).max(1) as f64;
            found.sums.iter_mut().zip(PROFILES).for_each(|(sum, (cost, _))| *sum += worth(share, cost));
        }
        let outside = |time: &&i64| windows.iter().all(|(start, end)| !(start..=end).contains(time));
        found.false_alarms = predicted.iter().filter(outside).count() as u32;
        let count = f64::from(found.false_alarms);
        found.sums.iter_mut().zip(PROFILES).for_each(|(sum, (cost, _))| *sum -= count * cost);
        found
    }

    /// Pools.
    pub(crate) fn add(&mut self, other: Self) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, other)| *sum += other);
        self.all += other.all;
        self.missed += other.missed;
        self.false_alarms += other.false_alarms;
    }

    /// Standard, low FP, low FN; NaN where nothing changes.
    pub(crate) fn normalised(&self) -> [f64; 3] {
        let all = f64::from(self.all);
        let mut scores = self.sums;
        for (score, (_, missed)) in scores.iter_mut().zip(PROFILES) {
            *score = 100.0 * (*score + all * missed) / (all + all * missed);
        }
        scores
    }
}

/// What the first prediction at this share of its window is worth.
fn worth(share: f64, cost: f64) -> f64 {
    let step = (share * STEPS).floor().min(STEPS - 1.0);
    let x = PI * (step / (STEPS - 1.0) - 0.5);
    (1.0 - cost) / 2.0 - (1.0 + cost) / 2.0 * x.tanh() / FRAC_PI_2.tanh()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_by_hand() {
        assert!((worth(0.0, 0.11) - 1.0).abs() < 1e-12);
        assert!((worth(1.0, 0.11) + 0.11).abs() < 1e-12);
        // Half a step beside the middle.
        assert!((worth(0.5, 0.11) - 0.445).abs() < 1e-3);
    }

    #[test]
    fn scores_by_hand() {
        let times: Vec<i64> = (0..300).map(|second| second * 1_000_000_000).collect();
        let rows = |of: &dyn Fn(usize) -> bool| (0..300).map(of).collect::<Vec<bool>>();
        let changes = rows(&|row| row == 100 || row == 200);
        let perfect = Changes::of(&times, &rows(&|row| (100..200).contains(&row)), &changes);
        assert_eq!((perfect.missed, perfect.false_alarms), (0, 0));
        assert!(perfect.normalised().iter().all(|score| (score - 100.0).abs() < 1e-9));
        let nothing = Changes::of(&times, &[false; 300], &changes);
        assert_eq!((nothing.missed, nothing.normalised()), (2, [0.0; 3]));
        // From the first row on: one false prediction, and at 190 another.
        let false_ = Changes::of(&times, &rows(&|row| row < 190), &changes);
        assert_eq!((false_.missed, false_.false_alarms), (2, 2));
        for (score, expected) in false_.normalised().iter().zip([-0.22 / 4.0, -0.44 / 4.0, -0.22 / 6.0]) {
            assert!((score - 100.0 * expected).abs() < 1e-9);
        }
        // Windows that overlap: the second begins at 160.
        let close = rows(&|row| row == 100 || row == 130);
        let found = Changes::of(&times, &rows(&|row| (100..170).contains(&row)), &close);
        assert_eq!((found.all, found.missed, found.false_alarms), (2, 0, 0));
        assert!((found.sums[0] - 1.0 - worth(10.0 / 30.0, 0.11)).abs() < 1e-12);
    }
}
