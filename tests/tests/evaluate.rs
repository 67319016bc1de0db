//! How right it is, by each benchmark's own protocol, through the built components: what README and the docs claim.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use serde_json::Value;
use wheeltapper_tests::{Plant, data_folder};

/// The figure in the row (by its name) of a report.
fn figure(report: &Value, row: &str, key: &str) -> f64 {
    let rows = report["ours"].as_array().unwrap();
    let found = rows.iter().find(|each| each["name"] == row);
    found.and_then(|each| each[key].as_f64()).ok_or_else(|| format!("no {key} of {row} in {report}")).unwrap()
}

fn evaluate(arguments: &[&str]) -> Vec<Value> {
    let plant = Plant::new("").unwrap();
    let told = plant.output(&[&["evaluate", "--json", "figures.json"], arguments].concat()).unwrap();
    println!("{told}");
    serde_json::from_slice(&fs::read(plant.path().join("figures.json")).unwrap()).unwrap()
}

#[test]
fn public_benchmarks() {
    let Some(data) = data_folder() else {
        eprintln!("skipped: no recordings at hand; name their folder with WHEELTAPPER_TEST_DATA");
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

    let lives = "FD001, held-back training units";
    assert!(figure(of("cmapss"), lives, "rmse") <= 16.0);
    assert!((75.0..=85.0).contains(&figure(of("cmapss"), lives, "within")));
}

#[test]
fn a_simulated_fleet() {
    let reports = evaluate(&["--fleet", "24", "--days", "30"]);
    let fleet = &reports[0];
    assert!(fleet["found"].as_f64().unwrap() >= 0.95, "{fleet}");
    assert!(fleet["false_a_machine_month"].as_f64().unwrap() <= 1.0, "{fleet}");
}

#[test]
fn what_is_not_there_is_said() {
    let plant = Plant::new("").unwrap();
    let error = plant.output(&["evaluate", "--data", "nowhere"]).unwrap_err().to_string();
    assert!(error.contains("skab"), "{error}");
    let error = plant.output(&["evaluate", "--data", ".", "mnist"]).unwrap_err().to_string();
    assert!(error.contains("cmapss"), "{error}");
}
