//! Errors of the stage.

use thiserror::Error;

/// An error of the stage; its state is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StageError {
    /// The configuration is invalid.
    #[error("alert configuration: {0}")]
    Config(String),
    /// The snapshot cannot be read.
    #[error("alert snapshot: {0}")]
    Snapshot(String),
    /// The batch violates a rule of the contract.
    #[error("alert batch: {0}")]
    Batch(String),
}
