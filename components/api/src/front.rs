//! The line as the API calls it: the functions of `wit/front.wit` in Rust.

use std::fmt;

pub use wheeltapper_front::{Change, Deed, Filter, Reason, Sample, Submission, Table, Verdict};

/// A rejected part of an event. It is kept as a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Line or element, counted from 1; 0 for the whole event.
    pub position: u32,
    /// Why it was rejected.
    pub reason: Reason,
    /// What was expected, what was received, and what to do.
    pub message: String,
    /// Number of readings in it.
    pub readings: u32,
}

/// The outcome of one event. Accepted readings and dead letters are durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Number of accepted readings.
    pub accepted: u32,
    /// The rejected parts.
    pub refused: Vec<Refused>,
}

/// Why the line did not do what the API requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrontError {
    /// A transient failure: the same request may succeed later.
    Unavailable(String),
    /// A permanent failure that needs an operator.
    Broken(String),
    /// The target does not exist, or is not visible to the caller.
    Absent(String),
    /// The request is not valid.
    Invalid(String),
    /// The request conflicts with the current state.
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

/// The line as seen by the API.
pub trait Front {
    /// Ingests an event. Returns once it is durable.
    ///
    /// # Errors
    /// Any error of the line. The event may have been ingested nevertheless.
    fn submit(&self, event: Submission) -> Result<Receipt, FrontError>;

    /// Returns the rows as a JSON array of objects. Keys are the store's column names, times are nanoseconds since
    /// 1970.
    ///
    /// # Errors
    /// Any error of the line, such as a store that does not answer.
    fn look(&self, table: Table, filter: &Filter) -> Result<String, FrontError>;

    /// Advances the line's time to `now`, in nanoseconds since 1970.
    ///
    /// # Errors
    /// Any error of the line. The next tick completes what this one left undone.
    fn tick(&self, now: i64) -> Result<(), FrontError>;

    /// Performs an action of a user. Returns the changed or created row, as an object of a table.
    ///
    /// # Errors
    /// Any error of the line. Nothing has changed.
    fn act(&self, change: &Change) -> Result<String, FrontError>;

    /// Scores values against the model of the machine, without learning from them.
    ///
    /// # Errors
    /// Any error of the line, such as an unknown sensor or detector.
    fn detect(&self, sample: &Sample) -> Result<Verdict, FrontError>;
}
