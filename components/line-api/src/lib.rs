//! The contract between the API and the line: the types of `wit/line-api.wit` in Rust. The API calls, the hosts answer.
//!
//! Each crate generates its own WIT bindings and therefore its own enums. The macros of this crate convert between
//! them.

/// One event as a trigger received it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// HTTP path, MQTT topic, subject or channel, or the topic that the sender names.
    pub source: String,
    /// A media type or a format's short name. `None`: the decoder detects the format from the payload.
    pub format: Option<String>,
    /// The sensor to use for a payload that names none.
    pub sensor: Option<String>,
    /// The event's bytes, decompressed.
    pub payload: Vec<u8>,
}

/// Why an event, or a part of it, was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionReason {
    /// The payload does not match its declared format, or no known format.
    Malformed,
    /// Larger than the limit.
    Oversize,
    /// NaN or infinite.
    NonFinite,
    /// The time cannot be parsed, or is before the earliest accepted time.
    TooOld,
    /// The time is later than its arrival by more than the accepted tolerance.
    InFuture,
    /// The sensor is not configured, and unknown sensors are rejected.
    UnknownSensor,
    /// Outside what the sensor can physically read.
    OutOfRange,
    /// A reading of the same sensor and time was received before.
    Duplicate,
    /// The reading's window was already closed.
    Late,
    /// The stage failed to process the batch.
    StageFailure,
}

impl RejectionReason {
    /// All reasons, in the order of declaration.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Oversize,
        Self::NonFinite,
        Self::TooOld,
        Self::InFuture,
        Self::UnknownSensor,
        Self::OutOfRange,
        Self::Duplicate,
        Self::Late,
        Self::StageFailure,
    ];

    /// Returns the name used in responses, metrics and dead letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Oversize => "oversize",
            Self::NonFinite => "non-finite",
            Self::TooOld => "too-old",
            Self::InFuture => "in-future",
            Self::UnknownSensor => "unknown-sensor",
            Self::OutOfRange => "out-of-range",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::StageFailure => "stage-failure",
        }
    }
}

/// A table that can be queried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Sensors, ordered by name.
    Sensors,
    /// Chunks of readings.
    Readings,
    /// Windows with their features.
    Windows,
    /// Anomalies.
    Anomalies,
    /// Alerts.
    Alerts,
    /// Drifts.
    Drifts,
    /// Prognoses.
    Prognoses,
    /// Work orders, earliest due first.
    WorkOrders,
    /// Dead letters: rejected events and parts of events.
    DeadLetters,
    /// Waveforms with their samples.
    Waveforms,
    /// One row per machine, most severe first.
    Machines,
    /// User actions on anomalies, work orders and machines.
    Actions,
    /// Requested maintenance plans.
    Tasks,
}

/// Selects rows of a [`Table`]. A field that is `None` does not restrict the result. Rows are ordered newest first,
/// sensors by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The id of the row. For sensors and machines: the name. For actions: the id of their target.
    pub id: Option<String>,
    /// The machine's name.
    pub asset: Option<String>,
    /// The sensor's name.
    pub sensor: Option<String>,
    /// Severity of anomalies and alerts, or state of alerts; status of work orders; reason of dead letters.
    pub kind: Option<String>,
    /// Only rows that end after this time, in nanoseconds since 1970.
    pub after: Option<i64>,
    /// Only rows that begin before this time, in nanoseconds since 1970.
    pub before: Option<i64>,
    /// Maximum number of rows; values above 1,000 count as 1,000.
    pub limit: u32,
    /// Number of rows to skip.
    pub offset: u32,
    /// Number of readings that suffices. A host that cannot downsample returns all of them.
    pub points: Option<u32>,
}

impl Filter {
    /// Maximum number of rows in one reply.
    pub const MAX_ROWS: u32 = 1_000;
    /// Maximum offset for windows and waveforms: a host may have to assemble all skipped rows first.
    pub const MAX_OFFSET: u32 = 100_000;
}

/// An action of a user. `wit/line-api.wit` documents the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the contracts")]
pub enum Action {
    Acknowledge,
    Handle,
    FalseAlarm,
    Comment,
    OrderRepair,
    Amend,
    Plan,
    ResetBaseline,
}

impl Action {
    /// Returns the name used in the table `actions` and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Handle => "handle",
            Self::FalseAlarm => "false-alarm",
            Self::Comment => "comment",
            Self::OrderRepair => "order-repair",
            Self::Amend => "amend",
            Self::Plan => "plan",
            Self::ResetBaseline => "reset-baseline",
        }
    }

    /// Returns whether the action marks the anomaly as handled.
    pub const fn marks_handled(self) -> bool {
        matches!(self, Self::Handle | Self::FalseAlarm)
    }
}

/// A request to perform an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRequest {
    /// The action.
    pub action: Action,
    /// The id of the anomaly or the work order, or the name of the machine; empty for the action `plan`.
    pub id: String,
    /// A comment, which may be empty. For the actions `amend`, `plan` and `reset-baseline` a JSON object, see
    /// `wit/line-api.wit`.
    pub text: String,
    /// The time of the request, in nanoseconds since 1970.
    pub now: i64,
}

/// Values of one sensor to score against the model of its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectRequest {
    /// An event in JSON, as a device would send it, of one sensor.
    pub payload: Vec<u8>,
    /// A detector's name. `ensemble` or an empty string selects the detector that monitors the machine.
    pub model: String,
    /// The time of the request, in nanoseconds since 1970.
    pub now: i64,
}

/// The score of a sample; of several windows, the highest score. `wit/line-api.wit` documents the fields.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in the contracts")]
pub struct Verdict {
    pub asset: String,
    pub sensor: String,
    pub score: f64,
    pub threshold: f64,
    pub confidence: f64,
    pub model: String,
    pub explanation: String,
}

/// Converts a table to the variant of the same name in another enum: `convert_table!(value, WitTable => Table)`.
#[macro_export]
macro_rules! convert_table {
    ($value:expr, $from:ident => $to:ident) => {
        $crate::convert_enum!($value, $from => $to {
            Sensors, Readings, Windows, Anomalies, Alerts, Drifts, Prognoses, WorkOrders, DeadLetters, Waveforms, Machines,
            Actions, Tasks
        })
    };
}

/// Converts an action to the variant of the same name in another enum.
#[macro_export]
macro_rules! convert_action {
    ($value:expr, $from:ident => $to:ident) => {
        $crate::convert_enum!($value, $from => $to {
            Acknowledge, Handle, FalseAlarm, Comment, OrderRepair, Amend, Plan, ResetBaseline
        })
    };
}

/// Converts a rejection reason to the variant of the same name in another enum.
#[macro_export]
macro_rules! convert_reason {
    ($value:expr, $from:ident => $to:ident) => {
        $crate::convert_enum!($value, $from => $to {
            Malformed, Oversize, NonFinite, TooOld, InFuture, UnknownSensor, OutOfRange, Duplicate, Late, StageFailure
        })
    };
}

/// Matches over all variants. A variant that is missing here in either enum is a compile error.
#[doc(hidden)]
#[macro_export]
macro_rules! convert_enum {
    ($value:expr, $from:ident => $to:ident { $($variant:ident),+ }) => {
        match $value { $($from::$variant => $to::$variant),+ }
    };
}
