//! Ordinary behaviour raises no alert once it was seen.

use wheeltapper_alert::Severity;

use crate::{
    chain::{Chain, Outcome},
    machine::{CONFIG, Pump, Readings, SENSORS, Source},
    report, seeds,
};

fn run(readings: &Readings) -> Outcome {
    let mut chain = Chain::open(CONFIG);
    chain.push(&SENSORS, readings);
    chain.finish()
}

fn healthy(_: f64, _: usize, value: f64) -> Option<f64> {
    Some(value)
}

/// Asserts that no alert opened from this hour on.
fn expect_quiet(name: &str, seed: u64, outcome: &Outcome, from: f64) {
    report(name, seed, outcome);
    let alerts = outcome.opened_between(from, f64::INFINITY);
    assert!(alerts.is_empty(), "{name}, seed {seed}: {alerts:?}");
    assert!(outcome.worst() <= Some(Severity::Medium), "{name}, seed {seed}: {:?}", outcome.worst());
    assert!(outcome.scored > 0, "{name}, seed {seed}: nothing was judged");
}

#[test]
fn steady() {
    for seed in seeds() {
        let outcome = run(&Pump::of_seed(seed).run(seed, 60.0, |_| 1.0, healthy));
        expect_quiet("steady", seed, &outcome, 0.0);
    }
}

#[test]
fn switched_on_and_off() {
    for seed in seeds() {
        let mut source = Source::new(seed + 50);
        let (period, share) = (source.between(0.5, 8.0), source.between(0.3, 0.8));
        let load = |hour: f64| if (hour / period).fract() < share { 1.0 } else { 0.0 };
        let outcome = run(&Pump::of_seed(seed).run(seed, 60.0, load, healthy));
        expect_quiet("on and off", seed, &outcome, 0.0);
    }
}

#[test]
fn two_loads_in_turn() {
    for seed in seeds() {
        let mut source = Source::new(seed + 60);
        let (period, low) = (source.between(0.5, 12.0), source.between(0.4, 0.8));
        let load = |hour: f64| if (hour / period).fract() < 0.5 { 1.0 } else { low };
        let outcome = run(&Pump::of_seed(seed).run(seed, 60.0, load, healthy));
        expect_quiet("two loads", seed, &outcome, period);
    }
}

#[test]
fn batches() {
    for seed in seeds() {
        let mut source = Source::new(seed + 70);
        let period = source.between(0.2, 0.5);
        // Fill, heat, stir, empty, pause.
        let load = |hour: f64| match (hour / period).fract() {
            phase if phase < 0.2 => 0.6,
            phase if phase < 0.5 => 1.0,
            phase if phase < 0.7 => 0.8,
            phase if phase < 0.85 => 0.4,
            _ => 0.0,
        };
        let outcome = run(&Pump::of_seed(seed).run(seed, 60.0, load, healthy));
        expect_quiet("batches", seed, &outcome, 0.0);
    }
}

#[test]
fn an_energy_counter_beside_the_sensors() {
    const WITH_COUNTER: [(&str, &str); 4] = [
        SENSORS[0],
        SENSORS[1],
        SENSORS[2],
        // No name or kind says that it counts.
        ("p/hall/pump/e1", "p/hall/pump"),
    ];
    for seed in seeds() {
        let pump = Pump::of_seed(seed);
        let load = |hour: f64| if (hour / 6.0).fract() < 0.5 { 1.0 } else { 0.7 };
        let mut readings = pump.run(seed, 60.0, load, healthy);
        let mut energy = 1000.0 * seed as f64;
        let step = [0.1, 0.01, 1.0][(seed % 3) as usize];
        let currents: Vec<(i64, f64)> = readings.iter().filter(|one| one.0 == 2).map(|one| (one.1, one.2)).collect();
        for (time, current) in currents {
            energy += 0.4 * current / 3600.0;
            readings.push((3, time, (energy / step).floor() * step));
        }
        readings.sort_by_key(|reading| reading.1);
        let mut chain = Chain::open(CONFIG);
        chain.push(&WITH_COUNTER, &readings);
        expect_quiet("counter", seed, &chain.finish(), 6.0);
    }
}

#[test]
fn a_temperature_in_whole_degrees() {
    for seed in seeds() {
        let whole = |_: f64, index: usize, value: f64| Some(if index == 1 { value.round() } else { value });
        let outcome = run(&Pump { noise: [0.05, 0.02, 0.01], ..Pump::of_seed(seed) }.run(seed, 60.0, |_| 1.0, whole));
        expect_quiet("whole degrees", seed, &outcome, 0.0);
    }
}

#[test]
fn off_while_it_is_learnt() {
    for seed in seeds() {
        let load = |hour: f64| if hour < 10.0 { 0.0 } else { 1.0 };
        let outcome = run(&Pump::of_seed(seed).run(seed, 60.0, load, healthy));
        expect_quiet("off at first", seed, &outcome, 0.0);
    }
}

#[test]
fn a_reading_a_minute_with_a_day_cycle() {
    for seed in seeds() {
        let pump = Pump { interval: 60, day: 3.0 + seed as f64, ..Pump::of_seed(seed) };
        let outcome = run(&pump.run(seed, 480.0, |_| 1.0, healthy));
        expect_quiet("day cycle", seed, &outcome, 0.0);
    }
}

#[test]
fn a_reading_an_hour() {
    for seed in seeds() {
        let pump = Pump { interval: 3600, day: 4.0, ..Pump::of_seed(seed) };
        // One outlier in fifty readings.
        let outliers = |hour: f64, index: usize, value: f64| {
            Some(if index == 0 && (hour as i64 + 7) % 50 == 0 { 5.0 * value } else { value })
        };
        let outcome = run(&pump.run(seed, 2400.0, |_| 1.0, outliers));
        expect_quiet("hourly", seed, &outcome, 0.0);
        let first = outcome.anomalies.first();
        assert!(first.is_none_or(|(hour, ..)| *hour > 48.0), "{first:?}");
    }
}

#[test]
fn day_and_night_shifts() {
    for seed in seeds() {
        let load = |hour: f64| match (hour / 24.0).fract() {
            phase if phase < 0.33 => 1.0,
            phase if phase < 0.66 => 0.8,
            _ => 0.0,
        };
        let outcome = run(&Pump::of_seed(seed).run(seed, 240.0, load, healthy));
        expect_quiet("shifts", seed, &outcome, 24.0);
    }
}

#[test]
fn glitches_of_two_seconds() {
    for seed in seeds() {
        let glitch = |hour: f64, index: usize, value: f64| {
            let second = (hour * 3600.0).round() as i64;
            Some(if index == seed as usize % 3 && (second + 500) % 9973 < 2 { 50.0 * value } else { value })
        };
        let outcome = run(&Pump::of_seed(seed).run(seed, 60.0, |_| 1.0, glitch));
        expect_quiet("glitches", seed, &outcome, 0.0);
    }
}
