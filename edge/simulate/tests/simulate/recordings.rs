//! Readers of recordings, tested with small generated files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use wheeltapper_simulate::{
    Chunk, CsvOptions, CsvRecording, NpyOptions, NpyRecording, RecordingError, WAVEFORM_CONTENT_TYPE, encode_waveform,
};

fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn csv_options() -> CsvOptions {
    CsvOptions {
        asset: "rig/0".into(),
        sensor: "{asset}/{column}".into(),
        rows_per_chunk: 1000,
        ..CsvOptions::default()
    }
}

fn csv_chunks(text: &[u8], options: CsvOptions) -> Result<Vec<Chunk>, RecordingError> {
    let (_folder, path) = file("a.csv", text);
    CsvRecording::open(&path, options)?.collect()
}

fn csv_lines(text: &str, options: CsvOptions) -> Vec<String> {
    let chunks = csv_chunks(text.as_bytes(), options).unwrap();
    chunks.iter().flat_map(|chunk| std::str::from_utf8(&chunk.body).unwrap().lines().map(str::to_owned)).collect()
}

#[test]
fn a_recording_with_semicolons_becomes_one_line_per_cell() {
    let text = "datetime;Accelerometer1RMS;Volume Flow RateRMS;anomaly\n\
                2020-03-09 10:14:33;0.0265878;32.0;0.0\n\
                2020-03-09 10:14:34;0.0261697;32.10;0.0\n";
    let options = CsvOptions { ignore: vec!["Anomaly".into()], ..csv_options() };
    let chunks = csv_chunks(text.as_bytes(), options).unwrap();
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].content_type, "application/x-ndjson");
    assert_eq!(chunks[0].readings, 4);
    assert_eq!(chunks[0].last_time_ns, 1_583_748_874_000_000_000);
    let body = std::str::from_utf8(&chunks[0].body).unwrap();
    assert_eq!(
        body,
        concat!(
            r#"{"sensor_id":"rig/0/accelerometer1rms","timestamp":1583748873000000000,"values":0.0265878}"#,
            "\n",
            r#"{"sensor_id":"rig/0/volume-flow-raterms","timestamp":1583748873000000000,"values":32.0}"#,
            "\n",
            r#"{"sensor_id":"rig/0/accelerometer1rms","timestamp":1583748874000000000,"values":0.0261697}"#,
            "\n",
            // Unchanged from the file.
            r#"{"sensor_id":"rig/0/volume-flow-raterms","timestamp":1583748874000000000,"values":32.10}"#,
            "\n"
        )
    );
}

#[test]
fn chunks_have_the_configured_number_of_rows_and_lose_none() {
    let rows: String = (0..25).map(|second| format!("2020-01-01 00:00:{second:02},1,2\n")).collect();
    let options = CsvOptions { rows_per_chunk: 10, ..csv_options() };
    let chunks = csv_chunks(format!("\u{feff}Time,a,b\r\n{rows}").as_bytes(), options).unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.readings).collect::<Vec<_>>(), [20, 20, 10]);
    let seconds = chunks.iter().map(|chunk| chunk.last_time_ns / 1_000_000_000 - 1_577_836_800).collect::<Vec<_>>();
    assert_eq!(seconds, [9, 19, 24]);
}

#[test]
fn cells_that_are_not_numbers_are_passed_on_and_empty_ones_are_not() {
    let text = "time\ta\tb\n1583748873\t\tNaN\n1583748874\t1,5\tsay \"x\"\n1583748875\t+.5\tinf\nyesterday\t7\t\n";
    let lines = csv_lines(text, csv_options());
    let values: Vec<&str> = lines.iter().map(|line| line.rsplit_once("\"values\":").unwrap().1).collect();
    assert_eq!(values, ["NaN}", r#""1,5"}"#, r#""say \"x\""}"#, r#""+.5"}"#, r#""inf"}"#, "7}"]);
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(last["timestamp"], "yesterday");
}

#[test]
fn rows_of_different_lengths_lose_no_cells() {
    let lines = csv_lines("time,a,b\n1583748873,1\n1583748874,1,2,3,\n", csv_options());
    assert_eq!(lines.len(), 4);
    let beyond: Value = serde_json::from_str(&lines[3]).unwrap();
    assert!(beyond["values"].as_str().unwrap().ends_with(": 3"), "{beyond}");
    // Unless only some columns are requested.
    let options = CsvOptions { columns: vec!["b".into()], ..csv_options() };
    assert_eq!(csv_lines("time,a,b\n1583748873,1\n1583748874,1,2,3,\n", options).len(), 1);
}

#[test]
fn columns_with_similar_names_are_separate_sensors() {
    let lines = csv_lines("time,T °C,t_(c),,é\n1583748873,1,2,3,4\n", csv_options());
    let sensors: Vec<String> =
        lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["sensor_id"].to_string()).collect();
    assert_eq!(sensors, ["\"rig/0/t-c\"", "\"rig/0/t-c-2\"", "\"rig/0/column-4\"", "\"rig/0/é\""]);
}

#[test]
fn rows_without_values_make_no_chunk_and_do_not_end_the_recording() {
    let text = format!("time,a\n{}1583748873,1\n", "1583748000,\n".repeat(30));
    let chunks = csv_chunks(text.as_bytes(), CsvOptions { rows_per_chunk: 10, ..csv_options() }).unwrap();
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].readings, 1);
}

#[test]
fn missing_columns_are_reported_with_a_hint() {
    let error = |text: &str, options: CsvOptions| csv_chunks(text.as_bytes(), options).unwrap_err().to_string();
    assert!(error("", csv_options()).contains("got an empty file"));
    let no_time = error("a,b\n1,2\n", csv_options());
    assert!(no_time.contains("a.csv, line 1") && no_time.contains("\"a, b\"") && no_time.contains("--time-column"));
    let options = CsvOptions { columns: vec!["c".into()], ..csv_options() };
    assert!(error("time,b\n1,2\n", options).contains("no column \"c\""));
    let options = CsvOptions { ignore: vec!["b".into()], ..csv_options() };
    assert!(error("time,b\n1,2\n", options).contains("--ignore"));
    let options = CsvOptions { time_column: Some("B".into()), ..csv_options() };
    assert!(csv_chunks(b"a,b\n1,2\n", options).is_ok());
    let missing = CsvRecording::open("/nowhere/a.csv".as_ref(), csv_options()).unwrap_err();
    assert!(matches!(missing, RecordingError::Io { .. }));
}

/// The bytes of a `.npy` file. Formats 2 and 3 have a longer length field than format 1.
fn npy(version: u8, descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend_from_slice(&[version, 0]);
    match version {
        1 => bytes.extend_from_slice(&(header.len() as u16).to_le_bytes()),
        _ => bytes.extend_from_slice(&(header.len() as u32).to_le_bytes()),
    }
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn npy_options(rate: f64, waveform_seconds: f64) -> NpyOptions {
    NpyOptions { sensor: "rig/v".into(), rate, start_ns: 1_000, waveform_seconds }
}

fn npy_chunks(bytes: &[u8], options: NpyOptions) -> Result<Vec<Chunk>, RecordingError> {
    let (_folder, path) = file("a.npy", bytes);
    NpyRecording::open(&path, options)?.collect()
}

#[test]
fn an_array_becomes_waveforms_and_the_last_is_shorter() {
    let samples: Vec<f32> = (0..50).map(|at| at as f32 / 3.0).collect();
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    for version in 1..=3 {
        let chunks = npy_chunks(&npy(version, "<f4", "(50,)", &data), npy_options(100.0, 0.2)).unwrap();
        assert_eq!(chunks.iter().map(|chunk| chunk.readings).collect::<Vec<_>>(), [20, 20, 10]);
        assert!(chunks.iter().all(|chunk| chunk.content_type == WAVEFORM_CONTENT_TYPE));
        assert_eq!(chunks[1].body, encode_waveform("rig/v", 1_000 + 200_000_000, 100.0, &samples[20..40]));
        assert_eq!(chunks[2].last_time_ns, 1_000 + 490_000_000);
    }
}

#[test]
fn every_element_type_and_byte_order_is_read() {
    let values = [-3.0_f64, 0.0, 1.0, 100.0];
    let same = |descr: &str, data: Vec<u8>| {
        let chunks = npy_chunks(&npy(1, descr, "(4, 1)", &data), npy_options(10.0, 1.0)).unwrap();
        assert_eq!(chunks.len(), 1, "{descr}");
        assert_eq!(chunks[0].body, encode_waveform("rig/v", 1_000, 10.0, &values.map(|value| value as f32)), "{descr}");
    };
    same("<f8", values.iter().flat_map(|value| value.to_le_bytes()).collect());
    same(">f8", values.iter().flat_map(|value| value.to_be_bytes()).collect());
    same(">f4", values.iter().flat_map(|value| (*value as f32).to_be_bytes()).collect());
    same("<i2", values.iter().flat_map(|value| (*value as i16).to_le_bytes()).collect());
    same(">i2", values.iter().flat_map(|value| (*value as i16).to_be_bytes()).collect());
    same("<i4", values.iter().flat_map(|value| (*value as i32).to_le_bytes()).collect());
}

#[test]
fn waveforms_with_a_fractional_sample_interval_do_not_drift() {
    // 10⁹ / 44,100 is not an integer; after many waveforms the time is still correct to the nanosecond.
    let data = vec![0; 2 * 100_000];
    let chunks = npy_chunks(&npy(1, "<i2", "(100000,)", &data), npy_options(44_100.0, 0.001)).unwrap();
    for (at, chunk) in chunks.iter().enumerate() {
        let last = (44 * (at as u128 + 1)).min(100_000) - 1;
        let exact = (last * 1_000_000_000 + 22_050) / 44_100;
        assert_eq!(chunk.last_time_ns, 1_000 + i64::try_from(exact).unwrap());
    }
    for (rate, second) in [(0.1, 10_000_000_000), (12_000.5, 83_330), (1e-3, 1_000_000_000_000)] {
        let chunks = npy_chunks(&npy(1, "<i2", "(2,)", &[0; 4]), npy_options(rate, 1.0)).unwrap();
        assert_eq!(chunks[0].last_time_ns, 1_000 + second, "{rate}");
    }
}

#[test]
fn unsupported_arrays_are_reported_with_a_hint() {
    let error = |bytes: &[u8], rate| npy_chunks(bytes, npy_options(rate, 1.0)).unwrap_err().to_string();
    let two = error(&npy(1, "<f4", "(2, 3)", &[0; 24]), 1.0);
    assert!(two.contains("one dimension") && two.contains("(2, 3)") && two.contains("array[:, 0]"), "{two}");
    assert!(error(&npy(1, "<c8", "(1,)", &[0; 8]), 1.0).contains("astype('f4')"));
    assert!(error(&npy(1, "<f4", "(3,)", &[0; 11]), 1.0).contains("11 bytes for 3 samples of 4 bytes"));
    assert!(error(&npy(1, "<f8", "(18446744073709551615,)", &[0; 8]), 1.0).contains("as many samples"));
    assert!(error(&npy(9, "<f4", "(1,)", &[0; 4]), 1.0).contains("format [9, 0]"));
    assert!(error(b"\x93NUMPY", 1.0).contains("ends within its header"));
    assert!(error(b"datetime;a;b\n", 1.0).contains("expected a .npy file"));
    assert!(error(&npy(1, "<f4", "(1,)", &[0; 4]), 0.0).contains("--rate"));
    assert!(error(&npy(1, "<f4", "(2,)", &[0; 8]), 1e-10).contains("2262"));
    assert!(npy_chunks(&npy(1, "<f4", "(0,)", &[]), npy_options(1.0, 1.0)).unwrap().is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_csv_without_panic_and_readings_are_lines(
        bytes in prop::collection::vec(any::<u8>(), 0..300), cells in "[0-9a-zN;,\t\n\r\" .:eE+-]{0,300}",
    ) {
        for text in [bytes.clone(), [b"time;a;b\n".as_slice(), &bytes].concat(), [b"a,time\n", cells.as_bytes()].concat()] {
            let (_folder, path) = file("a.csv", &text);
            if let Ok(recording) = CsvRecording::open(&path, CsvOptions { rows_per_chunk: 3, ..csv_options() }) {
                for chunk in recording.flatten() {
                    let body = std::str::from_utf8(&chunk.body).unwrap();
                    prop_assert_eq!(body.lines().count() as u64, chunk.readings);
                    for line in body.lines() {
                        let json = line.replace("\"values\":NaN}", "\"values\":null}");
                        prop_assert!(json.contains("e") || serde_json::from_str::<Value>(&json).is_ok(), "{}", line);
                    }
                }
            }
        }
    }

    #[test]
    fn finite_numbers_are_unchanged(values in prop::collection::vec(-1e300..1e300, 1..40)) {
        let rows: String = values.iter().map(|value| format!("1583748873;{value:?}\n")).collect();
        let lines = csv_lines(&format!("time;a\n{rows}"), csv_options());
        let back: Vec<f64> =
            lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["values"].as_f64().unwrap()).collect();
        prop_assert_eq!(back, values);
    }

    #[test]
    fn any_bytes_are_read_as_npy_without_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0_u8..5, header in "\\PC{0,60}", rate: f64,
    ) {
        let framed = npy(version, &header, "(3,)", &bytes);
        let shaped = npy(version, "<f4", &header, &bytes);
        for text in [&bytes, &framed, &shaped] {
            let (_folder, path) = file("a.npy", text);
            if let Ok(recording) = NpyRecording::open(&path, npy_options(rate, 1.0)) {
                prop_assert!(recording.count() < 1000);
            }
        }
    }
}
