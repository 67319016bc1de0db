//! The operations that a host has to provide to be tested.

use crate::{CanonicalTables, Case, Event};

/// A host of the line.
pub trait Host {
    /// Returns whether this host defines the expected files. Only the edge host does.
    fn is_reference(&self) -> bool {
        false
    }

    /// Starts with an empty store and the case's plant. [`Case::plant`] is the output of `wheeltapper config plant`.
    ///
    /// # Errors
    /// If the host does not start.
    fn start(&mut self, case: &Case) -> anyhow::Result<()>;

    /// Sends an event and waits until the host has processed it completely. Returns `None` if the host sends no
    /// receipt.
    ///
    /// # Errors
    /// If the host does not accept the event. Rejected readings are not an error.
    fn event(&mut self, event: &Event) -> anyhow::Result<Option<Receipt>>;

    /// Advances the time to `now` (nanoseconds since 1970) and waits until the host has processed the tick completely.
    ///
    /// # Errors
    /// If the host fails.
    fn tick(&mut self, now: i64) -> anyhow::Result<()>;

    /// Reads the tables of the store at the end of the case.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn tables(&mut self) -> anyhow::Result<CanonicalTables>;
}

/// The receipt of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The number of accepted readings and samples.
    pub accepted: u64,
    /// The number of rejected readings and samples.
    pub rejected: u64,
    /// The rejected parts, in the order of the event.
    pub rejected_parts: Vec<RejectedPart>,
}

/// A part of an event that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPart {
    /// The line or element, counted from 1. 0 means the whole event.
    pub position: u64,
    /// The name of the reason, such as `malformed`.
    pub reason: String,
    /// The message to the sender.
    pub message: String,
}
