//! SKAB v0.9, the Skoltech Anomaly Benchmark (I. Katser and V. Kozitsin 2020).
//!
//! Each file is one experiment. The pipeline is fitted on the first 400 rows and scores the rest, row by row. Counts
//! are pooled over all files. In nearly every file the fault starts near row 572, so a rule that uses only the row
//! number reaches 0.956. Therefore the measurement is repeated after a random 0 to 60 rows are removed from the start
//! of each file, and 0 to 100 after the fitted rows.

mod change;

use std::path::Path;

use crate::{
    Benchmark, Column, Error, Pipeline, Recording, Report, Row,
    metrics::{Confusion, VOLUME_WINDOW, auc_pr, vus_pr},
    pipeline::{checked_rows, scores_and_alarms},
    random::Random,
    read::{self, Csv},
};
use change::ChangePointScore;

/// Number of rows for fitting.
pub const FIT_ROWS: usize = 400;
/// Seeds of the shifted protocol.
pub const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];
/// Maximum number of rows removed from the start of a file.
const MAX_CUT: u32 = 60;
/// Maximum number of rows removed after the fitted ones.
const MAX_DROP: u32 = 100;

const PROTOCOL: &str = "fit on the first 400 rows of each file, score the rest row by row, pool all rows of all files; no \
                        point adjustment, no threshold from labels";

const COLUMNS: [Column; 9] = [
    Column { key: "f1", title: "F1", meaning: "2 TP / (2 TP + FP + FN) over rows, 0 to 1", digits: 3 },
    Column { key: "far", title: "FAR %", meaning: "normal rows with an alarm", digits: 2 },
    Column { key: "mar", title: "MAR %", meaning: "anomalous rows without an alarm", digits: 2 },
    Column { key: "auc_pr", title: "AUC-PR", meaning: "average precision of the scores, 0 to 1", digits: 3 },
    Column { key: "vus_pr", title: "VUS-PR", meaning: "volume under the PR surface, widths 0 to 100 rows", digits: 3 },
    Column {
        key: "cp",
        title: "CP",
        meaning: "NAB score of change points, windows of 60 s; 100 is perfect",
        digits: 1,
    },
    Column { key: "cp_low_fp", title: "CP low FP", meaning: "CP with double cost of false predictions", digits: 1 },
    Column { key: "cp_low_fn", title: "CP low FN", meaning: "CP with double cost of missed change points", digits: 1 },
    Column { key: "cp_missed", title: "missed", meaning: "change points without a prediction", digits: 0 },
];

/// One experiment.
#[derive(Debug)]
struct Experiment {
    name: String,
    recording: Recording,
    /// `None` if the file has no labels because everything in it is normal.
    labels: Option<Vec<bool>>,
    /// Whether each row is a change point.
    changes: Vec<bool>,
}

/// Evaluates a pipeline on a folder with the layout of SKAB's `data`: folders of CSV files. A file without a column
/// `anomaly` is entirely healthy.
///
/// # Errors
/// [`Error`] if a file does not have SKAB's layout, or the pipeline fails.
pub fn evaluate(pipeline: &mut dyn Pipeline, folder: &Path) -> Result<Report, Error> {
    let mut report = Report::new(Benchmark::Skab, PROTOCOL, &COLUMNS);
    let mut labelled = Vec::new();
    let mut healthy = Vec::new();
    for experiment in read_experiments(folder)? {
        if experiment.recording.rows.len() <= FIT_ROWS {
            report.notes.push(format!("{} has no rows after the first {FIT_ROWS} and is skipped", experiment.name));
        } else if experiment.labels.is_some() {
            labelled.push(experiment);
        } else {
            healthy.push(experiment);
        }
    }
    if labelled.is_empty() && healthy.is_empty() {
        return Err(Error::layout(folder, "folders of SKAB's CSV files, such as valve1", "none"));
    }

    if !labelled.is_empty() {
        evaluate_plain(pipeline, &labelled, &mut report)?;
        evaluate_shifted(pipeline, &labelled, &mut report)?;
    }
    let mut counts = Confusion::default();
    for experiment in &healthy {
        let verdicts = checked_rows(pipeline, Benchmark::Skab, FIT_ROWS, &experiment.recording)?;
        let (_, alarms) = scores_and_alarms(&verdicts);
        let of_file = Confusion::from_alarms(&alarms, &vec![false; alarms.len()]);
        report.files.push(Row::new(experiment.name.as_str(), &[("far", of_file.far())]));
        counts.add(of_file);
    }
    if !healthy.is_empty() {
        report.ours.push(Row::new("anomaly-free", &[("far", counts.far())]));
    }
    add_published(&mut report);
    Ok(report)
}

fn evaluate_plain(pipeline: &mut dyn Pipeline, labelled: &[Experiment], report: &mut Report) -> Result<(), Error> {
    let mut pooled = Confusion::default();
    let mut turned = ChangePointScore::default();
    let mut series = Vec::new();
    for experiment in labelled {
        let labels = experiment.labels.as_deref().and_then(|labels| labels.get(FIT_ROWS..)).unwrap_or_default();
        let verdicts = checked_rows(pipeline, Benchmark::Skab, FIT_ROWS, &experiment.recording)?;
        let (scores, alarms) = scores_and_alarms(&verdicts);
        let counts = Confusion::from_alarms(&alarms, labels);
        let changes = experiment.changes.get(FIT_ROWS..).unwrap_or_default();
        let changes = ChangePointScore::score_file(
            experiment.recording.times.get(FIT_ROWS..).unwrap_or_default(),
            &alarms,
            changes,
        );
        report.files.push(result_row(&experiment.name, counts, &[(&scores, labels)], changes));
        pooled.add(counts);
        turned.add(changes);
        series.push((scores, labels));
    }
    let series: Vec<(&[f64], &[bool])> = series.iter().map(|(scores, labels)| (scores.as_slice(), *labels)).collect();
    report.ours.push(result_row("plain", pooled, &series, turned));
    Ok(())
}

fn result_row(name: &str, counts: Confusion, series: &[(&[f64], &[bool])], changes: ChangePointScore) -> Row {
    let scores: Vec<f64> = series.iter().flat_map(|(scores, _)| scores.iter().copied()).collect();
    let labels: Vec<bool> = series.iter().flat_map(|(_, labels)| labels.iter().copied()).collect();
    let [standard, low_fp, low_fn] = changes.normalised();
    Row::new(
        name,
        &[
            ("f1", counts.f1()),
            ("far", counts.far()),
            ("mar", counts.mar()),
            ("auc_pr", auc_pr(&scores, &labels)),
            ("vus_pr", vus_pr(series, VOLUME_WINDOW)),
            ("cp", standard),
            ("cp_low_fp", low_fp),
            ("cp_low_fn", low_fn),
            ("cp_missed", f64::from(changes.missed)),
            ("cp_false", f64::from(changes.false_alarms)),
            ("cp_all", f64::from(changes.total)),
        ],
    )
}

/// Evaluates the shifted protocol: one row of figures per seed, and one for all seeds pooled.
fn evaluate_shifted(pipeline: &mut dyn Pipeline, labelled: &[Experiment], report: &mut Report) -> Result<(), Error> {
    let need = FIT_ROWS + (MAX_CUT + MAX_DROP) as usize + 1;
    let long = |experiment: &&Experiment| experiment.recording.rows.len() >= need;
    for experiment in labelled.iter().filter(|experiment| !long(experiment)) {
        report.notes.push(format!("{} has fewer than {need} rows and is not shifted", experiment.name));
    }
    let mut all = Confusion::default();
    for seed in SEEDS {
        let mut random = Random::new(seed, 0);
        let mut pooled = Confusion::default();
        for experiment in labelled.iter().filter(long) {
            let (cut, drop) = (random.below(MAX_CUT + 1) as usize, random.below(MAX_DROP + 1) as usize);
            let scored_from = cut + FIT_ROWS + drop;
            let recording = experiment.recording.join_ranges(cut..cut + FIT_ROWS, scored_from);
            let labels = experiment.labels.as_deref().and_then(|labels| labels.get(scored_from..)).unwrap_or_default();
            let verdicts = checked_rows(pipeline, Benchmark::Skab, FIT_ROWS, &recording)?;
            pooled.add(Confusion::from_alarms(&scores_and_alarms(&verdicts).1, labels));
        }
        let name = format!("shifted, seed {seed}");
        report.files.push(Row::new(name, &[("f1", pooled.f1()), ("far", pooled.far()), ("mar", pooled.mar())]));
        all.add(pooled);
    }
    report.ours.push(Row::new("shifted", &[("f1", all.f1()), ("far", all.far()), ("mar", all.mar())]));
    report.notes.push(format!(
        "shifted: 0 to {MAX_CUT} rows removed from the start, 0 to {MAX_DROP} after the fitted ones, {} seeds pooled",
        SEEDS.len()
    ));
    Ok(())
}

fn add_published(report: &mut Report) {
    let keys = ["f1", "far", "mar"];
    report.publish(
        ["cp"],
        &[
            ("MSCRED, change points (whole corpus)", [32.4]),
            ("Isolation Forest, change points", [26.2]),
            ("T2+Q, change points", [25.4]),
            ("Conv-AE, change points", [23.6]),
        ],
    );
    report.publish(
        keys,
        &[
            ("Conv-AE (the 23 files of valve1 and other)", [0.781, 14.17, 28.16]),
            ("MSET", [0.784, 40.20, 13.10]),
            ("T2+Q (PCA)", [0.759, 24.15, 26.05]),
            ("LSTM-AE", [0.727, 27.47, 29.35]),
            ("T2", [0.670, 19.47, 41.18]),
            ("LSTM forecaster", [0.529, 12.60, 60.17]),
            ("Isolation Forest", [0.276, 1.43, 83.76]),
            ("Conv-AE (whole corpus)", [0.784, 13.55, 28.02]),
            ("MSET", [0.780, 39.73, 14.13]),
            ("T2+Q (PCA)", [0.758, 26.62, 24.92]),
            ("reads no sensor: rows 560 to 974, plain", [0.956, 8.4, f64::NAN]),
            ("the same, shifted", [0.80, 35.0, f64::NAN]),
            ("always an alarm, plain", [0.698, 100.0, 0.0]),
            ("the same, shifted", [0.756, 100.0, 0.0]),
        ],
    );
}

fn read_experiments(folder: &Path) -> Result<Vec<Experiment>, Error> {
    let mut experiments = Vec::new();
    for group in read::folders(folder)? {
        for path in read::files(&group, &[".csv"])? {
            experiments.push(read_experiment(&path)?);
        }
    }
    Ok(experiments)
}

fn read_experiment(path: &Path) -> Result<Experiment, Error> {
    let csv = Csv::read(path, b';')?;
    let times = csv.times(csv.required_column("datetime")?)?;
    let is_sensor = |name: &&String| !["datetime", "anomaly", "changepoint"].contains(&name.as_str());
    let sensors: Vec<String> = csv.header.iter().filter(is_sensor).cloned().collect();
    let mut columns = Vec::new();
    for sensor in &sensors {
        columns.push(csv.numbers(csv.required_column(sensor)?)?);
    }
    let flags = |column: &str| -> Result<Option<Vec<bool>>, Error> {
        let Some(index) = csv.column_index(column) else { return Ok(None) };
        Ok(Some(csv.numbers(index)?.into_iter().map(|flag| flag > 0.5).collect()))
    };
    let labels = flags("anomaly")?;
    let changes = flags("changepoint")?.unwrap_or_default();
    let name = read::relative_name(path);
    let rows = read::transpose(&columns);
    Ok(Experiment { recording: Recording { asset: name.clone(), sensors, times, rows }, name, labels, changes })
}
