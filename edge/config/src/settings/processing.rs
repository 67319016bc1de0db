//! Settings of the processing of readings: the log, the stages, alerts and the store.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use crate::{ByteSize, Duration};

/// `[log]`: the durable log.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Size of a segment file.
    pub segment: ByteSize,
    /// Maximum age of segments; older ones are deleted unless the line still needs them.
    pub retention_age: Duration,
    /// Maximum size of a partition; its oldest segments are deleted unless the line still needs them.
    pub retention_size: ByteSize,
    /// How long a commit waits for further records, to write them together.
    pub group_commit: Duration,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            segment: ByteSize::mib(64),
            retention_age: Duration::from_secs(7 * 86_400),
            retention_size: ByteSize::mib(10 << 10),
            group_commit: Duration::from_millis(0),
        }
    }
}

/// `[line]`: the line, which runs the stages.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LineSettings {
    /// Approximate maximum number of readings in one call of a stage.
    pub max_batch: usize,
    /// Maximum CPU time of one call of a component.
    pub deadline: Duration,
    /// Maximum memory of a component instance.
    pub memory: ByteSize,
    /// Interval between two checkpoints.
    pub checkpoint: Duration,
    /// Interval between two timer ticks, which close the windows of idle sensors.
    pub tick: Duration,
    /// Maximum bytes of events that wait to be decoded.
    pub queue: ByteSize,
    /// Maximum number of sensors; readings of further sensors are rejected.
    pub max_sensors: usize,
    /// Maximum number of sensors of one machine.
    pub max_sensors_per_machine: usize,
    /// Maximum number of sensors that one sender (API key or user) can add.
    pub max_sensors_per_sender: usize,
    /// Component files to run instead of the built-in ones, by stage.
    pub components: BTreeMap<String, PathBuf>,
}

impl Default for LineSettings {
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

/// `[ingest]`: limits of incoming events.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestSettings {
    /// Earliest accepted time of a reading, in RFC 3339.
    pub earliest: String,
    /// How far the time of a reading may be ahead of its arrival.
    pub max_future: Duration,
    /// Maximum number of sensors in one event, not counting configured ones.
    pub max_sensors_per_event: usize,
    /// Maximum number of readings and samples in one event.
    pub max_readings_per_event: usize,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            earliest: "1990-01-01T00:00:00Z".into(),
            max_future: Duration::from_secs(300),
            max_sensors_per_event: 10_000,
            max_readings_per_event: 1_000_000,
        }
    }
}

/// `[windows]`: the windows over which features are computed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowSettings {
    /// Length of a window.
    pub size: Duration,
    /// Time between the starts of two windows; a slide equal to the size makes tumbling windows.
    pub slide: Duration,
    /// How far behind newer readings a reading may be and still be accepted.
    pub lateness: Duration,
    /// Makes the windows of slow sensors longer, so that each has about eight readings. By default only if `size` is the
    /// default.
    pub follow_rate: Option<bool>,
}

impl WindowSettings {
    /// Whether the windows of slow sensors are longer.
    pub fn follows_rate(&self) -> bool {
        self.follow_rate.unwrap_or(self.size == Self::default().size)
    }
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self {
            size: Duration::from_secs(30),
            slide: Duration::from_secs(10),
            lateness: Duration::from_secs(10),
            follow_rate: None,
        }
    }
}

/// `[detect]`: anomaly detection.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectSettings {
    /// Detector for scalar readings: `similarity` (by operating states), `ensemble`, `process`, `stream`, `zscore` and
    /// so on.
    pub model: String,
    /// Number of windows that are learnt before anything is judged. By default `similarity` learns an hour of running
    /// and 30 windows that do not overlap in each state; the other detectors learn 30 windows.
    pub warmup_windows: Option<u32>,
    /// Score, from 0 to 1, at or above which a window is an anomaly.
    pub threshold: Option<f64>,
    /// Maximum delay of the training, in windows, for detectors other than `similarity`. Each asset has its own delay, so
    /// that not all assets train at the same time; by default there is none.
    pub spread_windows: Option<u32>,
    /// Health index (about 1 when new) at which an asset counts as failed.
    pub life_limit: Option<f64>,
    /// Runs to failure for the prediction of remaining useful life.
    pub run_to_failure: Option<FailureRuns>,
}

/// `[detect.run_to_failure]`: runs to failure from which the remaining useful life is learnt.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureRuns {
    /// The columns of the files: ids of sensors, or the last level of their ids.
    pub sensors: Vec<String>,
    /// CSV files, one for each run, with one row for each window; the last row is at the failure.
    pub files: Vec<PathBuf>,
    /// Maximum number of remaining windows to predict; longer lives look all the same.
    pub horizon_windows: f64,
}

impl Default for DetectSettings {
    fn default() -> Self {
        Self {
            model: "similarity".into(),
            warmup_windows: None,
            threshold: None,
            spread_windows: None,
            life_limit: None,
            run_to_failure: None,
        }
    }
}

/// `[alerts]`: when alerts open and resolve, and where they are sent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertSettings {
    /// Number of anomalous windows, among the newest `within`, that open an alert.
    pub open_after: Option<u32>,
    /// Number of newest windows that `open_after` applies to.
    pub within: Option<u32>,
    /// Number of quiet windows that resolve an alert.
    pub close_after: Option<u32>,
    /// A window is quiet if its score is below this share of the threshold.
    pub close_below: Option<f64>,
    /// An alert that opens again within this time after it was resolved is the same alert.
    pub cooldown: Option<Duration>,
    /// Minimum severity of anomalies that open an alert.
    pub minimum_severity: Option<String>,
    /// Destinations of alerts.
    #[serde(rename = "route")]
    pub routes: Vec<AlertRoute>,
}

/// `[[alerts.route]]`: a destination of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRoute {
    /// Unique name. The delivery position is stored under it.
    pub name: String,
    /// Minimum severity of the alerts to send.
    #[serde(default = "default_severity")]
    pub severity: String,
    /// Sites whose alerts to send; empty means all.
    #[serde(default)]
    pub sites: Vec<String>,
    /// URL that receives each alert as JSON by POST. Use `webhook_env` if the URL contains a secret.
    pub webhook: Option<String>,
    /// Environment variable that holds the URL.
    pub webhook_env: Option<String>,
}

fn default_severity() -> String {
    "low".into()
}

/// `[schedule]`: planning of maintenance.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleSettings {
    /// How far ahead work is planned.
    pub horizon: Duration,
    /// Currency of all costs.
    pub currency: String,
    /// Offset of the time zone of the shifts from UTC, in minutes.
    pub utc_offset_minutes: i32,
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self { horizon: Duration::from_secs(336 * 3600), currency: "EUR".into(), utc_offset_minutes: 0 }
    }
}

/// `[store]`: retention of stored data. Ages are relative to the newest stored data, or to the clock if that is
/// earlier.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Retention of raw readings, waveforms and windows.
    pub retention: Duration,
    /// Retention of hourly aggregates of readings.
    pub hourly_retention: Duration,
    /// Retention of anomalies, resolved alerts, drifts, prognoses, closed work orders, actions and finished tasks.
    pub findings_retention: Duration,
    /// Retention of dead letters.
    pub dead_letters_retention: Duration,
    /// Maximum total size of the payloads of dead letters; the oldest are deleted first.
    pub dead_letters_size: ByteSize,
    /// Maximum size of the database. If it is exceeded, the oldest raw data is deleted first, then dead letters, then
    /// hourly aggregates.
    pub max_size: ByteSize,
}

impl Default for StoreSettings {
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
