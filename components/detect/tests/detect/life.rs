//! Remaining life of an asset: from its own degradation, and from a library of runs to failure.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{ENSEMBLE, S, T0, detect, join, normal, pump, push_windows, source, windows};
use wheeltapper_detect::{Detected, FeatureBlock, Prognosis, Stage};

/// True if the hours that 10, 50 and 90 % of such assets do not outlive are in that order.
fn is_in_order(prognosis: &Prognosis) -> bool {
    let known: Vec<f64> = prognosis.hours.iter().flatten().copied().collect();
    // If a quantile has no end in sight, the later ones have none either.
    let ends = prognosis.hours.windows(2).all(|pair| pair[0].is_some() || pair[1].is_none());
    ends && known.is_sorted() && known.iter().all(|hours| *hours >= 0.0) && (0.0..=1.0).contains(&prognosis.health)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// The current rises exponentially, as for a part that wears faster the more it is worn.
const WEARS: fn(i64, usize, f64) -> Option<f64> = |second, index, healthy| {
    let worn = if index == 2 { 0.05 * ((second as f64 - 10_000.0) / 3000.0).exp() } else { 0.0 };
    Some(healthy + worn)
};

#[test]
fn a_degradation_leads_to_a_prognosis() {
    let found = detect(ENSEMBLE, &pump(1, 20_000, WEARS));
    let prognoses = &found.prognoses;
    for prognosis in prognoses.iter().step_by(5) {
        println!("{} {:.3} {:?}", (prognosis.time - T0) / S, prognosis.health, prognosis.hours);
    }
    assert!(prognoses.len() >= 9, "{}", prognoses.len());
    assert!(prognoses.iter().all(|prognosis| prognosis.model == "degradation" && prognosis.asset == "p/pump"));
    assert!(prognoses.iter().all(is_in_order));
    let third = prognoses.len() / 3;
    let (first, last) = (&prognoses[..third], &prognoses[prognoses.len() - third..]);
    let health = |part: &[Prognosis]| mean(part.iter().map(|prognosis| prognosis.health));
    let hours = |part: &[Prognosis]| mean(part.iter().filter_map(|prognosis| prognosis.hours[1]));
    assert!(health(last) < 0.7 * health(first), "{} {}", health(first), health(last));
    assert!(hours(last) < 0.5 * hours(first), "{} {}", hours(first), hours(last));
    // The time at which the index reaches the limit; the estimates of the last minutes before it are too long.
    let end = prognoses.iter().find(|prognosis| prognosis.health == 0.0).unwrap().time;
    for prognosis in prognoses.iter().filter(|prognosis| prognosis.time <= end - 600 * S) {
        let left = (end - prognosis.time) as f64 / (3600 * S) as f64;
        let [p10, _, p90] = prognosis.hours;
        assert!(p10.is_some_and(|p10| p10 <= left) && p90.is_none_or(|p90| left <= p90), "{left:.2} h: {prognosis:?}");
    }
    // A healthy asset gets no prognosis.
    let well = detect(ENSEMBLE, &pump(2, 26_000, |_, _, healthy| Some(healthy)));
    assert!(well.prognoses.is_empty(), "{:?}", well.prognoses);
}

#[test]
fn restarts_do_not_matter() {
    let out = windows(&pump(1, 20_000, WEARS));
    let mut whole = Stage::open(ENSEMBLE).unwrap();
    let all = push_windows(&mut whole, &out, 0, out.windows.len());
    let (mut parts, mut got) = (Stage::open(ENSEMBLE).unwrap(), Detected::default());
    for from in (0..out.windows.len()).step_by(61) {
        join(&mut got, push_windows(&mut parts, &out, from, (from + 61).min(out.windows.len())));
        parts = Stage::restore(ENSEMBLE, &parts.snapshot()).unwrap();
    }
    assert!(!all.prognoses.is_empty());
    assert_eq!(got, all);
}

/// A run of `life` windows of two sensors; towards the end the first rises and the second falls.
fn run(seed: u64, life: usize) -> Vec<Vec<f64>> {
    let mut source = source(seed);
    (0..life)
        .map(|at| {
            let worn = (-((life - at) as f64) / 25.0).exp();
            vec![20.0 + 10.0 * worn + 0.3 * normal(&mut source), 5.0 - 2.0 * worn + 0.1 * normal(&mut source)]
        })
        .collect()
}

fn run_to_failure_config(runs: &[Vec<Vec<f64>>], horizon: f64) -> String {
    format!(r#"{{"run_to_failure":{{"sensors":["heat","flow"],"horizon_windows":{horizon},"runs":{runs:?}}}}}"#)
}

fn runs(count: usize) -> Vec<Vec<Vec<f64>>> {
    (0..count).map(|at| run(100 + at as u64, 120 + 17 * (at * 7 % 12))).collect()
}

/// Pushes a run as windows of ten minutes with the means as the only features.
fn follow(stage: &mut Stage, run: &[Vec<f64>]) -> Detected {
    let features = vec!["mean".to_owned()];
    let mut all = Detected::default();
    for (at, row) in (0..).zip(run) {
        let start = T0 + at * 600 * S;
        let block = FeatureBlock {
            features: &features,
            sensor: &[0, 1],
            start: &[start; 2],
            end: &[start + 600 * S; 2],
            count: &[60; 2],
            values: row,
        };
        join(&mut all, stage.push(&[("p/oven/heat", "p/oven"), ("p/oven/flow", "p/oven")], &[block]).unwrap());
    }
    join(&mut all, stage.flush());
    all
}

#[test]
fn a_library_of_runs_predicts_the_remaining_life() {
    let mut stage = Stage::open(&run_to_failure_config(&runs(14), 100.0)).unwrap();
    let life = 190;
    let prognoses = follow(&mut stage, &run(7, life)).prognoses;
    assert_eq!(prognoses.len(), life);
    assert!(prognoses.iter().all(|prognosis| prognosis.model == "library" && is_in_order(prognosis)));
    for prognosis in prognoses.iter().step_by(20) {
        println!("{} {:.3} {:?}", (prognosis.time - T0) / S, prognosis.health, prognosis.hours);
    }
    // A window is ten minutes; the run ends with its last one.
    let errors = prognoses.iter().enumerate().skip(life - 60).map(|(at, prognosis)| {
        let left = (life - 1 - at) as f64 / 6.0;
        (prognosis.hours[1].unwrap() - left).abs()
    });
    let error = mean(errors);
    assert!(error < 3.0, "{error:.1} h off on average, of 10 h");
    let health = |at: usize| prognoses[at].health;
    assert!(health(40) > 0.7 && health(life - 1) < 0.2, "{} {}", health(40), health(life - 1));
}

#[test]
fn a_library_of_other_sensors_is_not_used() {
    let config = run_to_failure_config(&runs(12), 100.0).replace("flow", "speed");
    let prognoses = follow(&mut Stage::open(&config).unwrap(), &run(7, 190)).prognoses;
    assert!(prognoses.iter().all(|prognosis| prognosis.model == "degradation"), "{prognoses:?}");
}

#[test]
fn invalid_runs_are_rejected() {
    let mut ragged = runs(12);
    ragged[3][10].pop();
    let mut wide = runs(12);
    for row in &mut wide[5] {
        row.push(1.0);
    }
    let flat: Vec<Vec<Vec<f64>>> = runs(12).iter().map(|run| vec![vec![1.0, 2.0]; run.len()]).collect();
    let short: Vec<Vec<Vec<f64>>> = runs(12).iter().map(|run| run[..3].to_vec()).collect();
    for (config, expected) in [
        (run_to_failure_config(&runs(9), 100.0), "9 runs to failure; expected at least 10"),
        (run_to_failure_config(&runs(12), 0.0), "the horizon is 0 windows; expected more than 0"),
        (run_to_failure_config(&ragged, 100.0), "run 4 must have rows of 2 numbers"),
        (run_to_failure_config(&wide, 100.0), "run 6 must have rows of 2 numbers"),
        (run_to_failure_config(&flat, 100.0), "no sensor rises or falls"),
        (run_to_failure_config(&short, 100.0), "`run_to_failure`: "),
        (run_to_failure_config(&[], 100.0), "0 runs to failure"),
        (run_to_failure_config(&runs(12), 100.0).replace("horizon_windows", "horizon"), "unknown field `horizon`"),
        (
            r#"{"run_to_failure":{"sensors":["heat"],"horizon_windows":1e9,"runs":[[[]]]}}"#.to_owned(),
            "run 1 must have rows of 1",
        ),
        (r#"{"life_limit":1}"#.to_owned(), "`life_limit` is 1; expected a health index above 1"),
    ] {
        let message = Stage::open(&config).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}
