//! C-MAPSS, NASA's simulated turbofans (Saxena et al. 2008), run to failure.
//!
//! The truths of the test units are mostly kept apart, so the training units are split into folds of whole units by a seeded
//! shuffle: a line learns from the others' histories, and estimates the life left of each held-back unit, cut at seeded random
//! cycles. Where `RUL_FD001.txt` is there as well, the benchmark's own test is done too.

use std::{collections::BTreeMap, path::Path};

use crate::{
    Column, Error, Life, Line, Profile, Recording, Report, Row,
    metrics::{coverage, phm08, rmse},
    random::Random,
    read,
};

/// Folds of whole units.
pub const FOLDS: usize = 5;
/// Cuts of each held-back unit.
pub const CUTS: usize = 3;
/// The shortest part of a life that is judged, cycles: the shortest test unit of FD001 has 31.
pub const LEAST: usize = 31;
/// Lives are told apart up to here, cycles.
pub const CAP: f64 = 125.0;
const SEED: u64 = 1;
/// Between cycles, nanoseconds: an hour.
const STEP: i64 = 3_600_000_000_000;

const PROTOCOL: &str = "5 folds of whole training units (seeded), each held-back unit cut at 3 random cycles from 31 on to its \
                        last but one; target min(RUL, 125), estimates capped alike; estimates are the medians";

const COLUMNS: [Column; 8] = [
    Column { key: "units", title: "cuts", meaning: "estimates that were made", digits: 0 },
    Column { key: "rmse", title: "RMSE", meaning: "against min(RUL, 125), cycles", digits: 2 },
    Column { key: "rmse_uncapped", title: "uncapped", meaning: "RMSE against the RUL itself, cycles", digits: 2 },
    Column { key: "phm08", title: "PHM08", meaning: "sum of exp(-d/13)-1 early, exp(d/10)-1 late, capped", digits: 0 },
    Column { key: "phm08_mean", title: "per unit", meaning: "the same by estimate", digits: 2 },
    Column { key: "within", title: "in band %", meaning: "min(RUL, 125) within 10-90; 80 is right", digits: 1 },
    Column { key: "within_uncapped", title: "uncapped", meaning: "RUL itself within 10-90", digits: 1 },
    Column { key: "width", title: "width", meaning: "of the capped 10-90 band, mean, cycles", digits: 1 },
];

const NAMES: [&str; 24] = [
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

/// Estimates and truths.
#[derive(Debug, Default)]
struct Estimates {
    lives: Vec<Life>,
    truths: Vec<f64>,
}

impl Estimates {
    fn row(&self, name: &str) -> Row {
        let capped = |values: Vec<f64>| values.into_iter().map(|value| value.min(CAP)).collect::<Vec<f64>>();
        let raw: Vec<f64> = self.lives.iter().map(|life| life.q50).collect();
        let raw_bands: Vec<(f64, f64)> = self.lives.iter().map(|life| (life.q10, life.q90)).collect();
        let (estimates, truths) = (capped(raw.clone()), capped(self.truths.clone()));
        let bands: Vec<(f64, f64)> = raw_bands.iter().map(|(low, high)| (low.min(CAP), high.min(CAP))).collect();
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

/// Evaluates `line` on a folder with `train_FD001.txt`, or others of the four sets.
///
/// # Errors
/// [`Error`] when there is none or it is of another shape, or the line fails.
pub fn evaluate(line: &mut dyn Line, folder: &Path) -> Result<Report, Error> {
    let mut report = Report::new(Profile::Cmapss, PROTOCOL, &COLUMNS);
    let sets = read::files(folder, &[".txt"])?;
    let sets = sets.iter().filter_map(|path| {
        let name = read::name(path);
        name.strip_prefix("train_").and_then(|rest| rest.strip_suffix(".txt")).map(str::to_owned)
    });
    for set in sets {
        let units = units(&folder.join(format!("train_{set}.txt")))?;
        if units.len() < FOLDS {
            return Err(Error::layout(folder, format!("{FOLDS} units in train_{set}.txt"), units.len().to_string()));
        }
        let all = folds(line, &set, &units, &mut report)?;
        report.ours.push(all.row(&format!("{set}, held-back training units")));
        let (test, truths) = (folder.join(format!("test_{set}.txt")), folder.join(format!("RUL_{set}.txt")));
        if test.is_file() && truths.is_file() {
            let estimates = official(line, &units, &test, &truths)?;
            report.ours.push(estimates.row(&format!("{set}, test units at their last cycle")));
        } else {
            report.notes.push(format!("{set}: no true lives of the test units here, so they were not judged"));
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
        "published figures are of the test units, some with truths above 125 left as they are; ours are of held-back training \
         units unless it says so"
            .to_owned(),
    );
    Ok(report)
}

fn folds(line: &mut dyn Line, set: &str, units: &[Recording], report: &mut Report) -> Result<Estimates, Error> {
    let mut random = Random::new(SEED, 0);
    let mut order: Vec<usize> = (0..units.len()).collect();
    random.shuffle(&mut order);
    let mut all = Estimates::default();
    for fold in 0..FOLDS {
        let held = |place: usize| place % FOLDS == fold;
        let of = |wanted: bool| {
            let places = order.iter().enumerate().filter(move |(place, _)| held(*place) == wanted);
            places.filter_map(|(_, unit)| units.get(*unit))
        };
        let histories: Vec<Recording> = of(false).cloned().collect();
        let (mut running, mut truths) = (Vec::new(), Vec::new());
        for unit in of(true) {
            let cycles = unit.rows.len();
            for cut in 1..=CUTS {
                // From the least on to the last but one, so that some life is left.
                let least = LEAST.min(cycles.saturating_sub(1));
                let kept = least + random.below(u32::try_from(cycles - least).unwrap_or(1)) as usize;
                let part = unit.head(kept);
                running.push(Recording { asset: format!("{}-cut-{cut}", unit.asset), ..part });
                truths.push((cycles - kept) as f64);
            }
        }
        let lives = lives(line, &format!("{set}, fold {}", fold + 1), &histories, &running)?;
        let estimates = Estimates { lives, truths };
        report.files.push(estimates.row(&format!("{set}, fold {}", fold + 1)));
        all.lives.extend(estimates.lives);
        all.truths.extend(estimates.truths);
    }
    Ok(all)
}

/// The benchmark's own test.
fn official(line: &mut dyn Line, histories: &[Recording], test: &Path, truths: &Path) -> Result<Estimates, Error> {
    let running = units(test)?;
    let rows = read::blank_separated(truths)?;
    let found: Vec<f64> = rows.iter().filter_map(|row| row.first().copied()).collect();
    if found.len() != running.len() {
        return Err(Error::layout(truths, format!("{} lives", running.len()), found.len().to_string()));
    }
    let lives = lives(line, &read::name(test), histories, &running)?;
    Ok(Estimates { lives, truths: found })
}

fn lives(line: &mut dyn Line, what: &str, histories: &[Recording], running: &[Recording]) -> Result<Vec<Life>, Error> {
    let lives = line.lives(histories, running)?;
    if lives.len() != running.len() {
        return Err(Error::answer(what, format!("{} lives", running.len()), lives.len().to_string()));
    }
    match lives.iter().find(|life| !(life.q10 <= life.q50 && life.q50 <= life.q90 && life.q90.is_finite())) {
        Some(life) => Err(Error::answer(what, "quantiles in ascending order", format!("{life:?}"))),
        None => Ok(lives),
    }
}

/// The units of a file, in order.
fn units(path: &Path) -> Result<Vec<Recording>, Error> {
    let mut units: BTreeMap<u32, Recording> = BTreeMap::new();
    for (at, row) in read::blank_separated(path)?.into_iter().enumerate() {
        let [unit, cycle, values @ ..] = row.as_slice() else {
            return Err(Error::layout(path, "unit and cycle first", "less than two columns"));
        };
        if values.len() != NAMES.len() {
            return Err(Error::layout(path, "26 columns", (values.len() + 2).to_string()));
        }
        let recording = units.entry(*unit as u32).or_insert_with(|| Recording {
            asset: format!("unit-{unit}"),
            sensors: NAMES.map(str::to_owned).to_vec(),
            times: Vec::new(),
            rows: Vec::new(),
        });
        if *cycle != (recording.rows.len() + 1) as f64 {
            let expected = format!("cycle {} of unit {unit} in row {at}", recording.rows.len() + 1);
            return Err(Error::layout(path, expected, cycle.to_string()));
        }
        recording.times.push(*cycle as i64 * STEP);
        recording.rows.push(values.to_vec());
    }
    Ok(units.into_values().collect())
}
