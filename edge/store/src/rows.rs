//! Rows as the host sees them. Times are nanoseconds since 1970.

use serde::Serialize;

/// A sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SensorRow {
    /// Dense from 0.
    pub id: u32,
    /// The id that devices use.
    pub name: String,
    /// The machine it sits on.
    pub asset: String,
    /// Unit of its values.
    pub unit: String,
    /// What it measures.
    pub kind: String,
}

/// Where a partition of the line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Which.
    pub partition: u16,
    /// Offset of the snapshot.
    pub snapshot_offset: u64,
    /// Offset up to which findings are in the store.
    pub applied_offset: u64,
    /// Whatever the host wrote about the snapshot; none before the first.
    pub snapshot: Option<String>,
    /// Whatever the host wrote about its topics.
    pub topic_ends: String,
}

/// A stretch of a partition's log that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRow {
    /// The first offset of it.
    pub start: u64,
    /// The first offset after it.
    pub stop: u64,
    /// The asset whose part of it was given up; none: all of it was.
    pub asset: Option<String>,
}

/// An anomaly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnomalyRow {
    /// Derived from content.
    pub id: String,
    /// End of the window.
    pub detection_time: i64,
    /// Carries most of the score.
    pub sensor: String,
    /// The machine.
    pub asset: String,
    /// Start of the window.
    pub start_time: i64,
    /// End of the window.
    pub end_time: i64,
    /// 0 to 1.
    pub score: f64,
    /// Which model found it.
    pub model: String,
    /// low, medium, high or critical.
    pub severity: String,
    /// Whether a person has dealt with it.
    pub handled: bool,
    /// 0 to 1.
    pub threshold: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// The fault it points to.
    pub fault_mode: Option<String>,
    /// The reason in words.
    pub message: String,
    /// JSON: the contributions.
    pub metadata: String,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertRow {
    /// Derived from content.
    pub id: String,
    /// The machine.
    pub asset: String,
    /// Carries most of the score.
    pub sensor: String,
    /// low, medium, high or critical.
    pub severity: String,
    /// open or resolved.
    pub state: String,
    /// When it opened.
    pub opened: i64,
    /// When it last changed.
    pub updated: i64,
    /// When it resolved.
    pub resolved: Option<i64>,
    /// How many it gathers.
    pub anomalies: u32,
    /// The highest score among them.
    pub peak_score: f64,
    /// The newest anomaly.
    pub anomaly: String,
    /// The fault it points to.
    pub fault_mode: Option<String>,
    /// One line.
    pub title: String,
    /// The reason in words.
    pub message: String,
    /// What to do first.
    pub recommendation: String,
}

/// A work order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkOrderRow {
    /// Derived from the alert.
    pub id: String,
    /// Why.
    pub alert: String,
    /// The machine.
    pub asset: String,
    /// What is done.
    pub kind: String,
    /// 1 (most urgent) to 5.
    pub priority: u8,
    /// planned, unscheduled, done or cancelled.
    pub status: String,
    /// When.
    pub scheduled: Option<i64>,
    /// How long.
    pub duration_minutes: u32,
    /// Who.
    pub technician: Option<String>,
    /// What it takes.
    pub skills: Vec<String>,
    /// Orders that come first.
    pub after: Vec<String>,
    /// Labour and parts.
    pub cost: f64,
    /// For the technician.
    pub notes: String,
    /// A person fixed its time and technician.
    pub pinned: bool,
}

/// Something that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Derived from where in the log it was met.
    pub id: String,
    /// When.
    pub time: i64,
    /// Topic, path, subject, or the line.
    pub source: String,
    /// The reason's name.
    pub reason: String,
    /// What was expected, what came, what to do.
    pub message: String,
    /// As it came.
    #[serde(skip)]
    pub payload: Vec<u8>,
    /// How many readings.
    pub readings: u32,
    /// The sensor, where known.
    pub sensor: Option<String>,
    /// The format it claimed.
    pub format: Option<String>,
}

/// What is normal for an asset moved, or what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftRow {
    /// Content id.
    pub id: String,
    /// The machine.
    pub asset: String,
    /// When, in ns since 1970.
    pub time: i64,
    /// `drifted`, `kept` or `switched`.
    pub kind: String,
    /// Sensors that moved.
    pub sensors: Vec<String>,
    /// Adjusted for their number.
    pub p_value: f64,
    /// In words.
    pub message: String,
}

/// How long an asset has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrognosisRow {
    /// The machine.
    pub asset: String,
    /// When it was made, in ns since 1970.
    pub time: i64,
    /// 1 as in the beginning, 0 at the limit.
    pub health: f64,
    /// 90 of 100 such assets outlive this; none: no end in sight.
    pub p10_hours: Option<f64>,
    /// The median.
    pub p50_hours: Option<f64>,
    /// 10 of 100 outlive this.
    pub p90_hours: Option<f64>,
    /// `library` or `degradation`.
    pub model: String,
}
