//! A workload with a database of its own.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, path::PathBuf};

use wheeltapper_wasmcloud_world::{Loaded, Message, Postgres, Settings, WasmCloudWorld};

/// The components, and the first word of the subjects that each listens to.
pub const STAGES: [(&str, &str); 5] = [
    ("ingest", "readings"),
    ("featurize", "raw-sensor-data"),
    ("detect", "processed-data"),
    ("alert", "anomaly-events"),
    ("schedule", "alert-events"),
];

/// A folder of composed components.
pub fn folder() -> PathBuf {
    std::env::var_os("WHEELTAPPER_COMPOSED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/composed")), PathBuf::from)
        .join("wasmcloud")
}

/// A composed component.
pub fn composed(name: &str) -> PathBuf {
    let path = folder().join(format!("{name}.wasm"));
    assert!(path.is_file(), "{} is missing; make it with `cargo xtask compose wasmcloud`", path.display());
    path
}

/// Short windows, a short warm-up, and one technician.
pub const PLANT: &str = r#"{
    "featurize": {"size_seconds": 10, "slide_seconds": 5, "lateness_seconds": 10},
    "detect": {"warmup_windows": 30, "model": "zscore"},
    "schedule": {"technicians": [{"name": "ada", "skills": ["mechanic", "electrician", "vibration-analyst", "instrumentation"], "hourly_cost": 60, "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "16:00"}]}]}
}"#;

/// What people ask for. `seq` orders rewrites of a row, and `plan` follows the order in which machines come to it.
const TABLES: [&str; 8] = [
    "SELECT * FROM sensors ORDER BY name",
    "SELECT * FROM readings ORDER BY sensor, start_time, event",
    "SELECT * FROM windows ORDER BY sensor, start_time, features",
    "SELECT * FROM anomalies ORDER BY id",
    "SELECT id, asset, sensor, severity, state, opened, updated, resolved, anomalies, peak_score, anomaly, title, message, recommendation FROM alerts ORDER BY id",
    "SELECT id, alert, asset, type, priority, status, scheduled_time, technician, skills, after, cost, notes FROM work_orders ORDER BY id",
    "SELECT * FROM drifts ORDER BY id",
    "SELECT reason, sensor, payload, message FROM dead_letters ORDER BY id",
];

/// The workload.
pub struct App {
    pub world: WasmCloudWorld,
    _postgres: Postgres,
}

impl App {
    pub fn new(config: &[(&str, &str)]) -> Self {
        let postgres = Postgres::start().unwrap();
        let settings = Settings { config: pairs(config), postgres: postgres.url() };
        let world = WasmCloudWorld::open(settings).unwrap();
        Self { world, _postgres: postgres }
    }

    pub fn load(&self, name: &str) -> Loaded {
        self.world.load(&composed(name)).unwrap()
    }

    pub fn send(&self, to: &Loaded, subject: &str, body: &[u8]) {
        let message = Message { subject: subject.to_owned(), body: body.to_vec() };
        self.world.message(to, &message, None).unwrap();
    }

    pub fn count(&self, from: &str) -> i64 {
        self.world.rows(&format!("SELECT count(*) FROM {from}"), &[]).unwrap()[0].get(0)
    }

    /// Each table's rows, as text.
    pub fn tables(&self) -> Vec<Vec<String>> {
        let rows = |table: &&str| self.world.rows(&format!("SELECT row_to_json(t)::text FROM ({table}) AS t"), &[]);
        TABLES.iter().map(|table| rows(table).unwrap().iter().map(|row| row.get(0)).collect()).collect()
    }
}

/// Two workloads have come to the same.
pub fn assert_same(wanted: &[Vec<String>], got: &[Vec<String>]) {
    for ((table, wanted), got) in TABLES.iter().zip(wanted).zip(got) {
        let differs = wanted.iter().zip(got).find(|(wanted, got)| wanted != got);
        assert!(wanted == got, "{table}: {} rows, wanted {}; {differs:?}", got.len(), wanted.len());
    }
}

fn pairs(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A Monday in January 2026, in seconds since 1970.
pub const START: i64 = 1_767_571_200;

/// A time so many seconds after the start, as a tick says it.
pub fn tick(after: i64) -> String {
    ((START + after) * 1_000_000_000).to_string()
}

/// Each second's readings of two machines with two sensors each, as an event; one of the machines runs hot from `hot` on.
pub fn events(seconds: i64, hot: i64) -> Vec<Vec<u8>> {
    let mut noise = 88_172_645_463_325_252_u64;
    let mut normal = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    (0..seconds)
        .map(|second| {
            let mut lines = String::new();
            for machine in ["north/pump-1", "south/fan-2"] {
                let rise = if machine == "north/pump-1" && second >= hot { (second - hot) as f64 * 0.5 } else { 0.0 };
                let (a, b) = (50.0 + normal() + rise, 2.0 + 0.1 * normal());
                let time = START + second;
                lines.push_str(&format!(
                    "{{\"sensor_id\": \"{machine}/temperature\", \"timestamp\": {time}, \"value\": {a}}}\n"
                ));
                lines.push_str(&format!(
                    "{{\"sensor_id\": \"{machine}/vibration\", \"timestamp\": {time}, \"value\": {b}}}\n"
                ));
            }
            lines.into_bytes()
        })
        .collect()
}
