//! The features that depend on the properties of the machine, and the trend of windows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../condition-monitoring/tests/condition_monitoring/common/mod.rs"]
mod common;

use proptest::prelude::*;
use wheeltapper_featurize::{
    Batch, FeatureRow, Featurizer, Waveform,
    features::{BASIC_FEATURES, WAVEFORM_FEATURES, WINDOW_FEATURES},
};

const S: i64 = 1_000_000_000;
const T0: i64 = 1_700_000_000 * S;

type WaveformRow = FeatureRow<{ WAVEFORM_FEATURES.len() }>;

/// The value of a feature of a waveform.
fn feature_of(row: &WaveformRow, feature: &str) -> f64 {
    row.values[WAVEFORM_FEATURES.iter().position(|name| *name == feature).unwrap()]
}

/// The value of a feature of a window of readings.
fn window_feature(row: &FeatureRow, feature: &str) -> f64 {
    row.values[WINDOW_FEATURES.iter().position(|name| *name == feature).unwrap()]
}

/// The features of one waveform of sensor `v`.
fn waveform_row(config: &str, samples: &[f32], rate: f64) -> WaveformRow {
    let waveform = Waveform { sensor: 0, start: T0, rate, samples };
    let batch = Batch { sensors: &[("v", "m")], waveforms: &[waveform], ..Batch::default() };
    Featurizer::open(config).unwrap().push(&batch).unwrap().waveforms.remove(0)
}

fn sine(count: usize, rate: f64, frequency: f64, amplitude: f64) -> Vec<f32> {
    let omega = 2.0 * std::f64::consts::PI * frequency / rate;
    (0..count).map(|at| (amplitude * (omega * at as f64).sin()) as f32).collect()
}

#[test]
fn feature_names_are_unique() {
    assert_eq!((WINDOW_FEATURES.len(), WAVEFORM_FEATURES.len()), (22, 68));
    assert_eq!((&WINDOW_FEATURES[..17], WAVEFORM_FEATURES[17]), (BASIC_FEATURES.as_slice(), "peak"));
    for list in [WINDOW_FEATURES.as_slice(), &WAVEFORM_FEATURES] {
        let set: std::collections::BTreeSet<_> = list.iter().collect();
        assert!(set.len() == list.len() && !set.contains(&""));
    }
}

/// CWRU, 7 mil, 1,797 rpm. The limits of the diagnosis were tuned on these recordings.
#[test]
fn race_faults_are_found_in_recordings() {
    let Some(folder) = common::data("cwru") else { return };
    let config = r#"{"sensors":{"v":{"unit":"g","rpm":1797,"bearing":"SKF 6205-2RS","iso_class":"small"}}}"#;
    for (file, rate, expected) in [
        ("Normal", 48_000.0, 0.0),
        ("OR_at_6_7_DE48", 48_000.0, 1.0),
        ("OR_at_6_7_DE12", 12_000.0, 1.0),
        ("IR_7_DE48", 48_000.0, 2.0),
        ("IR_7_DE12", 12_000.0, 2.0),
    ] {
        let samples: Vec<f32> =
            common::npy(&folder.join(format!("1797_{file}.npy"))).iter().map(|&sample| sample as f32).collect();
        for (length, min_share) in
            [((rate / 4.0) as usize, 0.98), (2048, if expected == 2.0 && rate > 2e4 { 0.6 } else { 0.98 })]
        {
            let mut featurizer = Featurizer::open(config).unwrap();
            let waveforms: Vec<Waveform<'_>> = (0..)
                .zip(samples.chunks_exact(length))
                .map(|(at, samples)| Waveform { sensor: 0, start: T0 + at * S, rate, samples })
                .collect();
            let rows = featurizer.push(&Batch { sensors: &[("v", "m")], waveforms: &waveforms, ..Batch::default() });
            let rows = rows.unwrap().waveforms;
            let mut counts = [0_usize; 5];
            for row in &rows {
                counts[feature_of(row, "bearing_named") as usize] += 1;
                assert_eq!(feature_of(row, "shaft_hz"), 29.95);
                assert!(feature_of(row, "outer_evidence").is_finite() && feature_of(row, "inner_amplitude") > 0.0);
            }
            println!("{file} {length} samples: none/outer/inner/ball/cage {counts:?} of {}", rows.len());
            let correct = counts[expected as usize];
            assert!(correct as f64 >= min_share * rows.len() as f64, "{file} {length}: {counts:?}");
            let double = if expected == 0.0 { correct } else { 0 };
            assert_eq!(correct + counts[0], rows.len() + double, "{file}: a wrong fault is named");
            let first = &rows[0];
            if expected > 0.0 {
                let (name, order) = if expected == 1.0 { ("outer", 3.5848) } else { ("inner", 5.4152) };
                let found = feature_of(first, &format!("{name}_frequency")) / 29.95;
                assert!(
                    (found / order - 1.0).abs() < 0.016 && feature_of(first, &format!("{name}_ratio")) > 1.5,
                    "{found}"
                );
            }
            // A quarter of a second is less than four periods of 10 Hz.
            assert!(feature_of(first, "velocity_rms").is_nan() && feature_of(first, "iso_zone").is_nan());
        }
    }
}

#[test]
fn a_waveform_of_an_unknown_machine_has_the_features_that_need_no_properties() {
    let samples = sine(2048, 25_600.0, 1000.0, 1.0);
    let row = waveform_row("", &samples, 25_600.0);
    for feature in
        ["velocity_rms", "iso_zone", "shaft_hz", "outer_evidence", "cage_ratio", "bearing_named", "mesh_ratio"]
    {
        assert!(feature_of(&row, feature).is_nan(), "{feature}");
    }
    assert!(
        (feature_of(&row, "octave_1000") - 10.0 * 0.5_f64.log10()).abs() < 0.1,
        "{}",
        feature_of(&row, "octave_1000")
    );
    assert!(feature_of(&row, "octave_16").is_nan() && feature_of(&row, "octave_16000").is_nan());
    assert!(
        feature_of(&row, "spectral_kurtosis").is_finite()
            && feature_of(&row, "impulsive_high") > feature_of(&row, "impulsive_low")
    );
    assert!(feature_of(&row, "cepstrum_peak").is_finite() && (feature_of(&row, "peak") - 1.0).abs() < 1e-3);
    // Degenerate waveforms do not panic.
    for samples in [&[1.0_f32; 3][..], &[0.0; 100], &[f32::MAX; 100]] {
        let _ = waveform_row("", samples, 1e-3);
    }
}

#[test]
fn velocity_and_zone_depend_on_unit_and_class() {
    // 3 m/s2 at 100 Hz are 3.376 mm/s RMS: zone C of a medium machine on a rigid base, B on a flexible one.
    let samples = sine(25_600, 25_600.0, 100.0, 3.0);
    let in_g: Vec<f32> = samples.iter().map(|sample| sample / 9.806_65).collect();
    for (unit, class, samples, velocity, zone) in [
        ("m/s2", "medium_rigid", &samples, 3.376, 3.0),
        ("m/s2", "medium_flexible", &samples, 3.376, 2.0),
        ("g", "small", &in_g, 3.376, 3.0),
        ("mm/s", "large_flexible", &samples, 2.121, 1.0),
    ] {
        let config = format!(r#"{{"sensors":{{"v":{{"unit":"{unit}","iso_class":"{class}"}}}}}}"#);
        let row = waveform_row(&config, samples, 25_600.0);
        assert!(
            (feature_of(&row, "velocity_rms") / velocity - 1.0).abs() < 0.01,
            "{unit}: {}",
            feature_of(&row, "velocity_rms")
        );
        assert_eq!(feature_of(&row, "iso_zone"), zone, "{unit} {class}");
    }
}

#[test]
fn a_gear_has_mesh_features() {
    let (rate, shaft) = (25_600.0, 25.0);
    let (mesh, side) = (sine(25_600, rate, 23.0 * shaft, 1.0), sine(25_600, rate, 24.0 * shaft, 0.3));
    let noise = sine(25_600, rate, 7777.7, 0.01);
    let samples: Vec<f32> = (0..25_600).map(|at| mesh[at] + side[at] + noise[at]).collect();
    let row = waveform_row(r#"{"sensors":{"v":{"shaft_hz":25,"teeth":23}}}"#, &samples, rate);
    assert!(feature_of(&row, "mesh_ratio") > 100.0 && feature_of(&row, "mesh_sidebands") >= 1.0);
    assert!(feature_of(&row, "bearing_named").is_nan());
}

/// The windows of readings of sensor `t`, given as (seconds since T0, value).
fn windows(config: &str, readings: &[(f64, f64)]) -> Vec<FeatureRow> {
    let mut featurizer = Featurizer::open(config).unwrap();
    let time: Vec<i64> = readings.iter().map(|(at, _)| T0 + (at * 1e9).round() as i64).collect();
    let value: Vec<f64> = readings.iter().map(|(_, value)| *value).collect();
    let sensor = vec![0; time.len()];
    let batch =
        Batch { sensors: &[("t", "m")], sensor: &sensor, time: &time, value: &value, waveforms: &[], arrivals: &[] };
    let mut rows = featurizer.push(&batch).unwrap().windows;
    rows.extend(featurizer.flush().windows);
    rows
}

#[test]
fn windows_have_a_trend() {
    let ramp: Vec<(f64, f64)> = (0..90).map(|at| (f64::from(at), 1e6 + 0.25 * f64::from(at))).collect();
    let rows = windows("", &ramp);
    let row = rows.iter().find(|row| row.start == T0 + 20 * S).unwrap();
    for feature in ["trend_slope", "rate_of_change"] {
        assert!((window_feature(row, feature) - 0.25).abs() < 1e-9, "{feature} {}", window_feature(row, feature));
    }
    // A ramp of n readings: n² / 8 steps over (n / sqrt 12) · sqrt n.
    assert!((window_feature(row, "cusum") - 30.0_f64.sqrt() * 12.0_f64.sqrt() / 8.0).abs() < 0.01);
    assert!((window_feature(row, "stuck") - 1.0 / 30.0).abs() < 1e-12);
    let flat: Vec<(f64, f64)> = (0..90).map(|at| (f64::from(at), 7.0)).collect();
    let row = &windows("", &flat)[5];
    assert_eq!((window_feature(row, "trend_slope"), window_feature(row, "stuck")), (0.0, 1.0));
    assert!(window_feature(row, "cusum").is_nan());
    // The mean of 30 times 0.1 is not 0.1.
    let tenths: Vec<(f64, f64)> = (0..90).map(|at| (f64::from(at), 0.1)).collect();
    assert!(windows("", &tenths).iter().all(|row| window_feature(row, "cusum").is_nan()));
    // Without scaling, products with times would overflow.
    let huge: Vec<(f64, f64)> = (0..90).map(|at| (f64::from(at), 1e300 * f64::from(at))).collect();
    let row = &windows("", &huge)[5];
    assert!((window_feature(row, "trend_slope") / 1e300 - 1.0).abs() < 1e-9, "{}", window_feature(row, "trend_slope"));
    let one = &windows("", &[(0.0, 1.0)])[0];
    for feature in ["trend_slope", "rate_of_change", "cusum", "missing_ratio"] {
        assert!(window_feature(one, feature).is_nan(), "{feature}");
    }
}

#[test]
fn missing_readings_are_counted() {
    // One reading per second for two minutes, then one in five seconds.
    let readings: Vec<(f64, f64)> =
        (0..240).filter(|at| *at < 120 || at % 5 == 0).map(|at| (f64::from(at), f64::from(at % 7))).collect();
    for config in [r#"{"follow_rate":false}"#, r#"{"follow_rate":false,"sensors":{"t":{"sampling_hz":1}}}"#] {
        let rows = windows(config, &readings);
        // Before the first reading the ratio is not defined.
        assert!(rows.iter().filter(|row| row.start < T0).all(|row| window_feature(row, "missing_ratio").is_nan()));
        let at = |seconds: i64| {
            window_feature(rows.iter().find(|row| row.start == T0 + seconds * S).unwrap(), "missing_ratio")
        };
        assert_eq!(at(60), 0.0, "{config}");
        assert!((at(130) - 0.8).abs() < 0.08, "{config} {}", at(130));
    }
}

#[test]
fn invalid_properties_are_rejected() {
    for (sensor, message) in [
        (r#"{"bearing":"62o5"}"#, "one of 6203, 6204"),
        (r#"{"bearing":{"balls":9,"ball_diameter":40,"pitch_diameter":39}}"#, "that fit on the pitch circle"),
        (r#"{"bearing":{"balls":9,"ball_diameter":-7.9,"pitch_diameter":-39}}"#, "a diameter above 0"),
        (r#"{"rpm":-1}"#, "revolutions per minute"),
        (r#"{"teeth":1}"#, "2 or more"),
        (r#"{"iso_class":"tiny"}"#, "medium_rigid"),
    ] {
        let error = Featurizer::open(&format!(r#"{{"sensors":{{"v":{sensor}}}}}"#)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let error = Featurizer::open(r#"{"sensors":{"v":{"speed_sensor":"n"},"n":{"unit":"m/s"}}}"#).unwrap_err();
    assert!(error.to_string().contains("rpm or Hz"), "{error}");
}

const SPEED: &str = r#"{"sensors":{"v":{"speed_sensor":"n","rpm":600},"n":{"unit":"rpm"}}}"#;
const TABLE: [(&str, &str); 2] = [("v", "m"), ("n", "m")];

#[derive(Clone, Debug)]
enum Event {
    /// Time in ns since T0, rpm.
    Speed(i64, f64),
    /// Start in ns since T0.
    Waveform(i64),
}

/// Pushes events in order of arrival, split into batches as by the host: also before a reading that follows a waveform,
/// because in a batch the readings come before the waveforms. Returns the start and the shaft speed of each waveform,
/// and the windows as text.
fn run(events: &[Event], cuts: &[usize]) -> (Vec<(i64, f64)>, String) {
    let samples = [0.0_f32; 8];
    let mut featurizer = Featurizer::open(SPEED).unwrap();
    let (mut speeds, mut windows, mut rest) = (Vec::new(), Vec::new(), events);
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let split = rest.windows(2).position(|pair| matches!(pair, [Event::Waveform(_), Event::Speed(..)]));
        let (current, remaining) = rest.split_at((*cut).min(split.map_or(rest.len(), |index| index + 1)));
        rest = remaining;
        let (mut time, mut value, mut waveforms) = (Vec::new(), Vec::new(), Vec::new());
        for event in current {
            match *event {
                Event::Speed(at, rpm) => {
                    time.push(T0 + at);
                    value.push(rpm);
                }
                Event::Waveform(at) => {
                    waveforms.push(Waveform { sensor: 0, start: T0 + at, rate: 100.0, samples: &samples })
                }
            }
        }
        let sensor = vec![1; time.len()];
        let batch = Batch {
            sensors: &TABLE,
            sensor: &sensor,
            time: &time,
            value: &value,
            waveforms: &waveforms,
            arrivals: &[],
        };
        let out = featurizer.push(&batch).unwrap();
        speeds.extend(out.waveforms.iter().map(|row| (row.start - T0, feature_of(row, "shaft_hz"))));
        windows.extend(out.windows);
        featurizer = Featurizer::restore(SPEED, &featurizer.snapshot()).unwrap();
    }
    windows.extend(featurizer.flush().windows);
    (speeds, format!("{windows:?}"))
}

#[test]
fn the_shaft_speed_is_that_of_the_speed_sensor() {
    let seconds = |at: i64| at * S;
    let events = [
        Event::Waveform(seconds(0)),
        Event::Speed(seconds(1), 1200.0),
        Event::Speed(seconds(3), 1260.0),
        Event::Waveform(seconds(2)),
        Event::Waveform(seconds(3)),
        // After an hour of silence the last speed is still used.
        Event::Waveform(seconds(3600)),
        Event::Speed(seconds(3610), 0.0),
        Event::Waveform(seconds(3609)),
        Event::Waveform(seconds(3620)),
        // Older than a window plus the lateness: the configured speed is used.
        Event::Waveform(seconds(3500)),
    ];
    let expected = [(0, 10.0), (2, 20.0), (3, 21.0), (3600, 21.0), (3609, 21.0), (3620, 0.0), (3500, 10.0)]
        .map(|(at, hz)| (seconds(at), hz));
    for cut in 1..=events.len() {
        assert_eq!(run(&events, &[cut]).0, expected, "batches of {cut}");
    }
}

proptest! {
    /// The shaft speed of a waveform does not depend on the batches, in any order of arrival.
    #[test]
    fn speeds_do_not_depend_on_batches(
        speeds in prop::collection::vec((0..200_000_i64, 0..15_000_i64, 1.0..5000.0), 0..150),
        waveforms in prop::collection::vec((0..200_000_i64, 0..80_000_i64), 1..30),
        cuts in prop::collection::vec(1_usize..60, 1..20),
    ) {
        const MS: i64 = 1_000_000;
        let mut arrivals: Vec<(i64, Event)> = speeds
            .iter()
            .map(|&(at, delay, rpm)| (at + delay, Event::Speed(at * MS, rpm)))
            .chain(waveforms.iter().map(|&(at, delay)| (at + delay, Event::Waveform(at * MS))))
            .collect();
        arrivals.sort_by_key(|(at, _)| *at);
        let events: Vec<Event> = arrivals.into_iter().map(|(_, event)| event).collect();
        let one_by_one = run(&events, &[1]);
        prop_assert_eq!(&run(&events, &cuts), &one_by_one);
        prop_assert_eq!(&run(&events, &[events.len()]), &one_by_one);
        // The expected speed is that of the newest reading that arrived before the waveform; a late reading counts as
        // well.
        let (mut known, mut newest, mut expected) = (std::collections::BTreeMap::new(), i64::MIN, Vec::new());
        let mut starts = std::collections::BTreeSet::new();
        for event in &events {
            match *event {
                Event::Speed(at, rpm) => {
                    known.entry(at).or_insert(rpm / 60.0);
                    newest = newest.max(at);
                }
                Event::Waveform(at) => {
                    if starts.insert(at) {
                        let is_kept = at >= newest.saturating_sub(40 * S);
                        let last = known.range(..=at).next_back().filter(|_| is_kept);
                        expected.push((at, last.map_or(10.0, |(_, hz)| *hz)));
                    }
                }
            }
        }
        prop_assert_eq!(one_by_one.0.len(), expected.len());
        for (actual, expected) in one_by_one.0.iter().zip(&expected) {
            prop_assert!(actual.0 == expected.0 && (actual.1 - expected.1).abs() < 1e-9, "{actual:?} {expected:?}");
        }
    }
}
