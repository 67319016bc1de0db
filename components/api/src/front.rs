//! What lies behind the API: `wit/front.wit` in Rust.

use std::fmt;

/// One event as HTTP received it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// The path, or the topic that the sender names.
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

    /// As answers and dead letters write it.
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

/// A part that was refused; it lies in the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Line or element from 1; 0 for the whole event.
    pub position: u32,
    /// Why.
    pub reason: Reason,
    /// What was expected, what came, what to do.
    pub message: String,
    /// How many readings were refused with it.
    pub readings: u32,
}

/// What became of one event. All of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Readings that were taken.
    pub accepted: u32,
    /// What was refused.
    pub refused: Vec<Refused>,
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

/// Which rows; what is none does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this id (sensors: of this name; actions: done to what has it).
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
    /// So many readings are enough.
    pub points: Option<u32>,
}

impl Filter {
    /// Rows of one answer, at most.
    pub const MOST: u32 = 1_000;
    /// Rows to pass over, at most, of windows and waveforms: a host may have to put all of them together to pass over them.
    pub const DEEPEST: u32 = 100_000;
}

/// What lies behind did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrontError {
    /// A moment's trouble: the same again may succeed.
    Unavailable(String),
    /// Trouble that stays until someone mends it.
    Broken(String),
    /// What is asked about is not there, or not for whoever asks.
    Absent(String),
    /// What is asked cannot be understood.
    Invalid(String),
    /// What is asked goes against how things stand.
    Conflict(String),
}

impl fmt::Display for FrontError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unavailable(text)
        | Self::Broken(text)
        | Self::Absent(text)
        | Self::Invalid(text)
        | Self::Conflict(text)) = self;
        out.write_str(text)
    }
}

impl std::error::Error for FrontError {}

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
    /// An event as [`Front::submit`] takes it, in JSON, of one sensor.
    pub payload: Vec<u8>,
    /// A detector's name.
    pub model: String,
    /// When, in nanoseconds since 1970.
    pub now: i64,
}

/// How a sample was judged; `wit/front.wit` documents the fields.
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

/// The line, as the API sees it.
pub trait Front {
    /// Takes an event; answers once it is durable.
    ///
    /// # Errors
    /// [`FrontError`]; it may have been taken all the same.
    fn submit(&self, event: Submission) -> Result<Receipt, FrontError>;

    /// The rows as a JSON array of objects whose keys are the store's column names, times in nanoseconds since 1970.
    ///
    /// # Errors
    /// [`FrontError`] when the store does not answer.
    fn look(&self, table: Table, filter: &Filter) -> Result<String, FrontError>;

    /// Lets time pass.
    ///
    /// # Errors
    /// [`FrontError`]; the next one does what this left undone.
    fn tick(&self, now: i64) -> Result<(), FrontError>;

    /// Does what a person wants; gives the row that changed or came, as an object of [`Front::look`].
    ///
    /// # Errors
    /// [`FrontError`]; nothing changed.
    fn act(&self, change: &Change) -> Result<String, FrontError>;

    /// Judges values against the machine's normal, and learns nothing from them.
    ///
    /// # Errors
    /// [`FrontError`].
    fn detect(&self, sample: &Sample) -> Result<Verdict, FrontError>;
}
