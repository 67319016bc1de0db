//! The fleet: the same seed gives the same readings, and faults show in the expected signals.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use realfft::RealFftPlanner;
use wheeltapper_simulate::{Fault, Fleet, FleetSpec, MachineKind, Tick, Waveform, bearing_named};

/// Machines that all have this fault from second `onset` on, immediately at full severity.
fn spec_with_fault(fault: Fault, onset: f64) -> FleetSpec {
    FleetSpec {
        machines: 8,
        faulty_fraction: 1.0,
        fault_onset_range: (onset, onset),
        degradation_seconds: 0.0,
        waveform_interval_seconds: 10.0,
        waveform_samples: 16_384,
        faults: vec![fault],
        ..FleetSpec::default()
    }
}

fn ticks(fleet: &mut Fleet, count: usize) -> Vec<Tick> {
    (0..count).map(|_| fleet.step()).collect()
}

/// The values of each sensor.
fn values_by_sensor(fleet: &Fleet, ticks: &[Tick]) -> BTreeMap<String, Vec<f64>> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for reading in ticks.iter().flat_map(|tick| &tick.readings) {
        all.entry(fleet.sensors()[reading.sensor].id.clone()).or_default().push(reading.value);
    }
    all
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// Magnitude spectrum, and its resolution in Hz.
fn spectrum(samples: &[f64], rate: f64) -> (Vec<f64>, f64) {
    let plan = RealFftPlanner::<f64>::new().plan_fft_forward(samples.len());
    let mean = mean(samples);
    let mut input: Vec<f64> = samples.iter().map(|sample| sample - mean).collect();
    let mut lines = plan.make_output_vec();
    plan.process(&mut input, &mut lines).unwrap();
    (lines.iter().map(|line| line.norm()).collect(), rate / samples.len() as f64)
}

/// Spectrum of the squared envelope above 2 kHz, the range of the housing resonance; filtered in the frequency domain.
fn envelope_spectrum(waveform: &Waveform) -> (Vec<f64>, f64) {
    let mut planner = RealFftPlanner::<f64>::new();
    let count = waveform.samples.len();
    let (forward, inverse) = (planner.plan_fft_forward(count), planner.plan_fft_inverse(count));
    let mut time: Vec<f64> = waveform.samples.iter().map(|&sample| f64::from(sample)).collect();
    let mut lines = forward.make_output_vec();
    forward.process(&mut time, &mut lines).unwrap();
    let low = (2000.0 * count as f64 / waveform.rate_hz) as usize;
    lines[..low].fill(0.0.into());
    lines[count / 2] = 0.0.into();
    inverse.process(&mut lines, &mut time).unwrap();
    let squares: Vec<f64> = time.iter().map(|sample| (sample / count as f64).powi(2)).collect();
    spectrum(&squares, waveform.rate_hz)
}

/// Frequency and magnitude of the strongest line between these frequencies.
fn peak((lines, width): &(Vec<f64>, f64), low: f64, high: f64) -> (f64, f64) {
    let range = (low / width).ceil() as usize..(high / width) as usize;
    let at = range.max_by(|&one, &other| lines[one].total_cmp(&lines[other])).unwrap();
    (at as f64 * width, lines[at])
}

fn median((lines, width): &(Vec<f64>, f64), low: f64, high: f64) -> f64 {
    let mut part = lines[(low / width) as usize..(high / width) as usize].to_vec();
    part.sort_by(f64::total_cmp);
    part[part.len() / 2]
}

/// Shaft frequency in Hz and bearing of the waveform's machine.
fn machine(fleet: &Fleet, tick: &Tick, waveform: &Waveform) -> (f64, wheeltapper_simulate::Bearing) {
    let id = &fleet.sensors()[waveform.sensor].id;
    let asset = id.rsplit_once('/').unwrap().0;
    let speed = tick.readings.iter().find(|reading| fleet.sensors()[reading.sensor].id == format!("{asset}/speed"));
    let config = wheeltapper_config::parse(&fleet.config_toml(), "fleet.toml").unwrap();
    let bearing = config.machines().find(|(id, _)| id == asset).unwrap().1.bearing.clone().unwrap();
    (speed.unwrap().value / 60.0, bearing_named(&bearing).unwrap())
}

#[test]
fn the_same_seed_gives_the_same_readings_and_another_seed_does_not() {
    let run = |seed| {
        let mut fleet = Fleet::new(FleetSpec { seed, fault_onset_range: (10.0, 20.0), ..FleetSpec::default() });
        let ticks = ticks(&mut fleet, 90);
        (format!("{ticks:?}"), fleet.labels_csv(), fleet.config_toml())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}

#[test]
fn ticks_are_in_order_and_waveforms_keep_their_interval() {
    let mut fleet = Fleet::new(FleetSpec { scalar_hz: 3.0, start_ns: 1_000, machines: 5, ..FleetSpec::default() });
    let ticks = ticks(&mut fleet, 3 * 240);
    assert_eq!(ticks[1].time_ns, 1_000 + 333_333_333);
    assert_eq!(ticks[3].time_ns, 1_000 + 1_000_000_000);
    assert!(ticks.is_sorted_by(|one, other| one.time_ns < other.time_ns));
    // Four minutes: four waveforms per machine.
    let waveforms: Vec<&Waveform> = ticks.iter().flat_map(|tick| &tick.waveforms).collect();
    assert_eq!(waveforms.len(), 20);
    assert!(waveforms.iter().all(|waveform| waveform.samples.len() == 2048 && waveform.rate_hz == 12_800.0));
    assert!(waveforms.iter().all(|waveform| fleet.sensors()[waveform.sensor].id.ends_with("/vibration")));
}

#[test]
fn the_configuration_parses_and_knows_every_sensor() {
    for machines in [0, 1, 2, 50, 131] {
        let fleet = Fleet::new(FleetSpec { machines, ..FleetSpec::default() });
        let config = wheeltapper_config::parse(&fleet.config_toml(), "fleet.toml").unwrap();
        assert_eq!(config.machines().count(), machines);
        let ids: Vec<String> = config.sensors().map(|sensor| sensor.id).collect();
        assert_eq!(ids, fleet.sensors().iter().map(|sensor| sensor.id.clone()).collect::<Vec<_>>());
        for sensor in config.sensors() {
            // With a rate, scalar readings would be treated as samples of a waveform.
            assert_eq!(sensor.sensor.sampling_hz.is_none(), sensor.sensor.name == "vibration", "{}", sensor.id);
            assert!(sensor.sensor.limits.is_some() && !sensor.sensor.unit.is_empty());
        }
        for skill in ["mechanic", "electrician", "vibration-analyst", "instrumentation"] {
            assert!(config.technicians.iter().any(|technician| technician.skills.iter().any(|has| has == skill)));
        }
        for day in ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] {
            let shifts = config.technicians.iter().flat_map(|technician| &technician.shifts);
            assert!(shifts.flat_map(|shift| &shift.days).any(|works| works == day), "{day}");
        }
    }
}

#[test]
fn every_reading_lies_within_its_sensors_limits() {
    let mut fleet = Fleet::new(FleetSpec {
        faulty_fraction: 1.0,
        fault_onset_range: (0.0, 10.0),
        degradation_seconds: 30.0,
        ..FleetSpec::default()
    });
    for tick in ticks(&mut fleet, 400) {
        for reading in &tick.readings {
            let sensor = &fleet.sensors()[reading.sensor];
            assert!(
                (sensor.limits.min..=sensor.limits.max).contains(&reading.value),
                "{} {}",
                sensor.id,
                reading.value
            );
        }
        for waveform in &tick.waveforms {
            let limits = fleet.sensors()[waveform.sensor].limits;
            assert!(waveform.samples.iter().all(|&sample| (limits.min..=limits.max).contains(&f64::from(sample))));
        }
    }
}

#[test]
fn labels_name_each_faulty_machine_once_and_all_faults_in_turn() {
    let spec = FleetSpec { start_ns: 1_700_000_000_000_000_000, faulty_fraction: 0.4, ..FleetSpec::default() };
    let fleet = Fleet::new(spec);
    let labels = fleet.labels();
    assert_eq!(labels.len(), 20);
    let mut machines: Vec<&str> = labels.iter().map(|label| &*label.machine).collect();
    machines.sort_unstable();
    machines.dedup();
    assert_eq!(machines.len(), 20);
    for fault in Fault::ALL {
        assert!(labels.iter().any(|label| label.fault == fault), "{fault:?}");
    }
    for label in &labels {
        let onset = label.onset_ns - 1_700_000_000_000_000_000;
        assert!((600_000_000_000..=720_000_000_000).contains(&onset), "{onset}");
        let over = if label.fault == Fault::StuckSensor { 0 } else { 900_000_000_000 };
        assert!((label.full_strength_ns - label.onset_ns - over).abs() <= 1);
        assert_eq!(label.sensor.is_some(), matches!(label.fault, Fault::StuckSensor | Fault::DroppingSensor));
        assert!(label.fault != Fault::Cavitation || label.machine.contains("/pump-"));
    }
    let csv = fleet.labels_csv();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("machine,fault,onset,full_strength,sensor"));
    assert_eq!(lines.clone().count(), 20);
    assert!(lines.all(|line| line.split(',').nth(2).unwrap().starts_with("2023-11-14T22:2")), "{csv}");
}

#[test]
fn a_baseline_of_five_minutes_holds_for_hours() {
    let mut fleet = Fleet::new(FleetSpec { machines: 12, faulty_fraction: 0.0, ..FleetSpec::default() });
    let learnt = ticks(&mut fleet, 300);
    // Skip three hours.
    ticks(&mut fleet, 3 * 3600);
    let later = ticks(&mut fleet, 600);
    let (learnt, later) = (values_by_sensor(&fleet, &learnt), values_by_sensor(&fleet, &later));
    for (sensor, values) in &later {
        // Means over windows of 30 s.
        let window_means = |values: &[f64]| values.chunks_exact(30).map(mean).collect::<Vec<_>>();
        let (before, after) = (window_means(&learnt[sensor]), window_means(values));
        let (center, scale) = (mean(&before), deviation(&before).max(1e-3 * mean(&before).abs()));
        for window in after {
            assert!((window - center).abs() < 6.0 * scale, "{sensor}: {window} is far from {center} +- {scale}");
        }
    }
}

#[test]
fn an_outer_race_defect_shows_as_a_line_of_the_envelope_at_its_frequency() {
    check_race(Fault::OuterRace, |bearing| bearing.bpfo());
}

#[test]
fn an_inner_race_defect_shows_as_a_line_of_the_envelope_at_its_frequency() {
    check_race(Fault::InnerRace, |bearing| bearing.bpfi());
}

fn check_race(fault: Fault, multiple: impl Fn(&wheeltapper_simulate::Bearing) -> f64) {
    let mut fleet = Fleet::new(spec_with_fault(fault, 0.0));
    let mut seen = 0;
    for tick in ticks(&mut fleet, 11) {
        for waveform in &tick.waveforms {
            let (shaft, bearing) = machine(&fleet, &tick, waveform);
            let expected = shaft * multiple(&bearing);
            let envelope = envelope_spectrum(waveform);
            // Above the modulation by the shaft, below the second harmonic.
            let (found, height) = peak(&envelope, 0.6 * expected, 1.5 * expected);
            assert!((found / expected - 1.0).abs() < 0.02, "found {found} Hz, expected {expected} Hz");
            assert!(height > 10.0 * median(&envelope, 10.0, 1000.0), "no more than the background");
            seen += 1;
        }
    }
    // A machine whose first waveform was at the start has sent a second one.
    assert!(seen >= 8);
}

#[test]
fn a_ball_defect_shows_at_twice_the_ball_spin_frequency() {
    let mut fleet = Fleet::new(spec_with_fault(Fault::Ball, 0.0));
    for tick in ticks(&mut fleet, 11) {
        for waveform in &tick.waveforms {
            let (shaft, bearing) = machine(&fleet, &tick, waveform);
            let envelope = envelope_spectrum(waveform);
            let expected = 2.0 * bearing.bsf() * shaft;
            let (_, at) = peak(&envelope, 0.96 * expected, 1.04 * expected);
            assert!(at > 8.0 * median(&envelope, 10.0, 1000.0), "{expected} Hz");
        }
    }
}

#[test]
fn a_healthy_bearing_shows_no_line_at_the_defect_frequency() {
    let mut fleet = Fleet::new(FleetSpec { faulty_fraction: 0.0, ..spec_with_fault(Fault::OuterRace, 0.0) });
    for tick in ticks(&mut fleet, 11) {
        for waveform in &tick.waveforms {
            let (shaft, bearing) = machine(&fleet, &tick, waveform);
            let envelope = envelope_spectrum(waveform);
            let expected = shaft * bearing.bpfo();
            let (_, at) = peak(&envelope, 0.97 * expected, 1.03 * expected);
            assert!(at < 5.0 * median(&envelope, 10.0, 1000.0));
        }
    }
}

#[test]
fn imbalance_and_misalignment_raise_their_orders_of_the_shaft() {
    let order = |fault, share: f64, order: f64| {
        let mut fleet = Fleet::new(FleetSpec { faulty_fraction: share, ..spec_with_fault(fault, 0.0) });
        let mut heights = Vec::new();
        for tick in ticks(&mut fleet, 11) {
            for waveform in &tick.waveforms {
                let (shaft, _) = machine(&fleet, &tick, waveform);
                let samples: Vec<f64> = waveform.samples.iter().map(|&sample| f64::from(sample)).collect();
                let at = order * shaft;
                heights.push(peak(&spectrum(&samples, waveform.rate_hz), at - 1.5, at + 1.5).1);
            }
        }
        mean(&heights)
    };
    assert!(order(Fault::Imbalance, 1.0, 1.0) > 4.0 * order(Fault::Imbalance, 0.0, 1.0));
    assert!(order(Fault::Imbalance, 1.0, 2.0) < 2.0 * order(Fault::Imbalance, 0.0, 2.0));
    assert!(order(Fault::Misalignment, 1.0, 2.0) > 4.0 * order(Fault::Misalignment, 0.0, 2.0));
}

/// Means of the sensors with this name over all machines, with the fault and without it; taken in the last two of ten
/// minutes.
fn with_and_without(fault: Fault, sensor: &str) -> (f64, f64) {
    let sensor_mean = |share| {
        let mut fleet = Fleet::new(FleetSpec { faulty_fraction: share, ..spec_with_fault(fault, 0.0) });
        ticks(&mut fleet, 480);
        let last = ticks(&mut fleet, 120);
        let ending = format!("/{sensor}");
        let means: Vec<f64> = values_by_sensor(&fleet, &last)
            .iter()
            .filter(|(id, _)| id.ends_with(&ending) && (fault != Fault::Cavitation || id.contains("/pump-")))
            .map(|(_, values)| mean(values))
            .collect();
        mean(&means)
    };
    (sensor_mean(1.0), sensor_mean(0.0))
}

#[test]
fn faults_affect_the_expected_scalar_sensors() {
    let rises = |fault, sensor, by: f64| {
        let (with, without) = with_and_without(fault, sensor);
        assert!(with > by * without, "{fault:?} {sensor}: {with} against {without}");
    };
    rises(Fault::Imbalance, "vibration-rms", 2.0);
    rises(Fault::Misalignment, "axial-vibration-rms", 2.0);
    rises(Fault::OuterRace, "vibration-rms", 1.2);
    rises(Fault::Overheating, "bearing-temperature", 1.4);
    rises(Fault::Overheating, "current", 1.05);
    rises(Fault::LubricationLoss, "bearing-temperature", 1.2);
    let (with, without) = with_and_without(Fault::Cavitation, "pressure");
    assert!(with < 0.95 * without);
}

#[test]
fn cavitation_makes_the_pressure_unsteady() {
    let unsteadiness = |share| {
        let mut fleet = Fleet::new(FleetSpec { faulty_fraction: share, ..spec_with_fault(Fault::Cavitation, 0.0) });
        let ticks = ticks(&mut fleet, 120);
        let all = values_by_sensor(&fleet, &ticks);
        let pressures: Vec<f64> =
            all.iter().filter(|(id, _)| id.ends_with("/pressure")).map(|(_, values)| deviation(values)).collect();
        mean(&pressures)
    };
    assert!(unsteadiness(1.0) > 3.0 * unsteadiness(0.0));
}

#[test]
fn a_stuck_sensor_is_constant_from_its_onset_on() {
    let mut fleet = Fleet::new(spec_with_fault(Fault::StuckSensor, 60.0));
    let (before, after) = (ticks(&mut fleet, 60), ticks(&mut fleet, 60));
    let (before, after) = (values_by_sensor(&fleet, &before), values_by_sensor(&fleet, &after));
    for label in fleet.labels() {
        let stuck = label.sensor.unwrap();
        assert!(stuck.starts_with(&label.machine));
        assert!(deviation(&before[&stuck]) > 0.0);
        assert!(after[&stuck].iter().all(|value| *value == after[&stuck][0]));
        let others = after.iter().filter(|(id, _)| id.starts_with(&format!("{}/", label.machine)) && **id != stuck);
        assert!(others.clone().count() >= 4);
        assert!(others.into_iter().all(|(_, values)| deviation(values) > 0.0));
    }
}

#[test]
fn a_dropping_sensor_loses_an_increasing_share() {
    let spec = FleetSpec { degradation_seconds: 600.0, ..spec_with_fault(Fault::DroppingSensor, 100.0) };
    let mut fleet = Fleet::new(spec);
    let counts: Vec<BTreeMap<String, usize>> = (0..8)
        .map(|_| {
            let ticks = ticks(&mut fleet, 100);
            values_by_sensor(&fleet, &ticks).into_iter().map(|(id, values)| (id, values.len())).collect()
        })
        .collect();
    for label in fleet.labels() {
        let count_at = |at: usize| counts[at].get(label.sensor.as_ref().unwrap()).copied().unwrap_or(0);
        assert_eq!(count_at(0), 100);
        assert!((30..75).contains(&count_at(4)), "{}", count_at(4));
        assert!(count_at(7) < 15, "{}", count_at(7));
    }
}

#[test]
fn invalid_parameters_are_replaced() {
    for odd in [f64::NAN, f64::INFINITY, 0.0, -1.0, 1e300] {
        let mut fleet = Fleet::new(FleetSpec {
            machines: 3,
            scalar_hz: odd,
            faulty_fraction: odd,
            fault_onset_range: (odd, odd),
            degradation_seconds: odd,
            waveform_interval_seconds: odd,
            waveform_samples: 8,
            waveform_hz: odd,
            start_ns: i64::MAX,
            ..FleetSpec::default()
        });
        for tick in ticks(&mut fleet, 3) {
            assert!(tick.readings.iter().all(|reading| reading.value.is_finite()), "{odd}");
        }
        wheeltapper_config::parse(&fleet.config_toml(), "fleet.toml").unwrap();
        fleet.labels_csv();
    }
    assert!(!Fault::Cavitation.applies_to(MachineKind::Fan));
}
