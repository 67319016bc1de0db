//! The plants: the same seed gives the same readings, and each behaviour shows as described.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use wheeltapper_simulate::{Delivery, Fault, Plant, SCENARIOS, Scenario, ScenarioClass, TrueFaultKind};

const DAY: f64 = 86_400.0;
const DAY_NS: i64 = 86_400_000_000_000;

fn plant(name: &str, seed: u64) -> Plant {
    Scenario::named(name).unwrap().plant(seed, 30.0)
}

/// Time in days and value of each reading, by the last part of the sensor's id.
fn readings(plant: &mut Plant, days: f64) -> BTreeMap<String, Vec<(f64, f64)>> {
    let Delivery { readings, .. } = plant.advance(days * DAY);
    let mut all: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for reading in readings {
        let name = plant.sensors()[reading.sensor].id.rsplit('/').next().unwrap().to_owned();
        let day = (reading.time_ns - plant.start_ns()) as f64 / DAY_NS as f64;
        all.entry(name).or_default().push((day, reading.value));
    }
    all
}

fn mean(values: &[(f64, f64)], from: f64, until: f64) -> f64 {
    let part: Vec<f64> =
        values.iter().filter(|(day, _)| (from..until).contains(day)).map(|(_, value)| *value).collect();
    part.iter().sum::<f64>() / part.len() as f64
}

#[test]
fn the_same_seed_gives_the_same_plant_and_another_seed_another() {
    for scenario in SCENARIOS {
        let run = |seed| {
            let mut plant = scenario.plant(seed, 30.0);
            let truth = plant.truth();
            (plant.advance(0.3 * DAY), truth, plant.config_toml())
        };
        assert!(run(1) == run(1), "{}", scenario.name);
        assert!(run(1).0 != run(2).0, "{}", scenario.name);
    }
}

#[test]
fn a_delivery_does_not_depend_on_how_often_it_is_asked_for() {
    let mut whole = plant("loads-in-turn", 3);
    let mut parts = plant("loads-in-turn", 3);
    let all = whole.advance(DAY).readings;
    let in_parts: Vec<_> = (1..=1000).flat_map(|part| parts.advance(f64::from(part) * DAY / 1000.0).readings).collect();
    assert!(all == in_parts && !all.is_empty());
}

#[test]
fn each_scenario_has_the_truth_of_its_class() {
    for scenario in SCENARIOS {
        for seed in 1..=5 {
            let truth = scenario.plant(seed, 30.0).truth();
            let is = |class: fn(&TrueFaultKind) -> bool| truth.faults.iter().any(|fault| class(&fault.kind));
            let (machine, sensor, no_data) = (
                is(|kind| matches!(kind, TrueFaultKind::Machine(_))),
                is(|kind| matches!(kind, TrueFaultKind::Sensor(_))),
                is(|kind| *kind == TrueFaultKind::NoData),
            );
            let fits = match scenario.class {
                ScenarioClass::Healthy => !machine && !sensor && !no_data,
                ScenarioClass::Fault | ScenarioClass::SlowWear => machine && !no_data,
                ScenarioClass::SensorFault => sensor && !machine && !no_data,
                ScenarioClass::NoData => no_data && !machine && !sensor,
            };
            assert!(fits, "{} {seed}: {truth:?}", scenario.name);
            let (start, end) = truth.span_ns;
            for fault in &truth.faults {
                let in_order = start <= fault.onset_ns && fault.onset_ns < fault.limit_ns && fault.end_ns <= end;
                assert!(in_order && fault.limit_ns <= end, "{} {seed}: {fault:?}", scenario.name);
            }
        }
    }
}

#[test]
fn configurations_are_valid_and_list_every_sensor() {
    for scenario in SCENARIOS {
        let plant = scenario.plant(1, 30.0);
        let config = wheeltapper_config::parse(&plant.config_toml(), scenario.name).unwrap();
        let listed: Vec<String> = config.sensors().map(|sensor| sensor.id).collect();
        let sent: Vec<String> = plant.sensors().iter().map(|sensor| sensor.id.clone()).collect();
        assert!(listed.is_empty() || listed == sent, "{}: {listed:?} {sent:?}", scenario.name);
    }
}

#[test]
fn readings_are_physically_possible() {
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.class != ScenarioClass::SensorFault) {
        let mut plant = scenario.plant(4, 30.0);
        let limits: Vec<_> = plant.sensors().iter().map(|sensor| sensor.limits).collect();
        for reading in plant.advance(3.0 * DAY).readings {
            let limits = limits[reading.sensor];
            assert!((limits.min..=limits.max).contains(&reading.value), "{}: {reading:?}", scenario.name);
        }
    }
}

#[test]
fn a_machine_that_stands_still_cools_and_does_not_vibrate() {
    let mut plant = plant("working-week", 2);
    let all = readings(&mut plant, 14.0);
    let running = |day: f64| all["speed"].iter().find(|(at, _)| *at >= day).unwrap().1 > 0.0;
    let mut compared = 0;
    for day in 0..14 {
        let (night, noon) = (f64::from(day) + 4.0 / 24.0, f64::from(day) + 14.0 / 24.0);
        if running(noon) {
            let around = |name: &str, at: f64| mean(&all[name], at - 0.02, at + 0.02);
            assert!(around("bearing-temperature", noon) > around("bearing-temperature", night) + 8.0);
            assert!(around("vibration-rms", night) < 0.1 && around("vibration-rms", noon) > 0.4);
            assert!(around("current", night) < 0.5);
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared}");
}

#[test]
fn wear_heats_the_bearing_by_20_k_and_doubles_the_vibration_until_the_repair() {
    for seed in 1..=4 {
        let mut plant = plant("wear-in-days", seed);
        let truth = plant.truth();
        let fault = &truth.faults[0];
        let day = |ns: i64| (ns - truth.span_ns.0) as f64 / DAY_NS as f64;
        let (onset, limit, end) = (day(fault.onset_ns), day(fault.limit_ns), day(fault.end_ns));
        let all = readings(&mut plant, 30.0);
        let temperature = |from, until| mean(&all["bearing-temperature"], from, until);
        let vibration = |from, until| mean(&all["vibration-rms"], from, until);
        let rise = temperature(limit, end) - temperature(onset - 2.0, onset);
        assert!((15.0..25.0).contains(&rise), "{rise}");
        let ratio = vibration(limit, end) / vibration(onset - 2.0, onset);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        let after = temperature(end + 0.5, end + 2.0) - temperature(onset - 2.0, onset);
        assert!(after.abs() < 6.0, "{after}");
        assert!(fault.way(fault.limit_ns) > 0.999 && fault.way(fault.onset_ns) < 0.001);
    }
}

#[test]
fn sensors_have_their_interval_and_coarse_ones_their_steps() {
    let mut hourly = plant("hourly-sensors", 1);
    assert!((23..=25).contains(&readings(&mut hourly, 1.0)["bearing-temperature"].len()));
    let mut coarse = plant("whole-degrees", 1);
    assert!(readings(&mut coarse, 1.0)["bearing-temperature"].iter().all(|(_, value)| value.fract() == 0.0));
}

#[test]
fn an_energy_counter_never_falls_and_follows_the_load() {
    let mut plant = plant("energy-counter", 1);
    let energy = &readings(&mut plant, 5.0)["energy"];
    assert!(energy.is_sorted_by(|one, other| one.1 <= other.1));
    assert!(energy[energy.len() - 1].1 > energy[0].1 + 100.0);
}

#[test]
fn during_an_outage_nothing_arrives_and_late_data_arrive_at_its_end() {
    let mut dead = plant("gateway-dead", 1);
    let truth = dead.truth();
    assert_eq!(truth.faults.len(), 3, "each of three machines");
    let (from, until) = (truth.faults[0].onset_ns, truth.faults[0].end_ns);
    let seconds = |ns: i64| (ns - truth.span_ns.0) as f64 / 1e9;
    dead.advance(seconds(from));
    assert!(dead.advance(seconds(until)).readings.is_empty());
    assert!(!dead.advance(seconds(until) + 600.0).readings.is_empty());

    let mut late = plant("late-data", 1);
    let all = late.advance(30.0 * DAY).readings;
    let mut newest = BTreeMap::new();
    let behind =
        all.iter().filter(|reading| newest.insert(reading.sensor, reading.time_ns) > Some(reading.time_ns)).count();
    assert_eq!(behind, 0, "a sensor's readings stay in order");
    let expected = all.iter().filter(|reading| reading.sensor == 0).count() as f64;
    let interval = (all[all.len() - 1].time_ns - all[0].time_ns) as f64 / expected / 1e9;
    assert!([30.0, 60.0, 120.0, 300.0].iter().any(|usual| (interval / usual - 1.0).abs() < 0.01), "nothing is lost");
}

#[test]
fn waveforms_are_taken_while_the_machine_runs() {
    let mut plant = plant("outer-race", 1);
    let truth = plant.truth();
    assert_eq!(truth.faults[0].kind, TrueFaultKind::Machine(Fault::OuterRace));
    let waveforms = plant.advance(5.0 * DAY).waveforms;
    assert!((40..=240).contains(&waveforms.len()), "{}", waveforms.len());
    assert!(
        waveforms
            .iter()
            .all(|waveform| waveform.samples.len() == 8192 && plant.sensors()[waveform.sensor].sends_waveforms)
    );
}

#[test]
fn a_glitch_is_one_reading_and_a_new_load_stays() {
    let mut plant_with_glitches = plant("glitches", 2);
    let mut clean = 0;
    for (name, values) in readings(&mut plant_with_glitches, 30.0) {
        let wild = values.array_windows::<3>().filter(|[before, here, after]| {
            let usual = (before.1 + after.1) / 2.0;
            (here.1 - usual).abs() > 5.0 * (before.1 - after.1).abs() + 0.5 * usual.abs().max(0.1)
        });
        let wild = wild.count();
        assert!(wild < 12, "{name}: {wild}");
        clean += usize::from(wild == 0);
    }
    assert!(clean < 6, "some sensor has a glitch");
    let mut plant = plant("new-load", 2);
    let truth = plant.truth();
    let at = (truth.changes[0].at_ns - truth.span_ns.0) as f64 / DAY_NS as f64;
    let current = &readings(&mut plant, 30.0)["current"];
    assert!(mean(current, at + 1.0, 30.0) > 1.15 * mean(current, 1.0, at));
}
