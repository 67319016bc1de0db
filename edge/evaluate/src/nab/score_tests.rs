use proptest::prelude::*;

use super::*;

/// A series with one row per minute; windows are given by first and last row.
fn series(rows: usize, windows: &[(usize, usize)]) -> Series {
    let time = |row: usize| row as i64 * 60_000_000_000;
    Series::new(
        "group/file.csv",
        vec![String::new(); rows],
        (0..rows).map(time).collect(),
        vec!["0".to_owned(); rows],
        windows.iter().map(|(first, last)| (time(*first), time(*last))).collect(),
    )
}

const STANDARD: Weights = Weights { tp: 1.0, fp: 0.11, fn_: 1.0 };

#[test]
fn sigmoid_matches_the_values_in_nabs_source() {
    // Values from the comments in NAB's source.
    assert!((scaled_sigmoid(-1.0) - 0.98661).abs() < 1e-5);
    assert!((scaled_sigmoid(-0.5) - 0.84828).abs() < 1e-5);
    assert_eq!(scaled_sigmoid(0.0), 0.0);
    assert!((scaled_sigmoid(1.0) + 0.98661).abs() < 1e-5);
    assert_eq!(scaled_sigmoid(3.1), -1.0);
}

#[test]
fn probation_is_15_percent_and_at_most_750() {
    assert_eq!([0, 6, 7, 100, 4032, 5000, 22_695].map(probation), [0, 0, 1, 15, 604, 750, 750]);
}

/// 20 rows, 3 in probation, the window from row 10 to 13.
#[test]
fn rewards_match_a_manual_calculation() {
    let points = reward_points(&series(20, &[(10, 13)]), &[0.0; 20], STANDARD, 0).unwrap();
    let e = |x: f64| (2.0 / (1.0 + (5.0 * x).exp()) - 1.0) / (2.0 / (1.0 + (-5.0_f64).exp()) - 1.0);
    // 4 rows: positions -1, -3/4, -2/4, -1/4.
    for (row, position) in [(10, -1.0), (11, -0.75), (12, -0.5), (13, -0.25)] {
        assert!((points[row].reward - e(position)).abs() < 1e-12, "row {row}");
        assert_eq!(points[row].position, WindowPosition::Window(0));
    }
    assert_eq!(points[10].reward, 1.0);
    // Before the first window: the full cost. After it: the distance in units of its length minus one: 1/3, 2/3, 1, ...
    assert_eq!(points[5].reward, -0.11);
    for (row, position) in [(14, 1.0 / 3.0), (15, 2.0 / 3.0), (16, 1.0)] {
        assert!((points[row].reward - 0.11 * scaled_sigmoid(position)).abs() < 1e-15, "row {row}");
    }
    assert_eq!((points[2].position, points[3].position), (WindowPosition::Probation, WindowPosition::Outside));
}

/// One early detection, one false alarm just after the window, and one long before it.
#[test]
fn scores_match_a_manual_calculation() {
    let mut scores = vec![0.1; 20];
    scores[11] = 0.9;
    scores[12] = 0.8;
    scores[14] = 0.7;
    scores[5] = 0.6;
    // Not scored.
    scores[1] = 1.0;
    let steps = sweep(&reward_points(&series(20, &[(10, 13)]), &scores, STANDARD, 0).unwrap(), STANDARD);
    let thresholds: Vec<f64> = steps.iter().map(|step| step.threshold).collect();
    assert_eq!(thresholds, [1.1, 0.9, 0.8, 0.7, 0.6, 0.1]);
    let hit = scaled_sigmoid(-0.75) / scaled_sigmoid(-1.0);
    let near = 0.11 * scaled_sigmoid(1.0 / 3.0);
    let expected = [-1.0, hit, hit, hit + near, hit + near - 0.11];
    for (step, score) in steps.iter().zip(expected) {
        assert!((step.score - score).abs() < 1e-12, "{step:?}, by hand {score}");
    }
    // If all rows are alarms, the first row of the window has reward 1.
    let all: f64 = 1.0 - 7.0 * 0.11 + 0.11 * (1..=6).map(|row| scaled_sigmoid(f64::from(row) / 3.0)).sum::<f64>();
    assert!((steps[5].score - all).abs() < 1e-12);
    let counts = |step: &ThresholdStep| (step.tp, step.fp, step.fn_, step.tn);
    assert_eq!(counts(&steps[0]), (0, 0, 4, 13));
    assert_eq!(counts(&steps[4]), (2, 2, 2, 11));
    assert_eq!(best_step(&steps).threshold, 0.9);
    assert_eq!(step_at_threshold(&steps, 0.7), steps[3]);
    assert_eq!(step_at_threshold(&steps, 0.75), steps[2]);
    assert_eq!(step_at_threshold(&steps, 2.0), steps[0]);
    assert_eq!(step_at_threshold(&steps, 0.0), steps[5]);
}

#[test]
fn the_cost_of_a_missed_window_depends_on_the_profile() {
    let series = series(40, &[(10, 13), (20, 29)]);
    for (profile, weights) in PROFILES {
        let steps = sweep(&reward_points(&series, &[0.5; 40], weights, 0).unwrap(), weights);
        assert_eq!(steps[0].score, -2.0 * weights.fn_, "{profile}");
    }
}

#[test]
fn a_window_that_is_not_in_the_file_is_rejected() {
    let mut series = series(20, &[(10, 13)]);
    series.windows[0].1 += 1;
    assert!(reward_points(&series, &[0.0; 20], STANDARD, 0).is_err());
    series.windows[0] = (1, 2);
    assert!(reward_points(&series, &[0.0; 20], STANDARD, 0).is_err());
}

proptest! {
    /// Compares the sweep with the score of each threshold computed directly from the rows.
    #[test]
    fn sweep_matches_the_score_of_each_threshold(
        levels in proptest::collection::vec(0_u8..12, 60..61),
        at in 5_usize..20,
        length in 2_usize..8,
    ) {
        let scores: Vec<f64> = levels.iter().map(|level| f64::from(*level) / 12.0).collect();
        let windows = [(at, at + length - 1), (at + 25, at + 24 + length)];
        let series = series(60, &windows);
        for (_, weights) in PROFILES {
            let points = reward_points(&series, &scores, weights, 0).unwrap();
            for step in sweep(&points, weights) {
                let mut score = 0.0;
                for window in windows.iter().filter(|(_, last)| *last >= probation(60)) {
                    let hits = (window.0.max(probation(60))..=window.1).filter(|row| scores[*row] >= step.threshold);
                    score += hits.map(|row| points[row].reward).fold(-weights.fn_, f64::max);
                }
                for row in probation(60)..60 {
                    let outside = windows.iter().all(|(first, last)| row < *first || row > *last);
                    if outside && scores[row] >= step.threshold {
                        score += points[row].reward;
                    }
                }
                prop_assert!((score - step.score).abs() < 1e-9);
                prop_assert_eq!(step.tp + step.fp + step.fn_ + step.tn, 51);
            }
        }
    }
}
