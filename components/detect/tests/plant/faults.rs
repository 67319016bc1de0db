//! Faults are found with default settings, before half of the way to the limit, and stay open.

use wheeltapper_alert::Severity;

use crate::{
    chain::{Chain, Episode, Outcome},
    machine::{ASSET, CONFIG, Pump, Readings, SENSORS, Source},
    report, seeds,
};

fn run(readings: &Readings) -> Outcome {
    let mut chain = Chain::open(CONFIG);
    chain.push(&SENSORS, readings);
    chain.finish()
}

/// Asserts that an alert opened within these hours and is still open; returns it.
fn expect_found(name: &str, seed: u64, outcome: &Outcome, from: f64, until: f64) -> Episode {
    report(name, seed, outcome);
    let early = outcome.opened_between(0.0, from);
    assert!(early.is_empty(), "{name}, seed {seed}: {early:?}");
    let found = outcome.opened_between(from, until);
    let open = found.iter().find(|episode| episode.resolved.is_none());
    let episode =
        open.unwrap_or_else(|| panic!("{name}, seed {seed}: no open alert from {from} to {until} h: {found:?}"));
    println!("    found after {:.2} h of {:.2} h", episode.opened - from, until - from);
    assert!(
        episode.severity <= Severity::Medium,
        "{name}, seed {seed}: nothing physical is beyond a limit: {episode:?}"
    );
    episode.clone()
}

#[test]
fn wear_over_three_days() {
    for seed in seeds() {
        // The load stays, or changes every few hours.
        let load = |hour: f64| if seed % 2 == 0 || (hour / 5.0).fract() < 0.5 { 1.0 } else { 0.75 };
        let start = Source::new(seed + 80).between(24.0, 72.0);
        let worn = |hour: f64, index: usize, value: f64| {
            let along = ((hour - start) / 72.0).clamp(0.0, 1.0);
            Some(match index {
                0 => value * (1.0 + along),
                1 => value + 20.0 * along,
                _ => value,
            })
        };
        let outcome = run(&Pump::of_seed(seed).run(seed, start + 72.0, load, worn));
        expect_found("wear", seed, &outcome, start, start + 0.4 * 72.0);
    }
}

#[test]
fn wear_of_one_sensor_over_two_weeks() {
    for seed in seeds() {
        let start = 96.0;
        let pump = Pump { interval: 10, ..Pump::of_seed(seed) };
        let index = (seed % 2) as usize;
        let worn = |hour: f64, at: usize, value: f64| {
            let along = ((hour - start) / 336.0).clamp(0.0, 1.0);
            Some(match (at == index, index) {
                (true, 0) => value * (1.0 + 1.5 * along),
                (true, _) => value + 25.0 * along,
                _ => value,
            })
        };
        let outcome = run(&pump.run(seed, start + 336.0, |_| 1.0, worn));
        expect_found("slow wear", seed, &outcome, start, start + 0.4 * 336.0);
    }
}

#[test]
fn a_sudden_fault() {
    for seed in seeds() {
        let start = Source::new(seed + 90).between(6.0, 40.0);
        let broken =
            |hour: f64, index: usize, value: f64| Some(if hour >= start && index == 0 { 2.5 * value } else { value });
        let outcome = run(&Pump::of_seed(seed).run(seed, start + 4.0, |_| 1.0, broken));
        let found = expect_found("sudden", seed, &outcome, start, start + 0.5);
        assert!(found.sensor.ends_with("vibration"), "{found:?}");
    }
}

#[test]
fn a_glitch_and_then_a_fault() {
    for seed in seeds() {
        let start = 20.0;
        let broken = |hour: f64, index: usize, value: f64| {
            let second = ((hour - start) * 3600.0).round() as i64;
            Some(match index {
                0 if (-600..-598).contains(&second) => 80.0 * value,
                0 if second >= 0 => 2.5 * value,
                _ => value,
            })
        };
        let outcome = run(&Pump::of_seed(seed).run(seed, start + 4.0, |_| 1.0, broken));
        expect_found("glitch and fault", seed, &outcome, start, start + 0.5);
    }
}

#[test]
fn faulty_while_it_is_learnt_and_then_repaired() {
    for seed in seeds() {
        let repaired = |hour: f64, index: usize, value: f64| {
            Some(match index {
                0 if hour < 30.0 => 2.5 * value,
                1 if hour < 30.0 => value + 12.0,
                _ => value,
            })
        };
        let outcome = run(&Pump::of_seed(seed).run(seed, 60.0, |_| 1.0, repaired));
        report("repaired", seed, &outcome);
        // Told as changed, and no alert.
        let told: Vec<_> = outcome.drifts.iter().filter(|(hour, _)| *hour > 30.0).collect();
        assert!(told.first().is_some_and(|(hour, _)| *hour < 31.0) && told.len() <= 3, "{told:?}");
        assert!(outcome.episodes().is_empty(), "{:?}", outcome.episodes());

        // The repair is reported: the fault that comes back is found, though it was learnt first.
        let mut chain = Chain::open(CONFIG);
        let again = |hour: f64, index: usize, value: f64| {
            Some(match index {
                0 if !(30.0..50.0).contains(&hour) => 2.5 * value,
                _ => value,
            })
        };
        let readings = Pump::of_seed(seed).run(seed, 54.0, |_| 1.0, again);
        let repair = readings.partition_point(|reading| reading.1 < crate::machine::T0 + 30 * 3600 * crate::machine::S);
        chain.push(&SENSORS, &readings[..repair].to_vec());
        chain.reset_baseline(ASSET);
        chain.push(&SENSORS, &readings[repair..].to_vec());
        expect_found("fault again", seed, &chain.finish(), 50.0, 51.0);
    }
}
