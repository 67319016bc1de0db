//! Errors of the line.

use crate::{PortError, action_rules::ActionError, contracts::types::StageError};

/// An error of the line itself. Invalid content of an event is not an error: it is rejected with a reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A temporary failure: a retry may succeed.
    #[error("{0}")]
    Unavailable(String),
    /// The store rejects the values that a stage derived from an event: no retry succeeds.
    #[error("{0}")]
    Unstorable(String),
    /// A permanent failure that an operator has to fix, such as an invalid configuration.
    #[error("{0}")]
    Broken(String),
    /// A user's action is rejected.
    #[error(transparent)]
    Rejected(#[from] ActionError),
}

impl From<PortError> for LineError {
    fn from(error: PortError) -> Self {
        match error.is_permanent() {
            true => Self::Unstorable(error.0),
            false => Self::Unavailable(error.0),
        }
    }
}

/// Formats a stage's error. The stage's state is unchanged.
pub(crate) fn describe_stage_error(error: &StageError) -> String {
    match error {
        StageError::Config(text) => format!("its configuration cannot be used: {text}"),
        StageError::Snapshot(text) => format!("its snapshot cannot be read: {text}"),
        StageError::Batch(text) => format!("the batch breaks the contract: {text}"),
    }
}
