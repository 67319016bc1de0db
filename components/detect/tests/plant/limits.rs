//! Physical limits: they raise alerts from the first minutes, and the severity follows them.

use wheeltapper_alert::Severity;

use crate::{
    chain::{Chain, Outcome},
    machine::{Pump, SENSORS},
    report, seeds,
};

/// A pump with this vibration (mm/s) from the beginning; `worse` multiplies it from the 20th hour on.
fn run(seed: u64, vibration: f64, worse: f64, sensor: &str) -> Outcome {
    let config = format!(
        r#"{{"p/hall/pump/vibration":{{"unit":"mm/s","kind":"vibration"{sensor}}},
            "p/hall/pump/temperature":{{"unit":"°C","kind":"temperature"}},
            "p/hall/pump/current":{{"unit":"A","kind":"current"}}}}"#
    );
    let pump = Pump { vibration: vibration / 1.02, ..Pump::of_seed(seed) };
    let change =
        |hour: f64, index: usize, value: f64| Some(if index == 0 && hour >= 20.0 { worse * value } else { value });
    let mut chain = Chain::open(&config);
    chain.push(&SENSORS, &pump.run(seed, 24.0, |_| 1.0, change));
    let outcome = chain.finish();
    report("limits", seed, &outcome);
    outcome
}

const MEDIUM_RIGID: &str = r#","iso_class":"medium_rigid""#;

#[test]
fn severity_follows_the_zone_and_the_limits() {
    // Vibration in mm/s, its factor from the 20th hour on, and the worst severity.
    let cases = [
        (0.5, 1.0, MEDIUM_RIGID, None),
        // Zone A, though it has more than doubled.
        (0.5, 2.5, MEDIUM_RIGID, Some(Severity::Low)),
        // From A to C, and to D.
        (1.2, 2.8, MEDIUM_RIGID, Some(Severity::High)),
        (1.2, 5.0, MEDIUM_RIGID, Some(Severity::Critical)),
        // Always in C, always in D.
        (3.5, 1.0, MEDIUM_RIGID, Some(Severity::Low)),
        (6.1, 1.0, MEDIUM_RIGID, Some(Severity::High)),
        // Own limits, without a class.
        (3.0, 1.0, r#","above":{"warn":2.0}"#, Some(Severity::Low)),
        (3.0, 2.0, r#","above":{"danger":5.0}"#, Some(Severity::Critical)),
        (3.0, 1.0, "", None),
    ];
    for (vibration, worse, sensor, expected) in cases {
        for seed in seeds() {
            let worst = run(seed, vibration, worse, sensor).worst();
            let case = format!("{vibration} mm/s x {worse} {sensor}, seed {seed}");
            // High and medium depend on how far the vibration is out of what was learnt.
            if expected == Some(Severity::High) && worse > 1.0 {
                assert!(worst == Some(Severity::High) || worst == Some(Severity::Medium), "{case}: {worst:?}");
            } else {
                assert_eq!(worst, expected, "{case}");
            }
        }
    }
}

#[test]
fn a_limit_raises_an_alert_before_anything_is_learnt() {
    for seed in seeds() {
        let outcome = run(seed, 6.06, 1.0, MEDIUM_RIGID);
        let episodes = outcome.episodes();
        assert_eq!(episodes.len(), 1, "{episodes:?}");
        assert!(episodes[0].opened < 0.05 && episodes[0].resolved.is_none(), "{episodes:?}");
        assert!(episodes[0].message.contains("zone D") && episodes[0].message.contains("4.5 mm/s"), "{episodes:?}");
    }
}
