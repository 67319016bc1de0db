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
    assert!(figure(cwru, "races (inner and outer)", "misnamed") <= 2.0);

    let tep = of("tep");
    assert!(figure(tep, "without 3, 9, 15", "fdr") >= 90.0 && figure(tep, "d00_te", "far") <= 2.0);

    // Only the bearing that fails counts.
    let ims = of("ims");
    assert!(figure(ims, "test2", "lead") >= 70.0 && figure(ims, "test2", "false_before") == 0.0);
    // The default settings are printed first, whatever they reach.
    for name in ["skab", "nab", "cwru", "tep", "ims"] {
        assert!(of(name)["default_settings"].as_array().is_some_and(|rows| !rows.is_empty()), "{name}");
    }

    let row = "FD001, held-back training units";
    assert!(figure(of("cmapss"), row, "rmse") <= 16.0);
    assert!((75.0..=85.0).contains(&figure(of("cmapss"), row, "within")));
}

/// The figures of README with one seed, so the bounds are wider.
#[test]
fn scenarios_reach_their_figures_with_default_settings() {
    let report = &evaluate(&["--scenarios", "--seeds", "1"])[0];
    let rows = report["scenarios"].as_array().unwrap();
    let sum = |rows: &[&Value], key: &str| rows.iter().map(|row| row[key].as_f64().unwrap()).sum::<f64>();
    let healthy: Vec<&Value> = rows.iter().filter(|row| row["faults"].as_array().unwrap().is_empty()).collect();
    assert!(healthy.len() >= 20 && sum(&healthy, "false_critical") == 0.0, "{report}");
    let months = sum(&healthy, "healthy_days") / 30.0;
    assert!(sum(&healthy, "false_episodes") / months <= 0.2, "{report}");
    let faults = rows.iter().flat_map(|row| row["faults"].as_array().unwrap());
    let faults: Vec<&Value> = faults.filter(|fault| fault["is_data_fault"] == false).collect();
    let percent = |is: &dyn Fn(&Value) -> bool| 100 * faults.iter().filter(|fault| is(fault)).count() / faults.len();
    assert!(faults.len() >= 20 && percent(&|fault| fault["hours"].is_number()) >= 95, "{report}");
    assert!(percent(&|fault| fault["kept_open"] == true) >= 90, "{report}");
    assert!(percent(&|fault| fault["misnamed"] == true) <= 5, "{report}");
}

#[test]
fn scenarios_are_scored_by_seed_and_a_fleet_by_machine() {
    let report = &evaluate(&["--scenarios", "--seeds", "2", "--only", "hourly-sensors,wear-hourly-sensors"])[0];
    let rows = report["scenarios"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{report}");
    assert!(rows.iter().all(|row| row["runs"] == 2 && row["by_seed"].as_array().unwrap().len() == 2));
    assert_eq!(rows[0]["healthy_days"], 60.0);
    assert_eq!(rows[1]["faults"].as_array().unwrap().len(), 2);
    let fleet = &evaluate(&["--fleet", "8", "--days", "20"])[0];
    let runs: u64 = fleet["scenarios"].as_array().unwrap().iter().map(|row| row["runs"].as_u64().unwrap()).sum();
    assert_eq!(runs, 8);
}

#[test]
fn plants_without_recordings_are_named_as_skipped() {
    let test_host = TestHost::new("").unwrap();
    let row = |row: u32| format!("{},{}\n", row % 10, row % 7);
    let text = "a,b\n".to_owned() + &(0..1200).map(row).collect::<String>();
    let folder = test_host.path().join("data/gas-turbine");
    fs::create_dir_all(&folder).unwrap();
    // The recordings are compressed: this one has another name.
    fs::write(folder.join("gt.csv"), &text).unwrap();
    let error = test_host.output(&["evaluate", "--data", "data", "--plants", "--only", "gas-turbine"]).unwrap_err();
    assert!(error.to_string().contains("gas_turbine_first_half.csv.gz"), "{error}");
    let error = test_host.output(&["evaluate", "--data", "data", "--plants", "--only", "wells-3w"]).unwrap_err();
    assert!(error.to_string().contains("expected folders such as"), "{error}");
    let error = test_host.output(&["evaluate", "--data", "data", "--plants", "--only", "mnist"]).unwrap_err();
    assert!(error.to_string().contains("wind-haute-borne"), "{error}");
}

#[test]
fn missing_data_and_unknown_benchmarks_are_reported() {
    let test_host = TestHost::new("").unwrap();
    let error = test_host.output(&["evaluate", "--data", "nowhere"]).unwrap_err().to_string();
    assert!(error.contains("skab"), "{error}");
    let error = test_host.output(&["evaluate", "--data", ".", "mnist"]).unwrap_err().to_string();
    assert!(error.contains("cmapss"), "{error}");
}
