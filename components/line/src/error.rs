//! Why the line could not do what it was asked.

use crate::{PortError, acts::Refusal, contracts::types::StageError};

/// Trouble of the line. What an event holds is never the cause: that is refused, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A moment's trouble: the same again may succeed.
    #[error("{0}")]
    Unavailable(String),
    /// The store refuses what a stage made of an event: the same again does not succeed, whoever tries.
    #[error("{0}")]
    Unstorable(String),
    /// Trouble that stays until someone mends it.
    #[error("{0}")]
    Broken(String),
    /// A person does not get what they want.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<PortError> for LineError {
    fn from(error: PortError) -> Self {
        match error.refuses_values() {
            true => Self::Unstorable(error.0),
            false => Self::Unavailable(error.0),
        }
    }
}

/// A stage's words. Its state is as before.
pub(crate) fn words(error: &StageError) -> String {
    match error {
        StageError::Config(text) => format!("its configuration cannot be used: {text}"),
        StageError::Snapshot(text) => format!("its snapshot cannot be read: {text}"),
        StageError::Batch(text) => format!("the batch breaks the contract: {text}"),
    }
}
