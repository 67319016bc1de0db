//! Errors of the stage.

use thiserror::Error;

/// An error of the stage; its state is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StageError {
    /// The configuration is invalid.
    #[error("schedule configuration: {0}")]
    Config(String),
    /// The snapshot cannot be read.
    #[error("schedule snapshot: {0}")]
    Snapshot(String),
    /// The requested change is not possible.
    #[error("{0}")]
    Batch(String),
}
