//! Accuracy of the built components by the protocol of each benchmark: checks the figures in README and the docs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use serde_json::Value;
use wheeltapper_tests::{TestHost, data_folder};

/// Returns a figure of a report, given the name of its row and its key.
fn figure(report: &Value, row: &str, key: &str) -> f64 {
    let rows = report["ours"].as_array().unwrap();
    let found = rows.iter().find(|each| each["name"] == row);
    found.and_then(|each| each[key].as_f64()).ok_or_else(|| format!("no {key} of {row} in {report}")).unwrap()
}

fn evaluate(arguments: &[&str]) -> Vec<Value> {
    let test_host = TestHost::new("").unwrap();
    let report = test_host.output(&[&["evaluate", "--json", "figures.json"], arguments].concat()).unwrap();
    println!("{report}");
    serde_json::from_slice(&fs::read(test_host.path().join("figures.json")).unwrap()).unwrap()
}

#[test]
fn public_benchmarks_reach_their_minimum_figures() {
    let Some(data) = data_folder() else {
        eprintln!("skipped: no recordings; set WHEELTAPPER_TEST_DATA to their folder");
        return;
    };
    let reports = evaluate(&["--data", data.to_str().unwrap()]);
    let of = |name: &str| reports.iter().find(|report| report["benchmark"] == name).unwrap();

    let skab = of("skab");
    assert!(figure(skab, "plain", "f1") >= 0.86 && figure(skab, "plain", "far") <= 10.0);
    assert!(figure(skab, "shifted", "f1") >= figure(skab, "plain", "f1") - 0.03);
    assert!(figure(skab, "anomaly-free", "far") <= 3.0);

    assert!(figure(of("nab"), "all files", "standard") >= 75.0);

    let cwru = of("cwru");
    assert!(figure(cwru, "races (inner and outer)", "found") == 100.0 && figure(cwru, "healthy", "far") == 0.0);
    assert!(figure(cwru, "races (inner and outer)", "named") >= 95.0);

    let tep = of("tep");
    assert!(figure(tep, "without 3, 9, 15", "fdr") >= 90.0 && figure(tep, "d00_te", "far") <= 2.0);

    let ims = of("ims");
    assert!(figure(ims, "test2", "lead") >= 75.0 && figure(ims, "test2", "false_before") == 0.0);

    let row = "FD001, held-back training units";
    assert!(figure(of("cmapss"), row, "rmse") <= 16.0);
    assert!((75.0..=85.0).contains(&figure(of("cmapss"), row, "within")));
}

#[test]
fn a_simulated_fleet_reaches_its_minimum_figures() {
    let reports = evaluate(&["--fleet", "24", "--days", "30"]);
    let fleet = &reports[0];
    assert!(fleet["found"].as_f64().unwrap() >= 0.95, "{fleet}");
    assert!(fleet["false_a_machine_month"].as_f64().unwrap() <= 1.0, "{fleet}");
}

#[test]
fn missing_data_and_unknown_benchmarks_are_reported() {
    let test_host = TestHost::new("").unwrap();
    let error = test_host.output(&["evaluate", "--data", "nowhere"]).unwrap_err().to_string();
    assert!(error.contains("skab"), "{error}");
    let error = test_host.output(&["evaluate", "--data", ".", "mnist"]).unwrap_err().to_string();
    assert!(error.contains("cmapss"), "{error}");
}
