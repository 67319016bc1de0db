//! The protocols on small generated folders; no benchmark data is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use crate::common::{FixedAlarms, ZScorePipeline};
use wheeltapper_evaluate::{
    Benchmark, Error, Pipeline, Recording, RemainingLife, WaveformRecording, WindowVerdict, cmapss, evaluate,
};

/// Estimates the remaining life from the mean length of the histories.
struct MeanLife;

impl Pipeline for MeanLife {
    fn score_rows(&mut self, _: Benchmark, _: usize, _: &Recording) -> Result<Vec<WindowVerdict>, Error> {
        Ok(Vec::new())
    }

    fn score_waveforms(
        &mut self,
        _: Benchmark,
        _: &[(WaveformRecording, bool)],
        _: f64,
    ) -> Result<Vec<Vec<WindowVerdict>>, Error> {
        Ok(Vec::new())
    }

    fn estimate_remaining_life(
        &mut self,
        histories: &[Recording],
        running: &[Recording],
    ) -> Result<Vec<RemainingLife>, Error> {
        let whole = histories.iter().map(|unit| unit.rows.len() as f64).sum::<f64>() / histories.len() as f64;
        // No held-back unit may be in the training data.
        for unit in running {
            let name = unit.asset.split("-cut").next().unwrap();
            assert!(unit.asset == name || histories.iter().all(|history| history.asset != name));
        }
        let life = |unit: &Recording| {
            let left = whole - unit.rows.len() as f64;
            RemainingLife { end: unit.times[unit.times.len() - 1], q10: left - 1.0, q50: left, q90: left + 1.0 }
        };
        Ok(running.iter().map(life).collect())
    }
}

fn write_units(path: &Path, lengths: &[usize]) {
    let mut text = String::new();
    for (unit, length) in lengths.iter().enumerate() {
        for cycle in 1..=*length {
            text.push_str(&format!("{} {cycle}{}  \n", unit + 1, " 0.5".repeat(24)));
        }
    }
    fs::write(path, text).unwrap();
}

#[test]
fn cmapss_with_and_without_the_true_lives() {
    let folder = tempfile::tempdir().unwrap();
    write_units(&folder.path().join("train_FD003.txt"), &[200; 10]);
    let report = evaluate(Benchmark::Cmapss, &mut MeanLife, folder.path()).unwrap();
    let row = "FD003, held-back training units";
    // All units have the same life, so the mean is exact.
    for (key, expected) in [("units", 30.0), ("rmse", 0.0), ("phm08", 0.0), ("within_uncapped", 100.0)] {
        assert_eq!(report.ours(row, key), Some(expected), "{key}");
    }
    assert!(report.ours(row, "width").unwrap() <= 2.0);
    assert_eq!(report.files.len(), cmapss::FOLDS);

    write_units(&folder.path().join("test_FD003.txt"), &[190, 50]);
    fs::write(folder.path().join("RUL_FD003.txt"), "13\n160\n").unwrap();
    let report = evaluate(Benchmark::Cmapss, &mut MeanLife, folder.path()).unwrap();
    let row = "FD003, test units at their last cycle";
    // 10 for 13; 150 for 160, both capped at 125.
    let figure = |key| report.ours(row, key).unwrap();
    assert!((figure("rmse") - (9.0_f64 / 2.0).sqrt()).abs() < 1e-12);
    assert!((figure("rmse_uncapped") - (109.0_f64 / 2.0).sqrt()).abs() < 1e-12);
    assert!((figure("phm08") - (3.0_f64 / 13.0).exp_m1()).abs() < 1e-12);
    assert_eq!((figure("within"), figure("within_uncapped")), (50.0, 0.0));
    assert!((figure("width") - 1.0).abs() < 1e-12);
}

#[test]
fn cmapss_with_a_missing_cycle_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train_FD001.txt");
    write_units(&path, &[40; 5]);
    let text = fs::read_to_string(&path).unwrap().replacen("3 7 ", "3 8 ", 1);
    fs::write(&path, text).unwrap();
    let message = evaluate(Benchmark::Cmapss, &mut MeanLife, folder.path()).unwrap_err().to_string();
    assert!(message.contains("expected cycle 7 of unit 3") && message.contains("found 8"), "{message}");
}

/// 52 columns of deterministic noise; the fault raises the third column.
fn process_rows(rows: usize, onset: usize) -> Vec<Vec<f64>> {
    let value = |row: usize, column: usize| {
        let noise = ((row * 7919 + column * 104_729) % 1000) as f64 / 1000.0;
        if row >= onset && column == 2 { noise + 100.0 } else { noise }
    };
    (0..rows).map(|row| (0..52).map(|column| value(row, column)).collect()).collect()
}

fn format_table(rows: &[Vec<f64>]) -> String {
    let line = |row: &Vec<f64>| row.iter().map(|value| format!("  {value:e}")).collect::<String>() + "\n";
    rows.iter().map(line).collect()
}

#[test]
fn tep_with_an_even_fault_and_transposed_training_data() {
    let folder = tempfile::tempdir().unwrap();
    let training = process_rows(500, usize::MAX);
    let on_its_side: Vec<Vec<f64>> = (0..52).map(|column| training.iter().map(|row| row[column]).collect()).collect();
    fs::write(folder.path().join("d00.dat"), format_table(&on_its_side)).unwrap();
    fs::write(folder.path().join("d00_te.dat"), format_table(&process_rows(960, usize::MAX))).unwrap();
    fs::write(folder.path().join("d02_te.dat"), format_table(&process_rows(960, 160))).unwrap();
    fs::write(folder.path().join("d03_te.dat"), format_table(&process_rows(960, usize::MAX))).unwrap();
    let report = evaluate(Benchmark::Tep, &mut ZScorePipeline { margin: 1.5 }, folder.path()).unwrap();
    assert_eq!(report.file("fault 2", "fdr"), Some(100.0));
    assert_eq!(report.file("fault 2", "far"), Some(0.0));
    assert_eq!(report.ours("without 3, 9, 15", "fdr"), Some(100.0));
    assert_eq!(report.ours("without 3, 9, 15", "faults"), Some(1.0));
    assert_eq!(report.ours("faults 3, 9, 15", "fdr"), Some(0.0));
    assert_eq!(report.ours("all healthy rows", "far"), Some(0.0));
}

/// Writes an array of float32 in NumPy's format.
fn write_samples(path: &Path, samples: &[f32]) {
    let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}\n", samples.len());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&u16::try_from(head.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(head.as_bytes());
    samples.iter().for_each(|sample| bytes.extend_from_slice(&sample.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

#[test]
fn cwru_at_another_speed_than_the_healthy_one() {
    let folder = tempfile::tempdir().unwrap();
    let wave = |rows: usize, level: f32| -> Vec<f32> {
        (0..rows).map(|at| level * (at as f32 * 0.01).sin() * (1.0 + 0.01 * ((at / 12_000) % 3) as f32)).collect()
    };
    write_samples(&folder.path().join("1797_Normal.npy"), &wave(96_000, 1.0));
    write_samples(&folder.path().join("1730_OR_at_12_21_DE12.npy"), &wave(24_000, 5.0));
    write_samples(&folder.path().join("1730_B_28_DE48.npy"), &wave(48_000, 5.0));
    write_samples(&folder.path().join("1730_IR_7_FE12.npy"), &wave(48_000, 5.0));
    let report = evaluate(Benchmark::Cwru, &mut ZScorePipeline { margin: 1.0 }, folder.path()).unwrap();
    assert_eq!(report.ours("races (inner and outer)", "windows"), Some(8.0));
    assert_eq!(report.ours("balls", "found"), Some(100.0));
    assert_eq!(report.ours("balls", "named"), Some(100.0));
    assert_eq!(report.ours("races (inner and outer)", "named"), Some(0.0));
    assert!(report.notes.iter().any(|note| note.contains("no healthy recording at 1730 rpm")));
    assert!(report.notes.iter().any(|note| note.contains("1730_IR_7_FE12.npy")));
}

#[test]
fn skab_of_another_valve() {
    let folder = tempfile::tempdir().unwrap();
    let file = |group: &str, labelled: bool, rows: usize| {
        let group = folder.path().join(group);
        fs::create_dir_all(&group).unwrap();
        let mut text = "datetime;Current;Pressure".to_owned() + if labelled { ";anomaly;changepoint\n" } else { "\n" };
        for row in 0..rows {
            let fault = labelled && (600..900).contains(&row);
            let value = f64::from(u8::from(fault)) * 50.0 + (row % 7) as f64;
            let pressure = if row % 50 == 3 { String::new() } else { format!("{}", row % 3) };
            text.push_str(&format!("2020-03-09 10:{:02}:{:02};{value};{pressure}", row / 60 % 60, row % 60));
            if labelled {
                text.push_str(&format!(";{};{}", u8::from(fault), u8::from(row == 600 || row == 900)));
            }
            text.push('\n');
        }
        fs::write(group.join("0.csv"), text).unwrap();
    };
    file("valve2", true, 1000);
    file("anomaly-free", false, 1000);
    file("short", true, 450);
    file("tiny", true, 400);
    let report = evaluate(Benchmark::Skab, &mut ZScorePipeline { margin: 1.01 }, folder.path()).unwrap();
    for row in ["plain", "shifted"] {
        assert_eq!((report.ours(row, "f1"), report.ours(row, "far")), (Some(1.0), Some(0.0)), "{row}");
    }
    assert_eq!(report.ours("plain", "auc_pr"), Some(1.0));
    assert_eq!(report.ours("anomaly-free", "far"), Some(0.0));
    // Short files are only in the plain protocol; this file ends before its fault.
    assert!(report.notes.iter().any(|note| note.starts_with("short/0.csv has fewer than")));
    assert!(report.notes.iter().any(|note| note.starts_with("tiny/0.csv has no rows after")));
    assert_eq!(report.file("short/0.csv", "far"), Some(0.0));
    // The fault starts at 600 and ends at 900.
    assert_eq!((report.ours("plain", "cp"), report.ours("plain", "cp_all")), (Some(100.0), Some(2.0)));
}

#[test]
fn too_few_verdicts_are_reported() {
    struct Silent;
    impl Pipeline for Silent {
        fn score_rows(
            &mut self,
            profile: Benchmark,
            fit: usize,
            recording: &Recording,
        ) -> Result<Vec<WindowVerdict>, Error> {
            let mut verdicts = FixedAlarms { rows: 0..=1 }.score_rows(profile, fit, recording)?;
            verdicts.pop();
            Ok(verdicts)
        }

        fn score_waveforms(
            &mut self,
            _: Benchmark,
            _: &[(WaveformRecording, bool)],
            _: f64,
        ) -> Result<Vec<Vec<WindowVerdict>>, Error> {
            Ok(Vec::new())
        }

        fn estimate_remaining_life(&mut self, _: &[Recording], _: &[Recording]) -> Result<Vec<RemainingLife>, Error> {
            Ok(Vec::new())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("d00.dat"), format_table(&process_rows(500, usize::MAX))).unwrap();
    fs::write(folder.path().join("d01_te.dat"), format_table(&process_rows(960, 160))).unwrap();
    let message = evaluate(Benchmark::Tep, &mut Silent, folder.path()).unwrap_err().to_string();
    assert!(message.contains("expected 960 verdicts, got 959"), "{message}");
}
