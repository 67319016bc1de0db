//! C-MAPSS, NASA's simulated turbofans (Saxena et al. 2008), run to failure.
//!
//! The true remaining lives of the test units are often not available. So the training units are split into folds of
//! whole units by a seeded shuffle. For each fold, the pipeline learns from the other units and estimates the remaining
//! useful life (RUL) of each held-back unit, truncated at seeded random cycles. If `RUL_FD001.txt` exists, the
//! benchmark's own test is run too.

use std::{collections::BTreeMap, path::Path};

use crate::{
    Benchmark, Column, Error, Pipeline, Recording, RemainingLife, Report, Row,
    metrics::{coverage, phm08, rmse},
    random::Random,
    read,
};

/// Number of folds of whole units.
pub const FOLDS: usize = 5;
/// Number of truncations of each held-back unit.
pub const CUTS_PER_UNIT: usize = 3;
/// Minimum number of cycles before a truncation; the shortest test unit of FD001 has 31.
pub const MIN_CYCLES: usize = 31;
/// Cap of the remaining useful life, in cycles; larger values count as this.
pub const RUL_CAP: f64 = 125.0;
const SEED: u64 = 1;
/// Time between cycles in nanoseconds: one hour.
const CYCLE_NANOSECONDS: i64 = 3_600_000_000_000;

const PROTOCOL: &str = "5 folds of whole training units (seeded), each held-back unit truncated at 3 random cycles from 31 to \
                        its last but one; target min(RUL, 125), estimates capped likewise; estimates are the medians";

const COLUMNS: [Column; 8] = [
    Column { key: "units", title: "cuts", meaning: "number of estimates", digits: 0 },
    Column { key: "rmse", title: "RMSE", meaning: "against min(RUL, 125), cycles", digits: 2 },
    Column { key: "rmse_uncapped", title: "uncapped", meaning: "RMSE against the uncapped RUL, cycles", digits: 2 },
    Column { key: "phm08", title: "PHM08", meaning: "sum of exp(-d/13)-1 early, exp(d/10)-1 late, capped", digits: 0 },
    Column { key: "phm08_mean", title: "per unit", meaning: "PHM08 per estimate", digits: 2 },
    Column {
        key: "within",
        title: "in band %",
        meaning: "min(RUL, 125) within the 10-90 band; 80 is ideal",
        digits: 1,
    },
    Column { key: "within_uncapped", title: "uncapped", meaning: "uncapped RUL within the 10-90 band", digits: 1 },
    Column { key: "width", title: "width", meaning: "mean width of the capped 10-90 band, cycles", digits: 1 },
];

const SENSOR_NAMES: [&str; 24] = [
    "setting1",
    "setting2",
    "setting3",
    "T2",
    "T24",
    "T30",
    "T50",
    "P2",
    "P15",
    "P30",
    "Nf",
    "Nc",
    "epr",
    "Ps30",
    "phi",
    "NRf",
    "NRc",
    "BPR",
    "farB",
    "htBleed",
    "Nf_dmd",
    "PCNfR_dmd",
    "W31",
    "W32",
];

/// Estimated and true remaining lives, in the same order.
#[derive(Debug, Default)]
struct RulEstimates {
    lives: Vec<RemainingLife>,
    truths: Vec<f64>,
}

impl RulEstimates {
    fn row(&self, name: &str) -> Row {
        let capped = |values: Vec<f64>| values.into_iter().map(|value| value.min(RUL_CAP)).collect::<Vec<f64>>();
        let raw: Vec<f64> = self.lives.iter().map(|life| life.q50).collect();
        let raw_bands: Vec<(f64, f64)> = self.lives.iter().map(|life| (life.q10, life.q90)).collect();
        let (estimates, truths) = (capped(raw.clone()), capped(self.truths.clone()));
        let bands: Vec<(f64, f64)> =
            raw_bands.iter().map(|(low, high)| (low.min(RUL_CAP), high.min(RUL_CAP))).collect();
        let count = self.truths.len() as f64;
        let score = phm08(&estimates, &truths);
        Row::new(
            name,
            &[
                ("units", count),
                ("rmse", rmse(&estimates, &truths)),
                ("rmse_uncapped", rmse(&raw, &self.truths)),
                ("phm08", score),
                ("phm08_mean", score / count),
                ("within", coverage(&bands, &truths)),
                ("within_uncapped", coverage(&raw_bands, &self.truths)),
                ("width", bands.iter().map(|(low, high)| high - low).sum::<f64>() / count),
            ],
        )
    }
}

/// Evaluates a pipeline on a folder with `train_FD001.txt` or other sets of the four.
///
/// # Errors
/// [`Error`] if no set is true_lives, a file has another layout, or the pipeline fails.
pub fn evaluate(pipeline: &mut dyn Pipeline, folder: &Path) -> Result<Report, Error> {
    let mut report = Report::new(Benchmark::Cmapss, PROTOCOL, &COLUMNS);
    let sets = read::files(folder, &[".txt"])?;
    let sets = sets.iter().filter_map(|path| {
        let name = read::file_name(path);
        name.strip_prefix("train_").and_then(|rest| rest.strip_suffix(".txt")).map(str::to_owned)
    });
    for set in sets {
        let units = read_units(&folder.join(format!("train_{set}.txt")))?;
        if units.len() < FOLDS {
            return Err(Error::layout(folder, format!("{FOLDS} units in train_{set}.txt"), units.len().to_string()));
        }
        let all = evaluate_folds(pipeline, &set, &units, &mut report)?;
        report.ours.push(all.row(&format!("{set}, held-back training units")));
        let (test, truths) = (folder.join(format!("test_{set}.txt")), folder.join(format!("RUL_{set}.txt")));
        if test.is_file() && truths.is_file() {
            let estimates = evaluate_test_set(pipeline, &units, &test, &truths)?;
            report.ours.push(estimates.row(&format!("{set}, test units at their last cycle")));
        } else {
            report.notes.push(format!("{set}: no true lives of the test units found; they are not evaluated"));
        }
    }
    if report.ours.is_empty() {
        return Err(Error::layout(folder, "train_FD001.txt", "none"));
    }
    report.publish(
        ["rmse"],
        &[
            ("CNN 2016 (FD001, test units)", [18.4]),
            ("1-D CNN (2026)", [16.97]),
            ("deep LSTM (Zheng 2017)", [16.14]),
            ("plain LSTM (2026)", [14.93]),
            ("DKAMFormer (secondary source)", [10.68]),
            ("AMNL (secondary source)", [10.43]),
            ("deep LSTM (FD003, test units)", [16.18]),
            ("CNN (FD003)", [15.68]),
            ("LSTM (FD003)", [14.20]),
            ("XGBoost on features (FD003)", [13.36]),
        ],
    );
    report.notes.push(
        "published figures are for the test units, some with uncapped truths above 125; ours are for held-back training \
         units unless stated otherwise"
            .to_owned(),
    );
    Ok(report)
}

fn evaluate_folds(
    pipeline: &mut dyn Pipeline,
    set: &str,
    units: &[Recording],
    report: &mut Report,
) -> Result<RulEstimates, Error> {
    let mut random = Random::new(SEED, 0);
    let mut order: Vec<usize> = (0..units.len()).collect();
    random.shuffle(&mut order);
    let mut all = RulEstimates::default();
    for fold in 0..FOLDS {
        let is_held_back = |index: usize| index % FOLDS == fold;
        let units_of = |held_back: bool| {
            let chosen = order.iter().enumerate().filter(move |(index, _)| is_held_back(*index) == held_back);
            chosen.filter_map(|(_, unit)| units.get(*unit))
        };
        let histories: Vec<Recording> = units_of(false).cloned().collect();
        let (mut running, mut truths) = (Vec::new(), Vec::new());
        for unit in units_of(true) {
            let cycles = unit.rows.len();
            for cut in 1..=CUTS_PER_UNIT {
                // From the minimum to the last but one cycle, so that some life remains.
                let minimum = MIN_CYCLES.min(cycles.saturating_sub(1));
                let length = minimum + random.below(u32::try_from(cycles - minimum).unwrap_or(1)) as usize;
                let truncated = unit.head(length);
                running.push(Recording { asset: format!("{}-cut-{cut}", unit.asset), ..truncated });
                truths.push((cycles - length) as f64);
            }
        }
        let lives = estimate_lives(pipeline, &format!("{set}, fold {}", fold + 1), &histories, &running)?;
        let estimates = RulEstimates { lives, truths };
        report.files.push(estimates.row(&format!("{set}, fold {}", fold + 1)));
        all.lives.extend(estimates.lives);
        all.truths.extend(estimates.truths);
    }
    Ok(all)
}

/// Runs the benchmark's own test on the test units.
fn evaluate_test_set(
    pipeline: &mut dyn Pipeline,
    histories: &[Recording],
    test: &Path,
    truths: &Path,
) -> Result<RulEstimates, Error> {
    let running = read_units(test)?;
    let rows = read::read_blank_separated(truths)?;
    let true_lives: Vec<f64> = rows.iter().filter_map(|row| row.first().copied()).collect();
    if true_lives.len() != running.len() {
        return Err(Error::layout(truths, format!("{} lives", running.len()), true_lives.len().to_string()));
    }
    let lives = estimate_lives(pipeline, &read::file_name(test), histories, &running)?;
    Ok(RulEstimates { lives, truths: true_lives })
}

fn estimate_lives(
    pipeline: &mut dyn Pipeline,
    what: &str,
    histories: &[Recording],
    running: &[Recording],
) -> Result<Vec<RemainingLife>, Error> {
    let lives = pipeline.estimate_remaining_life(histories, running)?;
    if lives.len() != running.len() {
        return Err(Error::invalid_result(what, format!("{} lives", running.len()), lives.len().to_string()));
    }
    match lives.iter().find(|life| !(life.q10 <= life.q50 && life.q50 <= life.q90 && life.q90.is_finite())) {
        Some(life) => Err(Error::invalid_result(what, "quantiles in ascending order", format!("{life:?}"))),
        None => Ok(lives),
    }
}

/// Reads the units of a file, ordered by number.
fn read_units(path: &Path) -> Result<Vec<Recording>, Error> {
    let mut units: BTreeMap<u32, Recording> = BTreeMap::new();
    for (at, row) in read::read_blank_separated(path)?.into_iter().enumerate() {
        let [unit, cycle, values @ ..] = row.as_slice() else {
            return Err(Error::layout(path, "unit and cycle first", "less than two columns"));
        };
        if values.len() != SENSOR_NAMES.len() {
            return Err(Error::layout(path, "26 columns", (values.len() + 2).to_string()));
        }
        let recording = units.entry(*unit as u32).or_insert_with(|| Recording {
            asset: format!("unit-{unit}"),
            sensors: SENSOR_NAMES.map(str::to_owned).to_vec(),
            times: Vec::new(),
            rows: Vec::new(),
        });
        if *cycle != (recording.rows.len() + 1) as f64 {
            let expected = format!("cycle {} of unit {unit} in row {at}", recording.rows.len() + 1);
            return Err(Error::layout(path, expected, cycle.to_string()));
        }
        recording.times.push(*cycle as i64 * CYCLE_NANOSECONDS);
        recording.rows.push(values.to_vec());
    }
    Ok(units.into_values().collect())
}
