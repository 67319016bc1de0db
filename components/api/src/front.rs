//! What lies behind the API: the functions of `wit/front.wit` in Rust.

use std::fmt;

pub use wheeltapper_front::{Change, Deed, Filter, Reason, Sample, Submission, Table, Verdict};

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
