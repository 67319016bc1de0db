//! The IMS bearings (J. Lee et al. 2007, NASA prognostics data repository), run to failure: features of snapshots.
//!
//! The pipeline learns from the first quarter of the live run and scores each later snapshot, separately for each
//! bearing. An alarm is sustained if one bearing has an alarm in three consecutive snapshots; it counts from the third
//! one. The lead time is from the first sustained alarm of a bearing that fails to the last live snapshot. The
//! other bearings with an earlier sustained alarm are counted: such an alarm is false. Snapshots after the rig stopped (every bearing's RMS
//! below a fifth of its median over the first fifth of the run) are dropped. The range from a quarter to two fifths of
//! the run is healthy in all three tests; the published false-alarm counts are for the same range.

use std::path::{Path, PathBuf};

use crate::{
    Benchmark, Column, Error, Pipeline, Recording, Report, Row,
    pipeline::{checked_rows, scores_and_alarms},
    read::{self, Csv},
};

/// Number of consecutive snapshots with an alarm that make it sustained.
pub const SUSTAINED_SNAPSHOTS: usize = 3;
const BASELINE_SHARE: f64 = 0.20;
const FIT_SHARE: f64 = 0.25;
const HEALTHY_SHARE: f64 = 0.40;
/// The bearings that fail, by test (the data's own description). All bearings of another test count as failing.
const FAILING_BEARINGS: [(&str, &[&str]); 3] =
    [("test1", &["Bearing3", "Bearing4"]), ("test2", &["Bearing1"]), ("test3", &["Bearing3"])];
/// Share of the baseline RMS below which the rig is considered stopped.
const STOPPED_RMS_SHARE: f64 = 0.2;

const PROTOCOL: &str = "learn from the first quarter of the live run; lead time from the first sustained alarm (3 consecutive \
                        snapshots) of a bearing that fails to the last live snapshot; healthy is from a quarter to two \
                        fifths of the run";

const COLUMNS: [Column; 8] = [
    Column { key: "snapshots", title: "snapshots", meaning: "number of live snapshots", digits: 0 },
    Column { key: "alarm_at", title: "alarm at", meaning: "index, from 0, of the first sustained alarm", digits: 0 },
    Column { key: "lead", title: "lead h", meaning: "hours from that alarm to the last live snapshot", digits: 1 },
    Column { key: "false_before", title: "before", meaning: "earlier alarms that are not part of it", digits: 0 },
    Column {
        key: "others",
        title: "others",
        meaning: "bearings that do not fail with an earlier sustained alarm",
        digits: 0,
    },
    Column { key: "healthy", title: "healthy", meaning: "number of snapshots known to be healthy", digits: 0 },
    Column { key: "false", title: "false", meaning: "alarms in healthy snapshots", digits: 0 },
    Column { key: "false_sustained", title: "sustained", meaning: "sustained alarms in healthy snapshots", digits: 0 },
];

/// A bearing: its name, the names of its features, and their columns.
type BearingTable = (String, Vec<String>, Vec<Vec<f64>>);

/// One run-to-failure test of several bearings.
#[derive(Debug)]
struct RunToFailureTest {
    name: String,
    bearings: Vec<Recording>,
    dropped_snapshots: usize,
}

/// Summary of the alarms of a run.
#[derive(Debug, Default, PartialEq)]
struct AlarmSummary {
    /// Index of the first snapshot with a sustained alarm, counted from the first scored snapshot.
    first_sustained: Option<usize>,
    earlier_alarms: usize,
    false_alarms: usize,
    false_sustained: usize,
}

/// Evaluates a pipeline on a folder with `testN_raw.csv` and optionally `testN_spectral.csv`, each plain or compressed
/// (`.gz`).
///
/// # Errors
/// [`Error`] if no table is found, a table has another layout, or the pipeline fails.
pub fn evaluate(pipeline: &mut dyn Pipeline, folder: &Path) -> Result<Report, Error> {
    let mut report = Report::new(Benchmark::Ims, PROTOCOL, &COLUMNS);
    for path in read::files(folder, &["_raw.csv", "_raw.csv.gz"])? {
        let test = read_test(&path)?;
        let times = test.bearings.first().map_or(&[][..], |bearing| &bearing.times);
        let live = times.len();
        let (fit, healthy) = ((live as f64 * FIT_SHARE) as usize, (live as f64 * HEALTHY_SHARE) as usize);
        let mut alarms = Vec::new();
        let mut others = Vec::new();
        for bearing in &test.bearings {
            let of_bearing = scores_and_alarms(&checked_rows(pipeline, Benchmark::Ims, fit, bearing)?).1;
            let found = summarise_alarms(std::slice::from_ref(&of_bearing), healthy - fit);
            report.files.push(result_row(&bearing.asset, &found, times, fit, healthy));
            if fails(&test.name, &bearing.asset) {
                alarms.push(of_bearing);
            } else {
                others.extend(found.first_sustained);
            }
        }
        let found = summarise_alarms(&alarms, healthy - fit);
        if found.false_sustained > 0 {
            report
                .notes
                .push(format!("{}: sustained alarms in healthy snapshots; the lead time is not reliable", test.name));
        }
        if test.dropped_snapshots > 0 {
            report.notes.push(format!(
                "{}: {} snapshots after the rig stopped were dropped",
                test.name, test.dropped_snapshots
            ));
        }
        let mut row = result_row(&test.name, &found, times, fit, healthy);
        let earlier = others.iter().filter(|at| found.first_sustained.is_none_or(|first| **at < first)).count();
        row.figures.insert("others", earlier as f64);
        report.ours.push(row);
    }
    if report.ours.is_empty() {
        return Err(Error::layout(folder, "test2_raw.csv.gz", "none"));
    }
    report.publish(
        ["snapshots", "alarm_at", "lead", "healthy", "false_sustained"],
        &[
            // Published without the bearing on which the alarm was.
            ("Isolation Forest, test 1 (3 of 5)", [2156.0, 1830.0, 79.5, 323.0, 0.0]),
            ("Isolation Forest, test 2 (3 of 5)", [982.0, 659.0, 53.7, 147.0, 0.0]),
            ("Isolation Forest, test 3 (4 of 5)", [6323.0, 5980.0, 57.0, 949.0, 0.0]),
        ],
    );
    Ok(report)
}

/// Whether a bearing, named `test2/Bearing1`, fails in a test.
fn fails(test: &str, bearing: &str) -> bool {
    let name = bearing.rsplit('/').next().unwrap_or(bearing);
    FAILING_BEARINGS.iter().find(|(known, _)| *known == test).is_none_or(|(_, failing)| failing.contains(&name))
}

fn result_row(name: &str, found: &AlarmSummary, times: &[i64], fit: usize, healthy: usize) -> Row {
    let at = found.first_sustained.map(|at| at + fit);
    let hours = |at: usize| Some((times.last()? - times.get(at)?) as f64 / 3.6e12);
    Row::new(
        name,
        &[
            ("snapshots", times.len() as f64),
            ("alarm_at", at.map_or(f64::NAN, |at| at as f64)),
            ("lead", at.and_then(hours).unwrap_or(f64::NAN)),
            ("false_before", found.earlier_alarms as f64),
            ("healthy", (healthy - fit) as f64),
            ("false", found.false_alarms as f64),
            ("false_sustained", found.false_sustained as f64),
        ],
    )
}

/// Summarises the alarms of all bearings. The first `healthy` snapshots are known to be healthy. Alarms of several
/// bearings in one snapshot count once.
fn summarise_alarms(alarms: &[Vec<bool>], healthy: usize) -> AlarmSummary {
    let count = alarms.iter().map(Vec::len).max().unwrap_or(0);
    let any: Vec<bool> = (0..count).map(|at| alarms.iter().any(|alarms| alarms.get(at) == Some(&true))).collect();
    let sustained: Vec<bool> = (0..count)
        .map(|at| {
            (at + 1).checked_sub(SUSTAINED_SNAPSHOTS).is_some_and(|from| {
                alarms.iter().any(|alarms| alarms.get(from..=at).is_some_and(|run| run.iter().all(|alarm| *alarm)))
            })
        })
        .collect();
    let at = sustained.iter().position(|sustained| *sustained);
    // The alarms of the sustained alarm itself start two snapshots earlier.
    let end = at.map_or(count, |at| at + 1 - SUSTAINED_SNAPSHOTS);
    let number = |of: &[bool], end: usize| of.iter().take(end).filter(|alarm| **alarm).count();
    AlarmSummary {
        first_sustained: at,
        earlier_alarms: number(&any, end),
        false_alarms: number(&any, healthy),
        false_sustained: number(&sustained, healthy),
    }
}

/// Reads the tables of a test; each bearing becomes an asset.
fn read_test(path: &Path) -> Result<RunToFailureTest, Error> {
    let raw = Csv::read(path, b',')?;
    let stamps = raw.times(raw.required_column("timestamp")?)?;
    let mut tables = vec![raw];
    if let Some(path) = spectral_path(path) {
        let table = Csv::read(&path, b',')?;
        if table.records.len() != stamps.len() {
            return Err(Error::layout(path, format!("{} rows", stamps.len()), table.records.len().to_string()));
        }
        tables.push(table);
    }
    let name = read::file_name(path).split('_').next().unwrap_or_default().to_owned();
    let mut found: Vec<BearingTable> = Vec::new();
    for table in &tables {
        for (index, column) in table.header.iter().enumerate() {
            let Some((bearing, feature)) = column.split_once('_').filter(|(bearing, _)| bearing.starts_with("Bearing"))
            else {
                continue;
            };
            let values = table.numbers(index)?;
            match found.iter_mut().find(|(known, ..)| known == bearing) {
                Some((_, features, columns)) => {
                    features.push(feature.to_owned());
                    columns.push(values);
                }
                None => found.push((bearing.to_owned(), vec![feature.to_owned()], vec![values])),
            }
        }
    }
    let live = stamps.len() - stopped_snapshots(&found);
    if found.is_empty() || live < 20 {
        return Err(Error::layout(path, "columns Bearing1_ch1_rms and so on, of 20 snapshots or more", "less"));
    }
    let bearings = found.into_iter().map(|(bearing, sensors, columns)| {
        let recording = Recording {
            asset: format!("{name}/{bearing}"),
            sensors,
            times: stamps.clone(),
            rows: read::transpose(&columns),
        };
        recording.head(live)
    });
    Ok(RunToFailureTest { bearings: bearings.collect(), dropped_snapshots: stamps.len() - live, name })
}

/// Path of the table of spectral features that belongs to a raw table, if it exists.
fn spectral_path(raw: &Path) -> Option<PathBuf> {
    let name = read::file_name(raw);
    let stem = name.split("_raw").next()?;
    let candidates = [format!("{stem}_spectral.csv"), format!("{stem}_spectral.csv.gz")];
    candidates.into_iter().map(|name| raw.with_file_name(name)).find(|path| path.is_file())
}

/// Number of snapshots at the end with a stopped rig: the highest RMS of all bearings is below a fifth of its baseline.
fn stopped_snapshots(bearings: &[BearingTable]) -> usize {
    let rms: Vec<&Vec<f64>> = bearings
        .iter()
        .flat_map(|(_, features, columns)| features.iter().zip(columns))
        .filter(|(feature, _)| *feature == "ch1_rms")
        .map(|(_, column)| column)
        .collect();
    let loudest: Vec<f64> = read::transpose(&rms.into_iter().cloned().collect::<Vec<_>>())
        .iter()
        .map(|row| row.iter().copied().fold(f64::NAN, f64::max))
        .collect();
    let first = ((loudest.len() as f64 * BASELINE_SHARE) as usize).max(1);
    let mut baseline = loudest.get(..first).unwrap_or_default().to_vec();
    baseline.sort_by(f64::total_cmp);
    let Some(median) = baseline.get(baseline.len() / 2) else { return 0 };
    loudest.iter().rev().take_while(|loudest| **loudest < STOPPED_RMS_SHARE * median).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarms(text: &str) -> Vec<bool> {
        text.chars().map(|alarm| alarm == '!').collect()
    }

    #[test]
    fn a_sustained_alarm_is_three_in_a_row_of_one_bearing() {
        let one = alarms("!..!!..!!!!");
        let expected =
            AlarmSummary { first_sustained: Some(9), earlier_alarms: 3, false_alarms: 1, false_sustained: 0 };
        assert_eq!(summarise_alarms(std::slice::from_ref(&one), 3), expected);
        // Alternating alarms of two bearings are not sustained.
        let alternating = [alarms("!.!.!.!.!.!"), alarms(".!.!.!.!.!.")];
        assert_eq!(
            summarise_alarms(&alternating, 4),
            AlarmSummary { first_sustained: None, earlier_alarms: 11, false_alarms: 4, false_sustained: 0 }
        );
        let early = alarms("!!!!.......");
        assert_eq!(
            summarise_alarms(&[early, one], 4),
            AlarmSummary { first_sustained: Some(2), earlier_alarms: 0, false_alarms: 4, false_sustained: 2 }
        );
        assert_eq!(summarise_alarms(&[], 0), AlarmSummary::default());
    }

    #[test]
    fn only_the_bearings_that_fail_have_a_lead() {
        assert!(fails("test2", "test2/Bearing1") && !fails("test2", "test2/Bearing3"));
        assert!(fails("test1", "test1/Bearing4") && fails("made", "made/Bearing2"));
    }

    #[test]
    fn a_stopped_rig_is_cut_off() {
        let bearing = |name: &str, rms: [f64; 10]| (name.to_owned(), vec!["ch1_rms".to_owned()], vec![rms.to_vec()]);
        let one = bearing("Bearing1", [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.01, 5.0, 0.01, 0.01]);
        let other = bearing("Bearing2", [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.01, 0.01]);
        assert_eq!(stopped_snapshots(&[one, other]), 2);
        assert_eq!(stopped_snapshots(&[bearing("Bearing1", [1.0; 10])]), 0);
    }
}
