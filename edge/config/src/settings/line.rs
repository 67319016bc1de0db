//! What is done with readings: the log, the stages, alerts, the store.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use crate::{ByteSize, Duration};

/// `[log]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Size of a file of the log.
    pub segment: ByteSize,
    /// What is older goes, unless the line still needs it.
    pub retention_age: Duration,
    /// A partition larger than this loses its oldest files, unless the line still needs them.
    pub retention_size: ByteSize,
    /// How long a commit waits for company.
    pub group_commit: Duration,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            segment: ByteSize::mib(64),
            retention_age: Duration::from_secs(7 * 86_400),
            retention_size: ByteSize::mib(10 << 10),
            group_commit: Duration::from_millis(0),
        }
    }
}

/// `[line]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Line {
    /// Readings a call takes, at most about.
    pub max_batch: usize,
    /// How much CPU time a call of a component may take.
    pub deadline: Duration,
    /// How much memory an instance may have.
    pub memory: ByteSize,
    /// Between two checkpoints.
    pub checkpoint: Duration,
    /// Between two ticks of the timer, which close the windows of idle sensors.
    pub tick: Duration,
    /// How many bytes of events may wait to be decoded.
    pub queue: ByteSize,
    /// Sensors that the host takes at most; readings of a new one beyond are refused.
    pub max_sensors: usize,
    /// Sensors of one machine at most.
    pub max_sensors_per_machine: usize,
    /// Sensors at most that one sender (API key or user) may bring.
    pub max_sensors_per_sender: usize,
    /// Components to run instead of the built-in ones, by stage.
    pub components: BTreeMap<String, PathBuf>,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            max_batch: 32_768,
            deadline: Duration::from_secs(5),
            memory: ByteSize::mib(2048),
            checkpoint: Duration::from_secs(30),
            tick: Duration::from_secs(15),
            queue: ByteSize::mib(64),
            max_sensors: 100_000,
            max_sensors_per_machine: 1_000,
            max_sensors_per_sender: 50_000,
            components: BTreeMap::new(),
        }
    }
}

/// `[ingest]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// The earliest time that is taken, RFC 3339.
    pub earliest: String,
    /// How far a reading's time may be ahead of its arrival.
    pub max_future: Duration,
    /// Sensors that one event may name beside those of the configuration.
    pub max_sensors_per_event: usize,
    /// Readings and samples that one event may hold.
    pub max_readings_per_event: usize,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            earliest: "1990-01-01T00:00:00Z".into(),
            max_future: Duration::from_secs(300),
            max_sensors_per_event: 10_000,
            max_readings_per_event: 1_000_000,
        }
    }
}

/// `[windows]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Windows {
    /// Length of a window.
    pub size: Duration,
    /// From one window's start to the next one's; the size itself makes tumbling windows.
    pub slide: Duration,
    /// How much later than newer ones a reading may come.
    pub lateness: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Self { size: Duration::from_secs(30), slide: Duration::from_secs(10), lateness: Duration::from_secs(10) }
    }
}

/// `[detect]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detect {
    /// Which detector scores the scalars: `ensemble`, `process`, `stream`, `zscore`, `pca` and so on.
    pub model: String,
    /// Windows of each asset to learn from.
    pub warmup_windows: u32,
    /// The score, 0 to 1, from which a window is an anomaly.
    pub threshold: Option<f64>,
    /// Assets learn up to so many windows later, each its own, so that they do not all learn at once; by default half the
    /// warm-up.
    pub spread_windows: Option<u32>,
    /// The health index (about 1 at the beginning) at which an asset counts as failed.
    pub life_limit: Option<f64>,
    /// Runs to failure that remaining lives are learnt from.
    pub lives: Option<Lives>,
}

/// `[detect.lives]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lives {
    /// Sensors, by id or its last part: columns of the files.
    pub sensors: Vec<String>,
    /// CSV files: one run each, one row a window, the last one at the failure.
    pub files: Vec<PathBuf>,
    /// Remaining windows beyond which no difference shows.
    pub horizon_windows: f64,
}

impl Default for Detect {
    fn default() -> Self {
        Self {
            model: "ensemble".into(),
            warmup_windows: 30,
            threshold: None,
            spread_windows: None,
            life_limit: None,
            lives: None,
        }
    }
}

/// `[alerts]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// Anomalous windows that open an alert ...
    pub open_after: Option<u32>,
    /// ... among so many.
    pub within: Option<u32>,
    /// Quiet windows that resolve it.
    pub close_after: Option<u32>,
    /// A window is quiet below this share of the threshold.
    pub close_below: Option<f64>,
    /// An alert that comes back within this time is the same one.
    pub cooldown: Option<Duration>,
    /// Milder anomalies open none.
    pub minimum_severity: Option<String>,
    /// Where alerts go.
    #[serde(rename = "route")]
    pub routes: Vec<AlertRoute>,
}

/// `[[alerts.route]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRoute {
    /// Name, for logs.
    pub name: String,
    /// The mildest severity that goes this way.
    #[serde(default = "any_severity")]
    pub severity: String,
    /// Sites; none means all.
    #[serde(default)]
    pub sites: Vec<String>,
    /// Gets the alert as JSON by POST; a URL that holds a secret belongs into `webhook_env`.
    pub webhook: Option<String>,
    /// The environment variable that holds the URL.
    pub webhook_env: Option<String>,
}

fn any_severity() -> String {
    "low".into()
}

/// `[schedule]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// How far ahead work is planned.
    pub horizon: Duration,
    /// Of costs.
    pub currency: String,
    /// Of the shifts, from UTC.
    pub utc_offset_minutes: i32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { horizon: Duration::from_secs(336 * 3600), currency: "EUR".into(), utc_offset_minutes: 0 }
    }
}

/// `[store]`: how long what is kept. Ages count from the newest that is stored, or from the clock where that is earlier.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Raw readings, waveforms and windows.
    pub retention: Duration,
    /// Hourly aggregates of readings.
    pub hourly_retention: Duration,
    /// Anomalies, resolved alerts, drifts, prognoses, closed work orders, actions and finished tasks.
    pub findings_retention: Duration,
    /// Dead letters.
    pub dead_letters_retention: Duration,
    /// Payloads of dead letters, all together; the oldest go first.
    pub dead_letters_size: ByteSize,
    /// The database; above it the oldest raw data goes first, then dead letters, then hourly aggregates.
    pub max_size: ByteSize,
}

impl Default for Store {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            retention: days(90),
            hourly_retention: days(730),
            findings_retention: days(400),
            dead_letters_retention: days(90),
            dead_letters_size: ByteSize::mib(1 << 10),
            max_size: ByteSize::mib(50 << 10),
        }
    }
}
