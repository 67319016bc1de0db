//! What can go wrong.

use thiserror::Error;

/// A failure of the stage itself; the state is as before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StageError {
    /// The configuration cannot be used.
    #[error("schedule configuration: {0}")]
    Config(String),
    /// The snapshot cannot be read.
    #[error("schedule snapshot: {0}")]
    Snapshot(String),
    /// What is asked for cannot be done.
    #[error("{0}")]
    Batch(String),
}
