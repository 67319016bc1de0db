//! Figures of `stream` on the part of NAB that is available (`WHEELTAPPER_TEST_DATA`, else `shared/data` next to the
//! repository); skipped without the data.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod scorer;

use std::path::PathBuf;

use scorer::{self as nab, LOW_FN, LOW_FP, STANDARD, Series};
use wheeltapper_detectors::stream::{EvidenceDetector, StreamConfig};

fn corpus() -> Option<Vec<Series>> {
    let default_folder = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("WHEELTAPPER_TEST_DATA").map_or_else(default_folder, PathBuf::from).join("nab");
    let Ok(windows) = std::fs::read_to_string(data.join("combined_windows.json")) else {
        eprintln!("skipped: no data set nab; set WHEELTAPPER_TEST_DATA to the folder that contains it");
        return None;
    };
    Some(nab::load(&data, &serde_json::from_str(&windows).unwrap()).unwrap())
}

#[test]
fn normalised_scores_match_the_stated_figures() {
    let Some(corpus) = corpus() else { return };
    assert_eq!((corpus.len(), corpus.iter().map(Series::scored_windows).sum::<usize>()), (28, 58));
    let scores: Vec<Vec<f64>> = corpus
        .iter()
        .map(|series| {
            let mut detector = EvidenceDetector::new(StreamConfig::default());
            series.times.iter().zip(&series.values).map(|(&time, &value)| detector.score(time, value)).collect()
        })
        .collect();
    let all: Vec<_> = corpus.iter().zip(&scores).map(|(series, scores)| (series, &scores[..])).collect();
    for (profile, best, at_half) in [(STANDARD, 77.32, 76.76), (LOW_FP, 69.87, 67.11), (LOW_FN, 82.00, 81.64)] {
        let (threshold, total) = nab::optimise(&all, &profile).unwrap();
        let normal = nab::normalise(total, 58, &profile);
        println!("NAB {}: {normal:.2} at {threshold:.4}", profile.name);
        assert!((normal - best).abs() < 0.006, "{}: {normal} at {threshold}", profile.name);
        // The optimiser's total is the sum of the totals of the files.
        let sum =
            |threshold| all.iter().map(|(one, of)| one.outcome(of, threshold, &profile).unwrap().score).sum::<f64>();
        assert!((sum(threshold) - total).abs() < 1e-9);
        let normal = nab::normalise(sum(0.5), 58, &profile);
        assert!((normal - at_half).abs() < 0.006, "{}: {normal} at 0.5", profile.name);
    }
}

/// The scores of two files that NAB publishes for its windowed Gaussian (`windowedGaussian_standard_scores.csv`,
/// threshold 1.0). They depend only on one detection and on false alarms before any window.
#[test]
fn scores_match_the_published_ones() {
    let Some(corpus) = corpus() else { return };
    let file = |name: &str| corpus.iter().find(|series| series.name.ends_with(name)).unwrap();
    let mut scores = vec![0.0; 18_050];
    scores[4000] = 1.0;
    let cpu = file("cpu_utilization_asg_misconfiguration.csv").outcome(&scores, 1.0, &STANDARD).unwrap();
    assert_eq!((cpu.score, cpu.tp, cpu.tn, cpu.fp, cpu.r#fn), (-1.11, 0, 15_800, 1, 1499));
    let jumps = file("art_daily_jumpsup.csv").outcome(&vec![0.0; 4032], 1.0, &STANDARD).unwrap();
    assert_eq!((jumps.score, jumps.tp, jumps.tn, jumps.fp, jumps.r#fn), (-1.0, 0, 3025, 0, 403));
    // 0.8606718242697022 is the score of a detection at the middle of a window of 403 rows.
    let middle = file("art_daily_jumpsup.csv").row_scores(&STANDARD);
    assert!(middle.iter().any(|score| (score - 0.860_671_824_269_702_2).abs() < 1e-15));
}

#[test]
fn results_are_in_nabs_layout() {
    let Some(corpus) = corpus() else { return };
    let series = corpus.iter().find(|series| series.name.ends_with("art_daily_jumpsup.csv")).unwrap();
    let results = std::env::temp_dir().join(format!("wheeltapper-nab-{}", std::process::id()));
    let scores = vec![0.25; series.values.len()];
    nab::write_rows(&results, "mine", series, &scores).unwrap();
    nab::write_scores(&results, "mine", 0.5, &STANDARD, &[(series, &scores)]).unwrap();
    let rows = std::fs::read_to_string(results.join("mine/artificialWithAnomaly/mine_art_daily_jumpsup.csv")).unwrap();
    let totals = std::fs::read_to_string(results.join("mine/mine_standard_scores.csv")).unwrap();
    std::fs::remove_dir_all(&results).unwrap();
    let mut rows = rows.lines();
    let head = "timestamp,value,anomaly_score,label,S(t)_reward_low_FP_rate,S(t)_reward_low_FN_rate,S(t)_standard";
    assert_eq!(rows.next(), Some(head));
    assert_eq!(rows.next(), Some("2014-04-01 00:00:00,19.761251902999998,0.25,0,-0.22,-0.11,-0.11"));
    assert_eq!(rows.filter(|row| row.split(',').nth(3) == Some("1")).count(), 403);
    assert!(totals.ends_with("Totals,,,,-1.0,0,3025,0,403,4032\n"), "{totals}");
}
