//! The line as the API calls it: the functions of `wit/line-api.wit` in Rust.

use std::fmt;

pub use wheeltapper_line_api::{
    Action, ActionRequest, DetectRequest, Filter, RejectionReason, Submission, Table, Verdict,
};

/// A rejected part of an event. It is kept as a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Line or element, counted from 1; 0 for the whole event.
    pub position: u32,
    /// Why it was rejected.
    pub reason: RejectionReason,
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
    pub rejections: Vec<Rejection>,
}

/// Why the line did not do what the API requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineApiError {
    /// A transient failure: the same request may succeed later.
    Unavailable(String),
    /// A permanent failure that needs an operator.
    Internal(String),
    /// The target does not exist, or is not visible to the caller.
    NotFound(String),
    /// The request is not valid.
    Invalid(String),
    /// The request conflicts with the current state.
    Conflict(String),
}

impl fmt::Display for LineApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unavailable(text)
        | Self::Internal(text)
        | Self::NotFound(text)
        | Self::Invalid(text)
        | Self::Conflict(text)) = self;
        out.write_str(text)
    }
}

impl std::error::Error for LineApiError {}

/// The line as seen by the API.
pub trait LineApi {
    /// Ingests an event. Returns once it is durable.
    ///
    /// # Errors
    /// Any error of the line. The event may have been ingested nevertheless.
    fn submit(&self, event: Submission) -> Result<Receipt, LineApiError>;

    /// Returns the rows as a JSON array of objects. Keys are the store's column names, times are nanoseconds since
    /// 1970.
    ///
    /// # Errors
    /// Any error of the line, such as a store that does not answer.
    fn query(&self, table: Table, filter: &Filter) -> Result<String, LineApiError>;

    /// Advances the line's time to `now`, in nanoseconds since 1970.
    ///
    /// # Errors
    /// Any error of the line. The next tick completes what this one left undone.
    fn tick(&self, now: i64) -> Result<(), LineApiError>;

    /// Performs an action of a user. Returns the changed or created row, as an object of a table.
    ///
    /// # Errors
    /// Any error of the line. Nothing has changed.
    fn perform_action(&self, request: &ActionRequest) -> Result<String, LineApiError>;

    /// Scores values against the model of the machine, without learning from them.
    ///
    /// # Errors
    /// Any error of the line, such as an unknown sensor or detector.
    fn detect(&self, request: &DetectRequest) -> Result<Verdict, LineApiError>;
}
