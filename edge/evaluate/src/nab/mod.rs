//! NAB v1.1, the Numenta Anomaly Benchmark (A. Lavin and S. Ahmad 2015, arXiv 1510.03336; numenta/NAB, commit ea702d7).
//!
//! The pipeline streams each file once. The first 15 % of a file, at most 750 rows, are the probation period: they are
//! for learning and are not scored. One threshold is used for all files: the one with the best total score, so it
//! depends on the labels. Therefore the report also has the score of the pipeline's own alarms, which do not depend on
//! labels.

mod corpus;
mod results;
mod score;

pub use corpus::{Corpus, Labels, Series};
pub use results::{ScoredSeries, read_results, write_results};
pub use score::{
    PROFILES, ScoredRow, ThresholdStep, Weights, WindowPosition, best_step, probation, reward_points, scaled_sigmoid,
    step_at_threshold, sweep,
};

use std::{collections::BTreeSet, path::Path};

use crate::{
    Benchmark, Column, Error, Pipeline, Recording, Report, Row,
    metrics::{auc_pr, period, vus_pr},
    pipeline::{checked_rows, scores_and_alarms},
};

const PROTOCOL: &str = "stream each file once, first 15 % (at most 750 rows) unscored; one threshold for all files, optimal \
                        for these files (uses the labels); normalised 100 (sum - null) / (perfect - null)";

const COLUMNS: [Column; 6] = [
    Column {
        key: "standard",
        title: "standard",
        meaning: "NAB score; 100 is perfect, 0 is without any alarm",
        digits: 1,
    },
    Column {
        key: "reward_low_FP_rate",
        title: "low FP",
        meaning: "NAB score with double cost of false alarms",
        digits: 1,
    },
    Column {
        key: "reward_low_FN_rate",
        title: "low FN",
        meaning: "NAB score with double cost of missed windows",
        digits: 1,
    },
    Column { key: "windows", title: "windows", meaning: "number of labelled anomaly windows", digits: 0 },
    Column { key: "auc_pr", title: "AUC-PR", meaning: "average precision after probation, 0 to 1", digits: 3 },
    Column {
        key: "vus_pr",
        title: "VUS-PR",
        meaning: "volume under the PR surface after probation, widths up to the period; mean over files",
        digits: 3,
    },
];

/// Folder for results in NAB's own layout, and the detector's name; `None` writes no results.
pub type ResultsTarget<'a> = Option<(&'a Path, &'a str)>;

/// Evaluates a pipeline on a folder with the layout of NAB's `data`. `combined_windows.json` is in it or in `labels`
/// next to it.
///
/// # Errors
/// [`Error`] if a file does not have NAB's layout, or the pipeline fails.
pub fn evaluate(pipeline: &mut dyn Pipeline, folder: &Path, results: ResultsTarget<'_>) -> Result<Report, Error> {
    let corpus = Corpus::read(folder)?;
    let mut report = Report::new(Benchmark::Nab, PROTOCOL, &COLUMNS);
    report.notes.extend(corpus.notes.iter().cloned());
    let mut scored = Vec::new();
    let mut alarmed = Vec::new();
    for series in &corpus.series {
        let fit = probation(series.values.len());
        let recording = Recording {
            asset: series.name.clone(),
            sensors: vec!["value".to_owned()],
            times: series.times.clone(),
            rows: series.values.iter().map(|value| vec![*value]).collect(),
        };
        let (scores, alarms) = scores_and_alarms(&checked_rows(pipeline, Benchmark::Nab, fit, &recording)?);
        let whole = |after: Vec<f64>| [vec![0.0; fit], after].concat();
        scored.push(whole(scores));
        alarmed.push(whole(alarms.into_iter().map(|alarm| f64::from(u8::from(alarm))).collect()));
    }
    // NAB requires scores from 0 to 1. Larger scores are mapped; this keeps their order, and so the result.
    if scored.iter().flatten().any(|score| *score > 1.0) {
        for score in scored.iter_mut().flatten() {
            *score = if score.is_finite() { *score / (1.0 + *score) } else { 1.0 };
        }
        report
            .notes
            .push("some scores were above 1, so all were mapped by s / (1 + s), which keeps their order".to_owned());
    }

    let scored: Vec<ScoredSeries<'_>> =
        corpus.series.iter().zip(scored).map(|(series, scores)| ScoredSeries { series, scores }).collect();
    let best = normalise(&scored, None)?;
    let alarmed: Vec<ScoredSeries<'_>> =
        corpus.series.iter().zip(alarmed).map(|(series, scores)| ScoredSeries { series, scores }).collect();
    let own = normalise(&alarmed, Some(1.0))?;
    add_ranking_metrics(&scored, &mut report);
    for (name, values) in best.rows {
        add_figures(&mut report, &name, &values);
    }
    let names = ["standard", "reward_low_FP_rate", "reward_low_FN_rate"];
    report.notes.push(format!(
        "thresholds: {}; they are fitted to these files and score higher than a threshold fitted to the whole corpus",
        names.iter().zip(&best.thresholds).map(|(name, at)| format!("{name} {at:.6}")).collect::<Vec<_>>().join(", ")
    ));
    if let Some((_, values)) = own.rows.into_iter().find(|(name, _)| name == ALL_FILES) {
        add_figures(&mut report, "own alarms, no label read", &values);
    }
    if let Some((to, detector)) = results {
        write_results(to, detector, &scored)?;
    }
    report.publish(
        names,
        &[
            ("ARTime (whole corpus)", [74.9, 65.1, 80.4]),
            ("Numenta HTM, best run", [70.5, 62.6, 75.2]),
            ("Numenta HTM, least run", [69.7, 61.7, 74.2]),
            ("CAD OSE", [69.9, 67.0, 73.2]),
            ("earthgecko Skyline", [58.2, f64::NAN, f64::NAN]),
            ("KNN CAD", [58.0, f64::NAN, f64::NAN]),
            ("Relative Entropy", [54.6, f64::NAN, f64::NAN]),
            ("Random Cut Forest", [51.7, f64::NAN, f64::NAN]),
            ("Twitter ADVec", [47.1, f64::NAN, f64::NAN]),
            ("Windowed Gaussian", [39.6, f64::NAN, f64::NAN]),
            ("ARTime (the 28 files, corpus threshold)", [74.7, f64::NAN, f64::NAN]),
            ("Numenta HTM", [63.8, f64::NAN, f64::NAN]),
            ("CAD OSE", [63.4, f64::NAN, f64::NAN]),
            ("HTM Java", [61.3, f64::NAN, f64::NAN]),
            ("Relative Entropy", [55.6, f64::NAN, f64::NAN]),
            ("KNN CAD", [55.4, f64::NAN, f64::NAN]),
            ("earthgecko Skyline", [54.2, f64::NAN, f64::NAN]),
            ("Twitter ADVec", [48.3, f64::NAN, f64::NAN]),
            ("Random Cut Forest", [43.1, f64::NAN, f64::NAN]),
            ("Windowed Gaussian", [33.9, f64::NAN, f64::NAN]),
            ("ARTime, realKnownCause", [63.9, f64::NAN, f64::NAN]),
            ("Numenta HTM, realKnownCause", [55.5, f64::NAN, f64::NAN]),
            ("ARTime, realTweets", [81.8, f64::NAN, f64::NAN]),
            ("Numenta HTM, realTweets", [68.0, f64::NAN, f64::NAN]),
            ("ARTime, artificialWithAnomaly", [70.3, f64::NAN, f64::NAN]),
            ("Numenta HTM, artificialWithAnomaly", [70.2, f64::NAN, f64::NAN]),
        ],
    );
    report.publish(["vus_pr"], &[("POLY (TSB-AD's 23 NAB series)", [0.48]), ("Sub-PCA (the same)", [0.44])]);
    Ok(report)
}

/// Adds normalised figures to the row with this name, or appends the row.
fn add_figures(report: &mut Report, name: &str, values: &[(&'static str, f64)]) {
    let rows = if name.contains(".csv") { &mut report.files } else { &mut report.ours };
    match rows.iter_mut().find(|row| row.name == name) {
        Some(row) => row.figures.extend(values.iter().copied()),
        None => rows.push(Row::new(name, values)),
    }
}

/// Adds AUC-PR and VUS-PR by file, and their means over the files with anomalies.
fn add_ranking_metrics(scored: &[ScoredSeries<'_>], report: &mut Report) {
    let (mut areas, mut volumes) = (Vec::new(), Vec::new());
    for ScoredSeries { series, scores } in scored {
        let fit = probation(scores.len());
        let (scores, labels) = (scores.get(fit..).unwrap_or_default(), series.labels.get(fit..).unwrap_or_default());
        let (area, volume) = (auc_pr(scores, labels), vus_pr(&[(scores, labels)], period(&series.values)));
        report.files.push(Row::new(series.name.as_str(), &[("auc_pr", area), ("vus_pr", volume)]));
        if !area.is_nan() {
            areas.push(area);
            volumes.push(volume);
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    report.ours.push(Row::new(ALL_FILES, &[("auc_pr", mean(&areas)), ("vus_pr", mean(&volumes))]));
}

/// Name of the row for all files.
pub const ALL_FILES: &str = "all files";

/// Normalised NAB scores.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalisedScores {
    /// Thresholds by profile, in the order of [`PROFILES`].
    pub thresholds: Vec<f64>,
    /// Rows for [`ALL_FILES`], each group and each file: the score of each profile, and the number of windows.
    pub rows: Vec<(String, Vec<(&'static str, f64)>)>,
}

/// Scores files at `threshold`, or at the threshold that is best for all files together. Normalises by file, by group
/// and in total.
///
/// # Errors
/// [`Error`] if the bounds of a window are not in its file.
pub fn normalise(files: &[ScoredSeries<'_>], threshold: Option<f64>) -> Result<NormalisedScores, Error> {
    let groups: BTreeSet<&str> = files.iter().map(|file| file.series.group()).collect();
    let mut thresholds = Vec::new();
    let of_file = |file: &ScoredSeries<'_>| file.series.windows.len() as f64;
    let mut rows: Vec<(String, Vec<(&'static str, f64)>)> = Vec::new();
    rows.push((ALL_FILES.to_owned(), vec![("windows", files.iter().map(of_file).sum())]));
    for group in &groups {
        let of_group = files.iter().filter(|file| file.series.group() == *group);
        rows.push(((*group).to_owned(), vec![("windows", of_group.map(of_file).sum())]));
    }
    rows.extend(files.iter().map(|file| (file.series.name.clone(), vec![("windows", of_file(file))])));

    for (profile, weights) in PROFILES {
        let mut by_file = Vec::new();
        let mut all = Vec::new();
        for file in files {
            let first = all.iter().filter_map(ScoredRow::window).max().map_or(0, |window| window + 1);
            let points = reward_points(file.series, &file.scores, weights, first)?;
            all.extend(points.iter().cloned());
            by_file.push(points);
        }
        let threshold = threshold.unwrap_or_else(|| best_step(&sweep(&all, weights)).threshold);
        thresholds.push(threshold);
        // Score, score without any alarm, and perfect score.
        let parts: Vec<[f64; 3]> = by_file
            .iter()
            .zip(files)
            .map(|(points, file)| {
                let steps = sweep(points, weights);
                let null = steps.first().map_or(0.0, |step| step.score);
                [step_at_threshold(&steps, threshold).score, null, of_file(file) * weights.tp]
            })
            .collect();
        let total = |chosen: &dyn Fn(&ScoredSeries<'_>) -> bool| {
            let chosen = files.iter().zip(&parts).filter(|(file, _)| chosen(file));
            let [score, null, perfect] = chosen.fold([0.0; 3], |sum, (_, parts)| {
                let [a, b, c] = sum;
                let [x, y, z] = parts;
                [a + x, b + y, c + z]
            });
            // Without windows the perfect score equals the null score.
            if perfect > null { 100.0 * (score - null) / (perfect - null) } else { f64::NAN }
        };
        for (name, values) in &mut rows {
            let chosen = |file: &ScoredSeries<'_>| {
                name == ALL_FILES || file.series.name == *name || file.series.group() == name.as_str()
            };
            values.push((profile, total(&chosen)));
        }
    }
    Ok(NormalisedScores { thresholds, rows })
}
