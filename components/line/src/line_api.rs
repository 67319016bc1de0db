//! Implements the contracts' interface `line-api`, through which the API calls the line, for platforms whose functions
//! are synchronous.

use crate::{Action, ActionError, Line, LineError, Ports, Submission, Table, now, run_sync};

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "platform",
        with: { "wheeltapper:pipeline/types@0.1.0": crate::contracts::types },
        pub_export_macro: true,
        default_bindings_module: "wheeltapper_line::line_api",
    });
}

pub use bindings::{export, exports};

use exports::wheeltapper::pipeline::line_api::{
    Action as WitAction, ActionRequest, DetectRequest, Filter as WitFilter, Guest, LineApiError, Receipt as WitReceipt,
    Rejection, Submission as WitSubmission, Table as WitTable, Verdict,
};

/// A platform that offers the line to the API. The implementing crate exports the interface with
/// `wheeltapper_line::line_api::export!(Component)`.
pub trait PlatformLine {
    /// The platform's ports.
    type Platform: Ports;

    /// Creates the line for one call.
    ///
    /// # Errors
    /// [`LineError`] if the platform or its configuration cannot be used.
    fn line() -> Result<Line<Self::Platform>, LineError>;
}

impl<P: PlatformLine> Guest for P {
    fn submit(event: WitSubmission) -> Result<WitReceipt, LineApiError> {
        let WitSubmission { source, format, sensor, payload } = event;
        let receipt = run_sync(P::line()?.submit(Submission { source, format, sensor, payload }, now()))?;
        let rejected = receipt.rejected.into_iter().map(|part| Rejection {
            position: part.position,
            reason: part.reason,
            message: part.message,
            readings: part.readings,
        });
        Ok(WitReceipt { accepted: receipt.accepted, rejections: rejected.collect() })
    }

    fn query(table: WitTable, filter: WitFilter) -> Result<String, LineApiError> {
        let table = wheeltapper_line_api::convert_table!(table, WitTable => Table);
        let WitFilter { id, asset, sensor, kind, after, before, limit, offset, points } = filter;
        let filter = crate::Filter { id, asset, sensor, kind, after, before, limit, offset, points };
        Ok(run_sync(P::line()?.query(table, &filter))?)
    }

    fn tick(now: i64) -> Result<(), LineApiError> {
        Ok(run_sync(P::line()?.tick(now))?)
    }

    fn perform_action(request: ActionRequest) -> Result<String, LineApiError> {
        let action = wheeltapper_line_api::convert_action!(request.action, WitAction => Action);
        let request = crate::ActionRequest { action, id: request.id, text: request.text, now: request.now };
        Ok(run_sync(P::line()?.execute(&request))?)
    }

    fn detect(request: DetectRequest) -> Result<Verdict, LineApiError> {
        let request = crate::DetectRequest { payload: request.payload, model: request.model, now: request.now };
        let verdict = run_sync(P::line()?.detect(&request))?;
        let crate::Verdict { asset, sensor, score, threshold, confidence, model, explanation } = verdict;
        Ok(Verdict { asset, sensor, score, threshold, confidence, model, explanation })
    }
}

impl From<LineError> for LineApiError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Unavailable(text) => Self::Unavailable(text),
            LineError::Broken(text) | LineError::Unstorable(text) => Self::Internal(text),
            LineError::Rejected(ActionError::NotFound(text)) => Self::NotFound(text),
            LineError::Rejected(ActionError::Invalid(text)) => Self::Invalid(text),
            LineError::Rejected(ActionError::Conflict(text)) => Self::Conflict(text),
        }
    }
}
