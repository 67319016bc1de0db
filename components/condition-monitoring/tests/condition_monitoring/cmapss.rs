//! C-MAPSS FD001 with whole units held out and cut at random ages: at the lengths of the test set, and evenly.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
use crate::common::{self, Random};
use wheeltapper_condition_monitoring::life::{
    health::HealthBaseline, history::RunToFailure, library::Library, tracker::HealthTracker, wiener::DegradationModel,
};

const HORIZON: f64 = 125.0;

fn units(name: &str) -> Option<Vec<Vec<Vec<f64>>>> {
    let path = common::data("cmapss")?.join(name);
    let mut units: Vec<Vec<Vec<f64>>> = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let numbers: Vec<f64> = line.split_whitespace().map(|cell| cell.parse().unwrap()).collect();
        let unit = numbers[0] as usize;
        if units.len() < unit {
            units.push(Vec::new());
        }
        units[unit - 1].push(numbers[5..].to_vec());
    }
    Some(units)
}

fn phm08_score(difference: f64) -> f64 {
    if difference < 0.0 { (-difference / 13.0).exp() - 1.0 } else { (difference / 10.0).exp() - 1.0 }
}

#[derive(Default)]
struct Sums {
    count: f64,
    square: f64,
    score: f64,
    capped: f64,
    uncapped: f64,
    median: f64,
}

#[test]
fn held_out_units() {
    let (Some(train), Some(test)) = (units("train_FD001.txt"), units("test_FD001.txt")) else { return };
    let lengths: Vec<usize> = test.iter().map(Vec::len).collect();
    let mut random = Random(7);
    let mut order: Vec<usize> = (0..train.len()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last + 1));
    }
    let mut sums = [Sums::default(), Sums::default()];
    for fold in 0..5 {
        let held_out: Vec<usize> = order.iter().copied().skip(fold).step_by(5).collect();
        let library: Vec<RunToFailure> = (0..train.len())
            .filter(|unit| !held_out.contains(unit))
            .map(|unit| RunToFailure::new(&train[unit]).unwrap())
            .collect();
        let started = std::time::Instant::now();
        let library = Library::fit(&library, HORIZON).unwrap();
        let elapsed = started.elapsed();
        let text = serde_json::to_string(&library).unwrap();
        if fold == 0 {
            println!("fit of 80 units {elapsed:.1?}, state {} bytes as JSON", text.len());
        }
        let library: Library = serde_json::from_str(&text).unwrap();
        for unit in held_out {
            let life = train[unit].len();
            let mut tracker = HealthTracker::default();
            let predictions: Vec<_> = train[unit]
                .iter()
                .map(|row| {
                    library.push(&mut tracker, row);
                    library.remaining(&tracker).unwrap()
                })
                .collect();
            let short: Vec<usize> = lengths.iter().copied().filter(|length| *length < life).collect();
            for _ in 0..20 {
                for (sums, age) in sums.iter_mut().zip([short[random.below(short.len())], 31 + random.below(life - 31)])
                {
                    let prediction = predictions[age - 1];
                    let uncapped = (life - age) as f64;
                    let truth = uncapped.min(HORIZON);
                    sums.count += 1.0;
                    sums.square += (prediction.expected - truth).powi(2);
                    sums.median += (prediction.p50.min(HORIZON) - truth).powi(2);
                    sums.score += phm08_score(prediction.expected - truth);
                    let inside = prediction.p10.min(HORIZON) <= truth && truth <= prediction.p90.min(HORIZON);
                    sums.capped += f64::from(u8::from(inside));
                    sums.uncapped += f64::from(u8::from(prediction.p10 <= uncapped && uncapped <= prediction.p90));
                }
            }
        }
    }
    for (name, sums) in ["cut at the test set's lengths", "cut evenly"].iter().zip(&sums) {
        let n = sums.count;
        let rmse = (sums.square / n).sqrt();
        println!(
            "{name}: {n} cuts, RMSE {rmse:.2} (median's {:.2}), PHM08 {:.0} per 100 units, 10-90 % band holds {:.1} % (truth and band capped), {:.1} % (uncapped)",
            (sums.median / n).sqrt(),
            100.0 * sums.score / n,
            100.0 * sums.capped / n,
            100.0 * sums.uncapped / n
        );
        assert!(rmse <= 16.0);
        assert!((0.75..=0.85).contains(&(sums.uncapped / n)));
        assert!((0.75..=0.86).contains(&(sums.capped / n)));
    }
}

#[test]
fn a_library_of_few_units_is_enough() {
    let Some(train) = units("train_FD001.txt") else { return };
    for size in [10, 20, 40] {
        let (mut square, mut count, mut inside) = (0.0, 0.0, 0.0);
        for start in 0..3 {
            let chosen: Vec<usize> = (0..size).map(|index| (start * 33 + index * 2) % 100).collect();
            let units: Vec<RunToFailure> =
                chosen.iter().map(|unit| RunToFailure::new(&train[*unit]).unwrap()).collect();
            let library = Library::fit(&units, HORIZON).unwrap();
            for (unit, rows) in train.iter().enumerate().filter(|(unit, _)| !chosen.contains(unit)) {
                let mut tracker = HealthTracker::default();
                for (index, row) in rows.iter().enumerate() {
                    library.push(&mut tracker, row);
                    if index >= 30 && (index + unit) % 23 == 0 {
                        let prediction = library.remaining(&tracker).unwrap();
                        let truth = (rows.len() - 1 - index) as f64;
                        square += (prediction.expected - truth.min(HORIZON)).powi(2);
                        inside += f64::from(u8::from(prediction.p10 <= truth && truth <= prediction.p90));
                        count += 1.0;
                    }
                }
            }
        }
        println!(
            "library of {size}: RMSE {:.2}, band holds {:.1} %",
            f64::sqrt(square / count),
            100.0 * inside / count
        );
    }
}

#[test]
fn without_a_library() {
    let Some(train) = units("train_FD001.txt") else { return };
    let started = std::time::Instant::now();
    let index = |rows: &[Vec<f64>]| -> Vec<f64> {
        let start: Vec<&[f64]> = rows[..30].iter().map(Vec::as_slice).collect();
        let baseline = HealthBaseline::fit(&start).unwrap();
        rows.iter().map(|row| baseline.index(row)).collect()
    };
    let series: Vec<Vec<f64>> = train.iter().map(|rows| index(rows)).collect();
    // The limit that an engineer would set: the typical index at the end of life. Also 25 % below and 33 % above it.
    let mut ends: Vec<f64> = series.iter().map(|values| values[values.len() - 5..].iter().sum::<f64>() / 5.0).collect();
    let typical = wheeltapper_condition_monitoring::stats::median(&mut ends);
    let mut calls = 0;
    for limit in [typical, 0.75 * typical, 1.33 * typical] {
        let mut groups = [[0.0; 4]; 3];
        for (unit, values) in series.iter().enumerate() {
            let mut state = DegradationModel::new(&values[..30]).unwrap();
            for (age, value) in values.iter().enumerate().skip(30) {
                state.push(*value);
                if (age + unit) % 29 == 0 && age >= 40 {
                    let prediction = state.remaining(limit, 0.3).unwrap();
                    calls += 1;
                    let truth = (values.len() - 1 - age) as f64;
                    let group = &mut groups[if truth <= 30.0 { 0 } else { 1 + usize::from(truth > 80.0) }];
                    group[0] += 1.0;
                    group[1] += f64::from(u8::from(truth < prediction.p10));
                    group[2] += f64::from(u8::from(truth > prediction.p90));
                    group[3] += (prediction.p50.min(HORIZON) - truth.min(HORIZON)).powi(2);
                }
            }
        }
        for (name, [count, below, above, square]) in ["to 30", "31 to 80", "above 80"].iter().zip(groups) {
            let inside = 1.0 - (below + above) / count;
            println!(
                "limit {limit:.2}, true life {name}: {count} cuts, band holds {:.0} % (below {:.0} %, above {:.0} %), RMSE of the median {:.1}",
                100.0 * inside,
                100.0 * below / count,
                100.0 * above / count,
                f64::sqrt(square / count)
            );
            assert!(inside > 0.7);
        }
    }
    println!("{:.2} ms a call", started.elapsed().as_secs_f64() * 1e3 / f64::from(calls));
}
