//! A plant of two machines for which all hosts have to produce the same rows.

/// The plant's configuration: short windows, a short warm-up, and one technician.
pub const PLANT: &str = r#"{
    "featurize": {"size_seconds": 10, "slide_seconds": 5, "lateness_seconds": 10},
    "detect": {"warmup_windows": 30, "model": "zscore"},
    "schedule": {"technicians": [{"name": "ada", "skills": ["mechanic", "electrician", "vibration-analyst", "instrumentation"], "hourly_cost": 60, "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "16:00"}]}]}
}"#;

/// Select the columns that users can query. The column `seq`, which depends on the order of the events, is left out.
pub const TABLE_QUERIES: [&str; 8] = [
    "SELECT * FROM sensors ORDER BY name",
    "SELECT * FROM readings ORDER BY sensor, start_time, event",
    "SELECT * FROM windows ORDER BY sensor, start_time, features",
    "SELECT * FROM anomalies ORDER BY id",
    "SELECT id, asset, sensor, severity, state, opened, updated, resolved, anomalies, peak_score, anomaly, title, message, recommendation FROM alerts ORDER BY id",
    "SELECT id, alert, asset, type, priority, status, scheduled_time, technician, skills, after, cost, notes, pinned FROM work_orders ORDER BY id",
    "SELECT * FROM drifts ORDER BY id",
    "SELECT reason, sensor, payload, message FROM dead_letters ORDER BY id",
];

/// Asserts that the API reports the results of [`plant_events`] and of an event with the payload `nonsense`. `get`
/// requests a path and returns status and body.
///
/// # Panics
/// If a response is not as expected.
pub fn assert_api_reports(get: impl Fn(&str) -> (u16, String)) {
    for (path, expected) in [
        ("/api/v1/sensors", "north/pump-1/temperature"),
        ("/api/v1/sensors/north%2Fpump-1%2Ftemperature/readings?points=10", "2026-01-05T00:00:"),
        ("/api/v1/dead-letters?reason=malformed", "nonsense"),
    ] {
        let (status, body) = get(path);
        assert!(status == 200 && body.contains(expected), "{path}: {body}");
    }
    for path in ["/api/v1/anomalies", "/api/v1/alerts", "/api/v1/work-orders", "/api/v1/overview", "/ready", "/"] {
        let (status, body) = get(path);
        assert_eq!(status, 200, "{path}: {body}");
    }
    assert_eq!(get("/api/v1/lunch").0, 404);
}

/// A Monday in January 2026, in seconds since 1970.
pub const START: i64 = 1_767_571_200;

/// Returns one event for each second, with the readings of two machines with two sensors each. The temperature of one
/// machine rises from the second `fault_start` on.
pub fn plant_events(seconds: i64, fault_start: i64) -> Vec<Vec<u8>> {
    let mut noise = 88_172_645_463_325_252_u64;
    let mut uniform = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    (0..seconds)
        .map(|second| {
            let mut lines = String::new();
            for machine in ["north/pump-1", "south/fan-2"] {
                let is_faulty = machine == "north/pump-1" && second >= fault_start;
                let rise = if is_faulty { (second - fault_start) as f64 * 0.5 } else { 0.0 };
                let (temperature, vibration) = (50.0 + uniform() + rise, 2.0 + 0.1 * uniform());
                let time = START + second;
                lines.push_str(&format!(
                    "{{\"sensor_id\": \"{machine}/temperature\", \"timestamp\": {time}, \"value\": {temperature}}}\n"
                ));
                lines.push_str(&format!(
                    "{{\"sensor_id\": \"{machine}/vibration\", \"timestamp\": {time}, \"value\": {vibration}}}\n"
                ));
            }
            lines.into_bytes()
        })
        .collect()
}
