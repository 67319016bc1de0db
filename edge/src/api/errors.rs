//! Errors of the host as errors for the component.

use wheeltapper_line::ActionError;

use super::bindings::wheeltapper::pipeline::line_api::LineApiError;
use crate::components::CallError;

/// An error of the rules for users' actions.
pub(super) fn action_error(error: ActionError) -> LineApiError {
    match error {
        ActionError::NotFound(text) => LineApiError::NotFound(text),
        ActionError::Invalid(text) => LineApiError::Invalid(text),
        ActionError::Conflict(text) => LineApiError::Conflict(text),
    }
}

/// An error of the store.
pub(super) fn store_error(error: wheeltapper_store::StoreError) -> LineApiError {
    LineApiError::Unavailable(format!("the store cannot be read: {error}"))
}

/// An error of a stage.
pub(super) fn internal_error(error: CallError) -> LineApiError {
    LineApiError::Internal(error.to_string())
}
