use proptest::prelude::*;

use super::*;

/// Direct implementation of the definition in the module documentation, row by row.
fn by_definition(scores: &[f64], labels: &[bool], window: usize) -> f64 {
    let rows = scores.len();
    let runs = runs(labels);
    let anomalous = labels.iter().filter(|label| **label).count() as f64;
    let mut volume = 0.0;
    for width in 0..=window {
        // Widened labels.
        let reach = width / 2;
        let mut wide: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();
        for (row, wide) in wide.iter_mut().enumerate() {
            for &(start, end) in &runs {
                let distance = if row < start { start - row } else { row.saturating_sub(end) };
                if distance > 0 && distance <= reach {
                    *wide += (1.0 - distance as f64 / width as f64).sqrt();
                }
            }
            *wide = wide.min(1.0);
        }
        // Widened anomalies; those that share a row are merged.
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for &(start, end) in &runs {
            let (start, end) = (start.saturating_sub(reach), (end + reach).min(rows - 1));
            match ranges.last_mut() {
                Some(last) if last.1 >= start => last.1 = end,
                _ => ranges.push((start, end)),
            }
        }
        let mut before = 0.0;
        for threshold in thresholds(scores.to_vec()) {
            let predicted: Vec<bool> = scores.iter().map(|score| *score >= threshold).collect();
            let sum = |of: &dyn Fn(usize) -> bool| (0..rows).filter(|row| of(*row)).map(|row| wide[row]).sum::<f64>();
            let tp = sum(&|row| predicted[row]);
            let beside = sum(&|row| predicted[row] && !labels[row]);
            let seen = ranges.iter().filter(|(start, end)| predicted[*start..=*end].contains(&true)).count() as f64;
            let recall = (tp / f64::midpoint(anomalous, anomalous + beside)).min(1.0) * seen / ranges.len() as f64;
            let precision = tp / predicted.iter().filter(|row| **row).count() as f64;
            volume += (recall - before) * precision;
            before = recall;
        }
    }
    volume / (window + 1) as f64
}

/// The series for which the reference values were computed.
fn series(rows: usize, runs: &[(usize, usize)], shift: i64, bonus: f64, levels: usize) -> (Vec<f64>, Vec<bool>) {
    let within = |row: i64| runs.iter().any(|&(start, end)| (start as i64..=end as i64).contains(&row));
    let score = |row: usize| (row * 7919 % levels) as f64 + if within(row as i64 - shift) { bonus } else { 0.0 };
    ((0..rows).map(score).collect(), (0..rows).map(|row| within(row as i64)).collect())
}

/// Computed by `generate_curve(labels, scores, window, 'opt', 250)` and `metric_PR` of the PyPI package TSB-AD 1.5
/// (NumPy 2.4.6, scikit-learn 1.9.1) on the same series: VUS-PR, AUC-PR.
#[test]
fn volume_matches_tsb_ad() {
    type Case<'a> = (usize, &'a [(usize, usize)], i64, f64, usize, usize, f64, f64);
    let cases: [Case<'_>; 5] = [
        (1000, &[(300, 349), (700, 720)], 0, 300.0, 1009, 100, 0.502_574_301_179_490_3, 0.424_483_373_568_719_9),
        (
            1000,
            &[(0, 9), (300, 349), (380, 390), (985, 999)],
            7,
            500.0,
            1009,
            100,
            0.632_934_992_095_112_1,
            0.388_230_175_089_917_6,
        ),
        (300, &[(50, 50), (120, 180)], -5, 3.0, 7, 20, 0.582_335_674_692_363_2, 0.546_944_732_164_048),
        (150, &[(70, 80), (83, 90), (140, 149)], 3, 40.0, 101, 31, 0.657_664_527_186_724_1, 0.390_131_222_397_653_24),
        (2000, &[(5, 20), (1990, 1994)], 30, 900.0, 1009, 125, 0.197_278_850_343_197_2, 0.011_936_349_280_384_747),
    ];
    for (rows, runs, shift, bonus, levels, window, volume, area) in cases {
        let (scores, labels) = series(rows, runs, shift, bonus, levels);
        let ours = vus_pr(&[(&scores, &labels)], window);
        assert!((ours - volume).abs() < 1e-12, "{runs:?}: {ours}, TSB-AD {volume}");
        let ours = crate::metrics::auc_pr(&scores, &labels);
        assert!((ours - area).abs() < 1e-12, "{runs:?}: {ours}, scikit-learn {area}");
    }
}

#[test]
fn volume_of_a_perfect_score_is_high_and_of_a_reversed_one_low() {
    let labels: Vec<bool> = (0..500).map(|row| (200..300).contains(&row)).collect();
    let perfect: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();
    // With widened labels no 0/1 score reaches 1, and the reversed score is worse than a constant one.
    let reverse: Vec<f64> = perfect.iter().map(|score| 1.0 - score).collect();
    let (high, low) = (vus_pr(&[(&perfect, &labels)], 100), vus_pr(&[(&reverse, &labels)], 100));
    let constant = vus_pr(&[(&[0.5; 500], &labels)], 100);
    assert!(high > 0.9 && low < constant && constant < 0.4, "{high} {low} {constant}");
    assert!(vus_pr(&[(&perfect, &[false; 500])], 100).is_nan());
    assert!(vus_pr(&[], 100).is_nan());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn volume_matches_its_definition(
        rows in proptest::collection::vec((0_u8..40, 0_u8..8), 2..80),
        window in 0_usize..24,
        spread in 1_usize..6,
    ) {
        let scores: Vec<f64> = rows.iter().map(|(score, _)| f64::from(*score)).collect();
        // Runs of up to `spread` rows.
        let labels: Vec<bool> =
            (0..rows.len()).map(|row| (row.saturating_sub(spread)..=row).any(|at| rows[at].1 == 0)).collect();
        prop_assume!(labels.contains(&true));
        let (fast, slow) = (vus_pr(&[(&scores, &labels)], window), by_definition(&scores, &labels, window));
        prop_assert!((fast - slow).abs() < 1e-9, "{} by definition {}", fast, slow);
    }

    /// Anomalies far apart in one series give the same result as pooled files.
    #[test]
    fn volume_is_pooled_over_several_series(
        rows in proptest::collection::vec(0_u8..200, 120..121),
        at in 30_usize..80,
    ) {
        let scores: Vec<f64> = rows.iter().map(|score| f64::from(*score)).collect();
        let labels: Vec<bool> = (0..rows.len()).map(|row| (at..at + 5).contains(&row)).collect();
        let twice = (scores.repeat(2), labels.repeat(2));
        let (one, pooled) =
            (vus_pr(&[(&twice.0, &twice.1)], 20), vus_pr(&[(&scores, &labels), (&scores, &labels)], 20));
        prop_assert!((one - pooled).abs() < 1e-12);
    }
}
