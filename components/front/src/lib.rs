//! What goes between the API and the line: `wit/front.wit` in Rust, for the API, which asks, and the hosts, which answer.
//!
//! Bindings are made anew in each crate, and so are their enums; [`table`], [`deed`] and [`reason`] lead from one to another.

/// One event as a trigger received it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// HTTP path, MQTT topic, subject or channel, or the topic that the sender names.
    pub source: String,
    /// A media type or a format's short name; none: the bytes tell.
    pub format: Option<String>,
    /// Stands in for a payload that names no sensor.
    pub sensor: Option<String>,
    /// The bytes, unpacked.
    pub payload: Vec<u8>,
}

/// Why an event was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not of the format it claims, or of none that is known.
    Malformed,
    /// Larger than is taken.
    Oversize,
    /// NaN or infinite.
    NonFinite,
    /// A time that is no time, or before the earliest that is taken.
    TooOld,
    /// Later than its arrival by more than is taken.
    InFuture,
    /// Not configured, where that is refused.
    UnknownSensor,
    /// Outside what the sensor can physically read.
    OutOfRange,
    /// The same sensor and time came before.
    Duplicate,
    /// Its window had closed.
    Late,
    /// The stage could not get through the batch.
    StageFailure,
}

impl Reason {
    /// All.
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

    /// As answers, metrics and dead letters write it.
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

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Sensors, by name.
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
    /// Work orders, those that are due first at the front.
    WorkOrders,
    /// What was refused.
    DeadLetters,
    /// Bursts with their samples.
    Waveforms,
    /// One row a machine, the worst first.
    Machines,
    /// What people did.
    Actions,
    /// Plans that were asked for.
    Tasks,
}

/// Which rows; what is none does not narrow. Rows come newest first, sensors by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this id (sensors and machines: of this name; actions: done to what has it).
    pub id: Option<String>,
    /// Of this machine.
    pub asset: Option<String>,
    /// Of this sensor.
    pub sensor: Option<String>,
    /// Severity of anomalies and alerts, or state of alerts; status of work orders; reason of dead letters.
    pub kind: Option<String>,
    /// That end after this time, in nanoseconds since 1970.
    pub after: Option<i64>,
    /// That begin before this time.
    pub before: Option<i64>,
    /// At most so many, and never more than [`Filter::MOST`].
    pub limit: u32,
    /// Rows to pass over.
    pub offset: u32,
    /// So many readings are enough; a host that cannot thin gives all.
    pub points: Option<u32>,
}

impl Filter {
    /// Rows of one answer, at most.
    pub const MOST: u32 = 1_000;
    /// Rows to pass over, at most, of windows and waveforms: a host may have to put all of them together to pass over them.
    pub const DEEPEST: u32 = 100_000;
}

/// What a person can do; `wit/front.wit` says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the contracts")]
pub enum Deed {
    Acknowledge,
    Handle,
    FalseAlarm,
    Comment,
    OrderRepair,
    Amend,
    Plan,
}

impl Deed {
    /// As the table `actions` and the audit have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Handle => "handle",
            Self::FalseAlarm => "false-alarm",
            Self::Comment => "comment",
            Self::OrderRepair => "order-repair",
            Self::Amend => "amend",
            Self::Plan => "plan",
        }
    }

    /// Whether the anomaly counts as handled by it.
    pub const fn handles(self) -> bool {
        matches!(self, Self::Handle | Self::FalseAlarm)
    }
}

/// What a person wants changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub deed: Deed,
    /// The anomaly or the work order; of a plan nothing.
    pub id: String,
    /// A remark, or for [`Deed::Amend`] and [`Deed::Plan`] a JSON object as `wit/front.wit` has it.
    pub text: String,
    /// When, in nanoseconds since 1970.
    pub now: i64,
}

/// Values of one sensor that somebody wants judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// An event in JSON, as a device would send it, of one sensor.
    pub payload: Vec<u8>,
    /// A detector's name; `ensemble` or nothing is what judges the machine anyway.
    pub model: String,
    /// When, in nanoseconds since 1970.
    pub now: i64,
}

/// How a sample was judged, of several windows the one that stands out most; `wit/front.wit` documents the fields.
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

/// The table of the same name in another enum: `table!(asked, Asked => Table)`.
#[macro_export]
macro_rules! table {
    ($value:expr, $from:ident => $to:ident) => {
        $crate::alike!($value, $from => $to {
            Sensors, Readings, Windows, Anomalies, Alerts, Drifts, Prognoses, WorkOrders, DeadLetters, Waveforms, Machines,
            Actions, Tasks
        })
    };
}

/// The deed of the same name in another enum.
#[macro_export]
macro_rules! deed {
    ($value:expr, $from:ident => $to:ident) => {
        $crate::alike!($value, $from => $to {
            Acknowledge, Handle, FalseAlarm, Comment, OrderRepair, Amend, Plan
        })
    };
}

/// The reason of the same name in another enum.
#[macro_export]
macro_rules! reason {
    ($value:expr, $from:ident => $to:ident) => {
        $crate::alike!($value, $from => $to {
            Malformed, Oversize, NonFinite, TooOld, InFuture, UnknownSensor, OutOfRange, Duplicate, Late, StageFailure
        })
    };
}

/// A match over all variants, so that one more in either enum does not compile until it stands here.
#[doc(hidden)]
#[macro_export]
macro_rules! alike {
    ($value:expr, $from:ident => $to:ident { $($variant:ident),+ }) => {
        match $value { $($from::$variant => $to::$variant),+ }
    };
}
