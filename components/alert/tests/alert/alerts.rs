//! Tests of when alerts open, change and resolve.
#![allow(clippy::unwrap_used, reason = "a test's helper may fail the test")]

use wheeltapper_alert::{Alert, AlertState, Alerter, Anomaly, Scores, Severity, StageError};

const ASSET: &str = "plant/hall/Pump-07";
const SECOND: i64 = 1_000_000_000;
const STEP: i64 = 10 * SECOND;

fn anomaly(start: i64, severity: Severity) -> Anomaly {
    Anomaly {
        id: format!("{start:032x}"),
        asset: ASSET.into(),
        sensor: format!("{ASSET}/vibration"),
        feature: Some("rms".into()),
        start,
        end: start + 30 * SECOND,
        score: 0.999,
        threshold: 0.99,
        severity,
        fault_mode: None,
        message: "rms 9.1 mm/s instead of 2.0 mm/s".into(),
    }
}

/// Pushes windows one by one, 10 s apart.
struct Stage {
    alerter: Alerter,
    start: i64,
}

impl Stage {
    fn new(config: &str) -> Self {
        Self { alerter: Alerter::open(config).unwrap(), start: 0 }
    }

    fn push(&mut self, score: f64, anomalies: &[Anomaly]) -> Option<Alert> {
        let (start, end) = (self.start, self.start + 30 * SECOND);
        let scores = Scores { assets: &[ASSET], asset: &[0], start: &[start], end: &[end], score: &[score] };
        let mut alerts = self.alerter.push(&scores, anomalies).unwrap();
        self.start += STEP;
        assert!(alerts.len() < 2);
        alerts.pop()
    }

    fn push_anomaly(&mut self) -> Option<Alert> {
        self.push_anomaly_with(Severity::Medium, |_| {})
    }

    fn push_anomaly_with(&mut self, severity: Severity, change: impl Fn(&mut Anomaly)) -> Option<Alert> {
        let mut anomaly = anomaly(self.start, severity);
        change(&mut anomaly);
        self.push(0.999, &[anomaly])
    }

    fn push_quiet(&mut self) -> Option<Alert> {
        self.push(0.2, &[])
    }
}

#[test]
fn two_of_three_windows_open_and_six_quiet_ones_close() {
    let mut stage = Stage::new("");
    assert_eq!(stage.push_quiet(), None);
    assert_eq!(stage.push_anomaly(), None);
    assert_eq!(stage.push_quiet(), None);
    let opened = stage.push_anomaly().unwrap();
    assert_eq!((opened.state, opened.anomalies, opened.severity), (AlertState::Open, 2, Severity::Medium));
    assert_eq!((opened.opened, opened.updated, opened.resolved), (60 * SECOND, 60 * SECOND, None));
    assert_eq!(opened.title, "Pump-07: abnormal vibration-rms (medium)");
    assert_eq!(opened.message, "rms 9.1 mm/s instead of 2.0 mm/s");
    assert_eq!((opened.id.len(), opened.peak_score), (32, 0.999));
    for _ in 0..5 {
        assert_eq!(stage.push_quiet(), None);
    }
    // Below the threshold, but too close to it for a quiet window.
    assert_eq!(stage.push(0.95, &[]), None);
    for _ in 0..5 {
        assert_eq!(stage.push_quiet(), None);
    }
    let resolved = stage.push_quiet().unwrap();
    assert_eq!((resolved.id.as_str(), resolved.state), (opened.id.as_str(), AlertState::Resolved));
    assert_eq!(resolved.resolved, Some(stage.start - STEP + 30 * SECOND));
    assert!(resolved.message.contains("Back to normal: 6 quiet windows"), "{}", resolved.message);
}

#[test]
fn waveforms_are_counted_apart_from_the_windows_of_readings() {
    let mut stage = Stage::new("");
    // A waveform of 160 ms each minute shows a fault that the readings do not show.
    let waveform = |stage: &mut Stage, is_faulty: bool| {
        let mut anomaly = anomaly(stage.start, Severity::Medium);
        anomaly.end = anomaly.start + 160_000_000;
        let scores = Scores {
            assets: &[ASSET],
            asset: &[0],
            start: &[anomaly.start],
            end: &[anomaly.end],
            score: &[if is_faulty { 0.999 } else { 0.2 }],
        };
        stage.alerter.push(&scores, if is_faulty { std::slice::from_ref(&anomaly) } else { &[] }).unwrap()
    };
    let minute = |stage: &mut Stage| (0..6).filter_map(|_| stage.push_quiet()).count();
    assert!(waveform(&mut stage, true).is_empty());
    assert_eq!(minute(&mut stage), 0);
    let opened = waveform(&mut stage, true);
    assert_eq!(opened.iter().map(|alert| alert.state).collect::<Vec<_>>(), [AlertState::Open]);
    // Readings do not resolve it, six waveforms do; also after a restart.
    assert_eq!(minute(&mut stage) + minute(&mut stage), 0);
    stage.alerter = Alerter::restore("", &stage.alerter.snapshot()).unwrap();
    for _ in 0..5 {
        assert_eq!(minute(&mut stage), 0);
        assert!(waveform(&mut stage, false).is_empty());
    }
    assert_eq!(minute(&mut stage), 0);
    assert_eq!(waveform(&mut stage, false)[0].state, AlertState::Resolved);
}

#[test]
fn two_of_four_windows_open_nothing() {
    let mut stage = Stage::new("");
    for _ in 0..4 {
        assert_eq!(stage.push_anomaly(), None);
        assert_eq!(stage.push_quiet(), None);
        assert_eq!(stage.push_quiet(), None);
    }
}

#[test]
fn a_critical_anomaly_opens_at_once() {
    let mut stage = Stage::new("");
    let alert = stage.push_anomaly_with(Severity::Critical, |_| {}).unwrap();
    assert_eq!((alert.anomalies, alert.severity), (1, Severity::Critical));
    assert!(alert.recommendation.starts_with("Slow or stop the machine"));
}

#[test]
fn an_alert_is_sent_again_at_powers_of_two_only() {
    let mut stage = Stage::new("");
    let sent: Vec<u32> = (0..40).filter_map(|_| stage.push_anomaly()).map(|alert| alert.anomalies).collect();
    assert_eq!(sent, [2, 4, 8, 16, 32]);
}

#[test]
fn a_raised_severity_is_sent_and_a_fallen_one_is_not() {
    let mut stage = Stage::new("");
    stage.push_anomaly();
    stage.push_anomaly().unwrap();
    assert_eq!(stage.push_anomaly_with(Severity::High, |_| {}).unwrap().severity, Severity::High);
    assert_eq!(stage.push_anomaly().map(|alert| (alert.anomalies, alert.severity)), Some((4, Severity::High)));
    assert_eq!(stage.push_anomaly_with(Severity::Low, |_| {}), None);
}

#[test]
fn a_fault_mode_is_sent_and_does_not_flap() {
    let mut stage = Stage::new("");
    stage.push_anomaly();
    stage.push_anomaly().unwrap();
    let mode = |mode: &'static str| move |anomaly: &mut Anomaly| anomaly.fault_mode = Some(mode.into());
    let named = stage.push_anomaly_with(Severity::Medium, mode("imbalance")).unwrap();
    assert_eq!(named.fault_mode.as_deref(), Some("imbalance"));
    assert_eq!(named.title, "Pump-07: likely imbalance (medium)");
    // The fourth is sent as 4 is a power of two; the fault mode stays when an anomaly has none.
    assert_eq!(stage.push_anomaly().unwrap().fault_mode.as_deref(), Some("imbalance"));
    assert_eq!(stage.push_anomaly_with(Severity::Medium, mode("cavitation")), None);
    assert_eq!(stage.push_anomaly_with(Severity::Medium, mode("imbalance")), None);
    assert_eq!(stage.push_anomaly_with(Severity::Medium, mode("cavitation")), None);
    assert_eq!(stage.push_anomaly_with(Severity::Medium, mode("cavitation")).map(|alert| alert.anomalies), Some(8));
    let changed = stage.push_anomaly_with(Severity::Medium, mode("cavitation")).unwrap();
    assert_eq!(changed.fault_mode.as_deref(), Some("cavitation"));
}

#[test]
fn another_sensor_leads_after_three_in_a_row() {
    let mut stage = Stage::new("");
    for _ in 0..4 {
        stage.push_anomaly();
    }
    let other = |anomaly: &mut Anomaly| anomaly.sensor = format!("{ASSET}/current");
    assert_eq!(stage.push_anomaly_with(Severity::Medium, other), None);
    assert_eq!(stage.push_anomaly(), None);
    assert_eq!(stage.push_anomaly_with(Severity::Medium, other), None);
    assert!(stage.push_anomaly_with(Severity::Medium, other).is_some_and(|alert| alert.sensor.ends_with("/vibration")));
    assert!(stage.push_anomaly_with(Severity::Medium, other).unwrap().sensor.ends_with("/current"));
}

fn resolve(stage: &mut Stage) -> Alert {
    (0..20).find_map(|_| stage.push_quiet()).unwrap()
}

#[test]
fn within_the_cooldown_the_same_alert_opens_again() {
    let mut stage = Stage::new("");
    stage.push_anomaly();
    let first = stage.push_anomaly().unwrap();
    let resolved = resolve(&mut stage);
    // A tick within the cooldown changes nothing.
    stage.alerter.tick(resolved.updated + 600 * SECOND);
    assert_eq!(stage.push_anomaly(), None);
    let again = stage.push_anomaly().unwrap();
    assert_eq!((again.id.as_str(), again.anomalies, again.resolved), (first.id.as_str(), 4, None));
    assert_eq!((again.opened, again.state), (first.opened, AlertState::Open));

    let resolved = resolve(&mut stage);
    stage.start = resolved.updated + 600 * SECOND;
    stage.push_anomaly();
    let later = stage.push_anomaly().unwrap();
    assert_ne!(later.id, first.id);
    assert_eq!(later.anomalies, 2);
}

#[test]
fn a_tick_drops_alerts_after_their_cooldown_and_resolves_nothing() {
    let mut stage = Stage::new("");
    let empty = stage.alerter.snapshot();
    stage.push_anomaly();
    stage.push_anomaly().unwrap();
    let open = stage.alerter.snapshot();
    stage.alerter.tick(i64::MAX);
    assert_eq!(stage.alerter.snapshot(), open);
    let resolved = resolve(&mut stage);
    stage.alerter.tick(resolved.updated + 601 * SECOND);
    assert_eq!(stage.alerter.snapshot(), empty);
}

#[test]
fn a_reset_of_the_baseline_resolves_the_alerts_of_the_asset() {
    let mut stage = Stage::new("");
    let empty = stage.alerter.snapshot();
    stage.push_anomaly();
    let opened = stage.push_anomaly().unwrap();
    let sensor_fault = |anomaly: &mut Anomaly| {
        (anomaly.sensor, anomaly.fault_mode) = (format!("{ASSET}/current"), Some("sensor-stuck".into()));
    };
    let fault = stage.push_anomaly_with(Severity::Critical, sensor_fault).unwrap();
    // Other assets keep their alerts: ids are compared as a whole.
    let before = stage.alerter.snapshot();
    assert_eq!(stage.alerter.resolve("plant/hall/Pump-0", 900 * SECOND), []);
    assert_eq!(stage.alerter.snapshot(), before);
    let mut restored = Alerter::restore("", &before).unwrap();
    let resolved = stage.alerter.resolve(ASSET, 900 * SECOND);
    assert_eq!(restored.resolve(ASSET, 900 * SECOND), resolved);
    let ids: Vec<&str> = resolved.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids, [opened.id.as_str(), fault.id.as_str()]);
    for alert in &resolved {
        assert_eq!((alert.state, alert.resolved), (AlertState::Resolved, Some(900 * SECOND)));
        assert_eq!(alert.updated, 900 * SECOND);
        assert!(alert.message.contains("the baseline was reset") && alert.message.contains("rms 9.1"), "{alert:?}");
    }
    assert_eq!((resolved[0].anomalies, resolved[0].opened), (opened.anomalies, opened.opened));
    assert_eq!(stage.alerter.snapshot(), empty);
    assert_eq!(stage.alerter.resolve(ASSET, 900 * SECOND), []);
    // Within the cooldown too, the next alert is a new one, and needs two windows.
    assert_eq!(stage.push_anomaly(), None);
    let next = stage.push_anomaly().unwrap();
    assert_eq!(next.anomalies, 2);
    assert_ne!(next.id, opened.id);
}

#[test]
fn a_reset_forgets_counted_windows_and_resolved_alerts() {
    let mut stage = Stage::new("");
    stage.push_anomaly();
    assert_eq!(stage.alerter.resolve(ASSET, 60 * SECOND), []);
    assert_eq!(stage.push_anomaly(), None);
    let first = stage.push_anomaly().unwrap();
    // The clock of the host is behind that of the readings: the alert does not resolve before its last change.
    assert_eq!(stage.alerter.resolve(ASSET, 1)[0].resolved, Some(first.updated));
    stage.push_anomaly();
    stage.push_anomaly().unwrap();
    resolve(&mut stage);
    assert_eq!(stage.alerter.resolve(ASSET, 900 * SECOND), []);
    stage.push_anomaly();
    assert_eq!(stage.push_anomaly().unwrap().anomalies, 2);
}

#[test]
fn a_milder_anomaly_opens_no_alert_but_keeps_one_open() {
    let mut stage = Stage::new(r#"{"minimum_severity":"high"}"#);
    for _ in 0..5 {
        assert_eq!(stage.push_anomaly(), None);
    }
    stage.push_anomaly_with(Severity::High, |_| {});
    assert!(stage.push_anomaly_with(Severity::High, |_| {}).is_some());
    for _ in 0..4 {
        for _ in 0..5 {
            assert_eq!(stage.push_quiet(), None);
        }
        // The score alone would make the window quiet; only the anomaly prevents it.
        let mild = anomaly(stage.start, Severity::Low);
        assert_eq!(stage.push(0.1, &[mild]), None);
    }
    assert_eq!(resolve(&mut stage).anomalies, 2);
}

#[test]
fn the_id_depends_on_asset_and_window_alone() {
    let id = |start: i64, message: &str| {
        let mut stage = Stage { start, ..Stage::new("") };
        stage.push_anomaly_with(Severity::Critical, |anomaly| anomaly.message = message.into()).unwrap().id
    };
    assert_eq!(id(5, "a"), id(5, "b"));
    assert_ne!(id(5, "a"), id(6, "a"));
    assert!(id(5, "a").bytes().all(|digit| digit.is_ascii_hexdigit()));
}

#[test]
fn an_invalid_batch_changes_nothing() {
    let mut stage = Stage::new("");
    stage.push_anomaly();
    let before = stage.alerter.snapshot();
    let scores = Scores { assets: &[ASSET], asset: &[0], start: &[STEP], end: &[STEP + 30 * SECOND], score: &[1.0] };
    let valid = anomaly(STEP, Severity::Medium);
    for (scores, anomaly) in [
        (Scores { asset: &[1], ..scores }, valid.clone()),
        (Scores { score: &[], ..scores }, valid.clone()),
        (scores, anomaly(STEP + 1, Severity::Medium)),
        (scores, Anomaly { asset: "other".into(), ..valid.clone() }),
        (scores, Anomaly { score: f64::NAN, ..valid.clone() }),
        (scores, Anomaly { threshold: f64::INFINITY, ..valid.clone() }),
    ] {
        let error = stage.alerter.push(&scores, &[valid.clone(), anomaly]).unwrap_err();
        assert!(matches!(error, StageError::Batch(_)), "{error}");
        assert_eq!(stage.alerter.snapshot(), before);
    }
    assert_eq!(stage.alerter.push(&scores, &[valid]).unwrap().len(), 1);
}

#[test]
fn an_alert_of_the_configuration_stays_open() {
    let open = format!(
        r#"{{"close_after":2,"open":{{"{ASSET}":{{"id":"old","sensor":"{ASSET}/vibration","feature":"rms","severity":"high","opened":1,
            "updated":2,"resolved":null,"anomalies":7,"peak":0.9995,"newest":"an","threshold":0.99,"fault_mode":"imbalance","message":"m"}}}}}}"#
    );
    let mut stage = Stage::new(&open);
    let more = stage.push_anomaly().unwrap();
    assert_eq!((more.id.as_str(), more.anomalies, more.severity, more.opened), ("old", 8, Severity::High, 1));
    assert_eq!(stage.push_quiet(), None);
    let resolved = stage.push_quiet().unwrap();
    assert_eq!((resolved.id.as_str(), resolved.state), ("old", AlertState::Resolved));
    // A snapshot takes precedence over the configuration.
    let snapshot = stage.alerter.snapshot();
    stage.alerter = Alerter::restore(&open, &snapshot).unwrap();
    assert_eq!((stage.push_quiet(), stage.push_quiet()), (None, None));
}
