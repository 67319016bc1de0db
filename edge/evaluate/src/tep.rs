//! The Tennessee Eastman process (Downs and Vogel 1993), with the recordings of the Braatz group (Chiang, Russell and
//! Braatz 2001).
//!
//! The pipeline is fitted on `d00` only. It scores `d00_te` and the recording of each fault; the fault starts at row
//! 160.

use std::path::Path;

use crate::{
    Benchmark, Column, Error, Pipeline, Recording, Report, Row,
    metrics::Confusion,
    pipeline::{checked_rows, scores_and_alarms},
    read,
};

/// Number of measured variables (1 to 41), and of all columns including the manipulated variables (1 to 11).
const MEASURED_VARIABLES: usize = 41;
const DATA_COLUMNS: usize = 52;
/// Row at which the fault starts.
const ONSET_ROW: usize = 160;
/// Time between rows in nanoseconds: 3 minutes.
const ROW_NANOSECONDS: i64 = 180_000_000_000;
/// Faults that are considered undetectable.
const UNDETECTABLE_FAULTS: [u32; 3] = [3, 9, 15];

const PROTOCOL: &str = "fit on d00 only; detection rate over the rows from 160 on of each fault, false-alarm rate over d00_te \
                        and the rows before; means exclude faults 3, 9 and 15, which are considered undetectable";

const COLUMNS: [Column; 3] = [
    Column { key: "fdr", title: "FDR %", meaning: "faulty rows with an alarm", digits: 1 },
    Column { key: "far", title: "FAR %", meaning: "healthy rows with an alarm", digits: 1 },
    Column { key: "faults", title: "faults", meaning: "number of faults in the mean", digits: 0 },
];

/// Evaluates a pipeline on a folder with `d00.dat` and `dNN_te.dat` of any faults, plain or compressed (`.gz`).
///
/// # Errors
/// [`Error`] if a file is missing or has another layout, or the pipeline fails.
pub fn evaluate(pipeline: &mut dyn Pipeline, folder: &Path) -> Result<Report, Error> {
    let mut report = Report::new(Benchmark::Tep, PROTOCOL, &COLUMNS);
    let training = read_table(&read::first_existing(folder, &["d00.dat", "d00.dat.gz"])?)?;
    let mut before = Confusion::default();
    let mut healthy = None;
    let mut detected = Vec::new();
    for path in read::files(folder, &["_te.dat", "_te.dat.gz"])? {
        let name = read::file_name(&path);
        let number =
            name.strip_prefix('d').and_then(|rest| rest.split_once('_')).and_then(|(fault, _)| fault.parse().ok());
        let Some(fault) = number else {
            report.notes.push(format!("{name} is skipped: it is not named like a fault recording (d01_te.dat)"));
            continue;
        };
        let test = read_table(&path)?;
        let scored_rows = test.len();
        let onset = if fault == 0 { scored_rows } else { ONSET_ROW };
        let labels: Vec<bool> = (0..scored_rows).map(|row| row >= onset).collect();
        let recording = joined_recording(&name, &training, test);
        let counts = Confusion::from_alarms(
            &scores_and_alarms(&checked_rows(pipeline, Benchmark::Tep, training.len(), &recording)?).1,
            &labels,
        );
        if fault == 0 {
            healthy = Some(counts);
            report.files.push(Row::new("d00_te (healthy)", &[("far", counts.far())]));
        } else {
            before.add(Confusion { tp: 0, fn_: 0, ..counts });
            detected.push((fault, counts.fdr()));
            report.files.push(Row::new(format!("fault {fault}"), &[("fdr", counts.fdr()), ("far", counts.far())]));
        }
    }
    if detected.is_empty() && healthy.is_none() {
        return Err(Error::layout(folder, "d00_te.dat, and dNN_te.dat of faults", "none"));
    }
    let mean = |name: &str, chosen: &dyn Fn(u32) -> bool| {
        let rates: Vec<f64> = detected.iter().filter(|(fault, _)| chosen(*fault)).map(|(_, rate)| *rate).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        Row::new(name, &[("fdr", mean), ("faults", rates.len() as f64)])
    };
    let easy = |fault: u32| !UNDETECTABLE_FAULTS.contains(&fault);
    report.ours.push(mean("without 3, 9, 15", &easy));
    report.ours.push(mean("odd faults of these", &|fault| easy(fault) && fault % 2 == 1));
    report.ours.push(mean("faults 3, 9, 15", &|fault| !easy(fault)));
    if let Some(counts) = healthy {
        report.ours.push(Row::new("d00_te", &[("far", counts.far())]));
        before.add(counts);
    }
    report.ours.push(Row::new("all healthy rows", &[("far", before.far())]));
    report.publish(
        ["fdr", "far", "faults"],
        &[
            // Only on the faults that the folder usually contains: a mean over other faults is no comparison.
            ("PCA 34, limits set on d00_te, odd faults", [68.0, 2.0, 8.0]),
        ],
    );
    report.notes.push("a detection rate is meaningless without its false-alarm rate".to_owned());
    Ok(report)
}

/// Reads a table with 52 columns. `d00` is stored transposed.
fn read_table(path: &Path) -> Result<Vec<Vec<f64>>, Error> {
    let rows = read::read_blank_separated(path)?;
    let width = rows.first().map_or(0, Vec::len);
    if width == DATA_COLUMNS {
        Ok(rows)
    } else if rows.len() == DATA_COLUMNS {
        Ok(read::transpose(&rows))
    } else {
        Err(Error::layout(path, "52 columns, or 52 lines", format!("{} lines of {width}", rows.len())))
    }
}

/// Joins the training rows and the test rows to one recording.
fn joined_recording(name: &str, training: &[Vec<f64>], test: Vec<Vec<f64>>) -> Recording {
    let variable = |column: usize| match column.checked_sub(MEASURED_VARIABLES) {
        None => format!("XMEAS({})", column + 1),
        Some(column) => format!("XMV({})", column + 1),
    };
    let mut rows = training.to_vec();
    rows.extend(test);
    Recording {
        asset: name.to_owned(),
        sensors: (0..DATA_COLUMNS).map(variable).collect(),
        times: (0..rows.len()).map(|row| row as i64 * ROW_NANOSECONDS).collect(),
        rows,
    }
}
