//! Properties that hold for any stream of windows.
#![allow(clippy::unwrap_used, reason = "a test's helper may fail the test")]

use proptest::prelude::*;
use wheeltapper_alert::{Alert, AlertState, Alerter, Anomaly, Scores, Severity, StageError};

const SECOND: i64 = 1_000_000_000;
const ASSETS: [&str; 3] = ["a/b/p1", "a/b/p2", "a/b/p3"];

/// One scored window and its anomalies.
#[derive(Clone, Debug)]
struct Row {
    asset: u32,
    start: i64,
    score: f64,
    anomalies: Vec<Anomaly>,
}

fn row() -> impl Strategy<Value = (u32, f64, Option<(u8, u8, u8)>)> {
    let anomalies = proptest::option::weighted(0.35, (0_u8..20, 0_u8..3, 0_u8..4));
    (0_u32..3, 0.0..1.0, anomalies)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec(row(), 0..120).prop_map(|generated| {
        let rows = generated.into_iter().zip(0_i64..).map(|((asset, score, anomalies), position)| {
            let start = position * 5 * SECOND;
            let name = ASSETS[asset as usize];
            let anomalies = anomalies.map(|(severity, sensor, mode)| Anomaly {
                id: format!("{position:032x}"),
                asset: name.into(),
                sensor: format!("{name}/s{sensor}"),
                feature: Some("rms".into()),
                start,
                end: start + 30 * SECOND,
                score: 0.995,
                threshold: 0.99,
                severity: match severity {
                    0 => Severity::Critical,
                    1..4 => Severity::High,
                    4..10 => Severity::Low,
                    _ => Severity::Medium,
                },
                fault_mode: (mode > 1).then(|| format!("mode-{mode}")),
                message: format!("window {position}"),
            });
            Row { asset, start, score: score * score, anomalies: anomalies.into_iter().collect() }
        });
        rows.collect()
    })
}

fn push(alerter: &mut Alerter, rows: &[Row]) -> Vec<Alert> {
    let asset: Vec<u32> = rows.iter().map(|row| row.asset).collect();
    let start: Vec<i64> = rows.iter().map(|row| row.start).collect();
    let end: Vec<i64> = rows.iter().map(|row| row.start + 30 * SECOND).collect();
    let score: Vec<f64> = rows.iter().map(|row| row.score).collect();
    let anomalies: Vec<Anomaly> = rows.iter().flat_map(|row| row.anomalies.clone()).collect();
    let scores = Scores { assets: &ASSETS, asset: &asset, start: &start, end: &end, score: &score };
    alerter.push(&scores, &anomalies).unwrap()
}

const CONFIG: &str = r#"{"close_after":2,"close_below":0.7,"cooldown_seconds":60}"#;

proptest! {
    #[test]
    fn batches_and_snapshots_change_nothing(rows in rows(), size in 1_usize..20) {
        let mut single = Alerter::open(CONFIG).unwrap();
        let alerts = push(&mut single, &rows);
        let mut batched = Alerter::open(CONFIG).unwrap();
        let mut batched_alerts = Vec::new();
        for batch in rows.chunks(size) {
            batched = Alerter::restore(CONFIG, &batched.snapshot()).unwrap();
            batched_alerts.extend(push(&mut batched, batch));
        }
        prop_assert_eq!(alerts, batched_alerts);
        prop_assert_eq!(single.snapshot(), batched.snapshot());
    }

    #[test]
    fn other_assets_change_nothing(rows in rows()) {
        let alerts = push(&mut Alerter::open(CONFIG).unwrap(), &rows);
        for (index, name) in (0_u32..).zip(ASSETS) {
            let rows_of_asset: Vec<Row> = rows.iter().filter(|row| row.asset == index).cloned().collect();
            let alerts_alone = push(&mut Alerter::open(CONFIG).unwrap(), &rows_of_asset);
            let alerts_among_others: Vec<Alert> = alerts.iter().filter(|alert| alert.asset == name).cloned().collect();
            prop_assert_eq!(alerts_alone, alerts_among_others);
        }
    }

    #[test]
    fn an_alert_only_grows_and_ends_before_another_begins(rows in rows()) {
        let alerts = push(&mut Alerter::open(CONFIG).unwrap(), &rows);
        for name in ASSETS {
            let mut last: Option<&Alert> = None;
            for alert in alerts.iter().filter(|alert| alert.asset == name) {
                prop_assert_eq!(alert.state == AlertState::Resolved, alert.resolved.is_some());
                prop_assert!(alert.opened <= alert.updated);
                if let Some(last) = last {
                    if last.id == alert.id {
                        prop_assert!(alert.anomalies >= last.anomalies && alert.severity >= last.severity);
                        prop_assert!(alert.updated > last.updated);
                    } else {
                        prop_assert_eq!(last.state, AlertState::Resolved);
                    }
                } else {
                    prop_assert_eq!(alert.state, AlertState::Open);
                }
                last = Some(alert);
            }
        }
    }

    #[test]
    fn restore_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), versioned: bool) {
        let mut bytes = bytes;
        if versioned {
            bytes.insert(0, 1);
        }
        match Alerter::restore("", &bytes) {
            Ok(mut alerter) => alerter.tick(0),
            Err(error) => prop_assert!(matches!(error, StageError::Snapshot(_))),
        }
    }

    #[test]
    fn a_truncated_or_changed_snapshot_does_not_panic(rows in rows(), cut: prop::sample::Index, byte: u8) {
        let mut alerter = Alerter::open(CONFIG).unwrap();
        push(&mut alerter, &rows);
        let mut bytes = alerter.snapshot();
        let position = cut.index(bytes.len());
        prop_assert!(Alerter::restore(CONFIG, &bytes[..position]).is_err());
        bytes[position] ^= byte;
        if let Ok(mut restored) = Alerter::restore(CONFIG, &bytes) {
            push(&mut restored, &rows);
        }
    }
}

#[test]
fn another_version_is_rejected() {
    assert!(
        matches!(Alerter::restore("", &[3, 0]), Err(StageError::Snapshot(message)) if message.contains("version 1"))
    );
    assert!(matches!(Alerter::restore("", &[]), Err(StageError::Snapshot(_))));
}
