//! What a host has to be able to do to be tried.

use crate::{Case, Event, Found};

/// A host of the line.
pub trait Host {
    /// Whether `expected/` is what this host gives. Only the edge host says so.
    fn is_the_reference(&self) -> bool {
        false
    }

    /// Starts afresh, with an empty store and the case's plant: [`Case::plant`] is what `wheeltapper config plant` prints.
    ///
    /// # Errors
    /// When it does not come up.
    fn start(&mut self, case: &Case) -> anyhow::Result<()>;

    /// Takes an event and goes on until nothing moves any more. None where the way in has no answer.
    ///
    /// # Errors
    /// When the host does not take it. That a part of it was refused is no error.
    fn event(&mut self, event: &Event) -> anyhow::Result<Option<Receipt>>;

    /// Lets time pass, to `now` in nanoseconds since 1970, and goes on until nothing moves any more.
    ///
    /// # Errors
    /// When the host does not do it.
    fn tick(&mut self, now: i64) -> anyhow::Result<()>;

    /// What the store says in the end.
    ///
    /// # Errors
    /// When it cannot be read.
    fn found(&mut self) -> anyhow::Result<Found>;
}

/// What became of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Readings and samples that were taken.
    pub accepted: u64,
    /// Readings and samples that were refused.
    pub rejected: u64,
    /// Why, in the order of the event.
    pub refused: Vec<Refused>,
}

/// A part of an event that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Line or element from 1; 0 for the whole event.
    pub position: u64,
    /// The reason's name, such as `malformed`.
    pub reason: String,
    /// What was told.
    pub message: String,
}
