//! A faulty sensor has an alert of its own, and the machine is still judged by the others.

use wheeltapper_alert::Severity;

use crate::{
    chain::{Chain, Outcome},
    machine::{CONFIG, Pump, Readings, SENSORS, Source},
    report, seeds,
};

const START: f64 = 20.0;

fn run(readings: &Readings) -> Outcome {
    let mut chain = Chain::open(CONFIG);
    chain.push(&SENSORS, readings);
    chain.finish()
}

/// Asserts that the sensor has an alert with this mode, and nothing else an alert.
fn expect_sensor_fault(name: &str, seed: u64, outcome: &Outcome, sensor: &str, mode: &str) {
    report(name, seed, outcome);
    let episodes = outcome.episodes();
    let [only] = episodes.as_slice() else { panic!("{name}, seed {seed}: {episodes:?}") };
    assert!(only.opened > START && only.opened < START + 3.0, "{name}, seed {seed}: {only:?}");
    assert!(only.sensor.ends_with(sensor) && only.fault_mode.as_deref() == Some(mode), "{name}, seed {seed}: {only:?}");
    assert!(only.resolved.is_none() && only.severity <= Severity::Medium, "{name}, seed {seed}: {only:?}");
}

fn faulty(seed: u64, sensor: usize, fault: impl Fn(f64, f64, &mut Source) -> Option<f64>) -> Outcome {
    let source = std::cell::RefCell::new(Source::new(seed + 300));
    let load = |hour: f64| if seed % 2 == 0 || (hour / 3.0).fract() < 0.5 { 1.0 } else { 0.8 };
    let readings = Pump::of_seed(seed).run(seed, 30.0, load, |hour, index, value| {
        if index == sensor && hour >= START { fault(hour, value, &mut source.borrow_mut()) } else { Some(value) }
    });
    run(&readings)
}

#[test]
fn a_dead_sensor_does_not_hide_a_fault() {
    for seed in seeds() {
        let dead = |hour: f64, index: usize, value: f64| {
            Some(match index {
                1 if hour >= START => 21.5,
                0 if hour >= START + 4.0 => 2.5 * value,
                _ => value,
            })
        };
        let outcome = run(&Pump::of_seed(seed).run(seed, START + 8.0, |_| 1.0, dead));
        report("dead sensor", seed, &outcome);
        let episodes = outcome.episodes();
        let [sensor, machine] = episodes.as_slice() else { panic!("seed {seed}: {episodes:?}") };
        assert_eq!(sensor.fault_mode.as_deref(), Some("sensor-stuck"), "seed {seed}: {sensor:?}");
        assert!(sensor.sensor.ends_with("temperature") && sensor.opened < START + 3.0, "seed {seed}: {sensor:?}");
        assert!(machine.sensor.ends_with("vibration"), "seed {seed}: {machine:?}");
        assert!((START + 4.0..START + 4.5).contains(&machine.opened), "seed {seed}: {machine:?}");
    }
}

#[test]
fn stuck() {
    for seed in seeds() {
        for (index, name) in ["vibration", "temperature"].into_iter().enumerate() {
            let held = std::cell::Cell::new(f64::NAN);
            let outcome = faulty(seed, index, |_, value, _| {
                if held.get().is_nan() {
                    held.set(value);
                }
                Some(held.get())
            });
            expect_sensor_fault("stuck", seed, &outcome, name, "sensor-stuck");
        }
    }
}

#[test]
fn dropouts() {
    for seed in seeds() {
        let index = (seed % 3) as usize;
        let outcome = faulty(seed, index, |_, value, source| (source.uniform() > 0.4).then_some(value));
        let name = ["vibration", "temperature", "current"][index];
        expect_sensor_fault("dropouts", seed, &outcome, name, "sensor-dropout");
    }
}

#[test]
fn silent() {
    for seed in seeds() {
        let index = (seed % 2) as usize;
        let outcome = faulty(seed, index, |_, _, _| None);
        expect_sensor_fault("silent", seed, &outcome, ["vibration", "temperature"][index], "sensor-dropout");
    }
}

#[test]
fn spikes() {
    for seed in seeds() {
        let outcome =
            faulty(seed, 1, |_, value, source| Some(if source.uniform() < 0.06 { value + 80.0 } else { value }));
        expect_sensor_fault("spikes", seed, &outcome, "temperature", "sensor-spikes");
    }
}

#[test]
fn noise() {
    for seed in seeds() {
        let outcome = faulty(seed, 1, |_, value, source| Some(value + 6.0 * source.normal()));
        expect_sensor_fault("noise", seed, &outcome, "temperature", "sensor-noise");
    }
}

#[test]
fn a_step() {
    for seed in seeds() {
        let outcome = faulty(seed, 1, |_, value, _| Some(value + 25.0));
        expect_sensor_fault("step", seed, &outcome, "temperature", "sensor-step");
    }
}
