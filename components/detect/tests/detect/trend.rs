//! Each anomaly contains the trend that led to it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{detect, pump};

#[test]
fn an_anomaly_contains_its_trend() {
    let config = r#"{"model":"ensemble","sensors":{"p/pump/temperature":{"unit":"°C","kind":"temperature"}}}"#;
    let found = detect(
        config,
        &pump(5, 6000, |second, index, healthy| {
            let hot = if index == 1 { 0.01 * (second - 3000).max(0) as f64 } else { 0.0 };
            Some(healthy + hot)
        }),
    );
    assert!(found.anomalies.len() > 50, "{}", found.anomalies.len());
    for anomaly in &found.anomalies {
        let trend = anomaly.trend.as_ref().unwrap();
        assert_eq!(trend.times.last(), Some(&anomaly.end));
        assert!(trend.times.is_sorted_by(|one, next| one < next));
        assert_eq!(trend.times.len(), trend.values.len());
        assert!((10..=60).contains(&trend.times.len()), "{}", trend.times.len());
        assert!(trend.values.iter().all(|value| value.is_finite()));
        assert_eq!((&trend.sensor, trend.feature.as_str()), (&anomaly.sensor, "mean"));
    }
    let last = found.anomalies.last().unwrap();
    let trend = last.trend.as_ref().unwrap();
    assert_eq!((trend.sensor.as_str(), trend.unit.as_str()), ("p/pump/temperature", "°C"));
    // The trend covers the last ten minutes, in which the temperature rose by six degrees.
    let rise = trend.values.last().unwrap() - trend.values.first().unwrap();
    assert!((5.0..7.0).contains(&rise), "{rise}");
}
