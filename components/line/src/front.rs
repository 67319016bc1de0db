//! Implements the contracts' interface `front`, through which the API calls the line, for platforms whose functions are
//! synchronous.

use crate::{ActionError, Deed, Line, LineError, Ports, Submission, Table, now, run_sync};

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "platform",
        with: { "wheeltapper:pipeline/types@0.1.0": crate::contracts::types },
        pub_export_macro: true,
        default_bindings_module: "wheeltapper_line::front",
    });
}

pub use bindings::{export, exports};

use exports::wheeltapper::pipeline::front::{
    Change, Deed as WitDeed, Filter as WitFilter, FrontError, Guest, Receipt as WitReceipt, Refused, Sample,
    Submission as WitSubmission, Table as WitTable, Verdict,
};

/// A platform that offers the line to the API. The implementing crate exports the interface with
/// `wheeltapper_line::front::export!(Component)`.
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
    fn submit(event: WitSubmission) -> Result<WitReceipt, FrontError> {
        let WitSubmission { source, format, sensor, payload } = event;
        let receipt = run_sync(P::line()?.submit(Submission { source, format, sensor, payload }, now()))?;
        let rejected = receipt.rejected.into_iter().map(|part| Refused {
            position: part.position,
            reason: part.reason,
            message: part.message,
            readings: part.readings,
        });
        Ok(WitReceipt { accepted: receipt.accepted, refused: rejected.collect() })
    }

    fn look(table: WitTable, filter: WitFilter) -> Result<String, FrontError> {
        let table = wheeltapper_front::table!(table, WitTable => Table);
        let WitFilter { id, asset, sensor, kind, after, before, limit, offset, points } = filter;
        let filter = crate::Filter { id, asset, sensor, kind, after, before, limit, offset, points };
        Ok(run_sync(P::line()?.query(table, &filter))?)
    }

    fn tick(now: i64) -> Result<(), FrontError> {
        Ok(run_sync(P::line()?.tick(now))?)
    }

    fn act(change: Change) -> Result<String, FrontError> {
        let deed = wheeltapper_front::deed!(change.deed, WitDeed => Deed);
        let change = crate::Change { deed, id: change.id, text: change.text, now: change.now };
        Ok(run_sync(P::line()?.execute(&change))?)
    }

    fn detect(sample: Sample) -> Result<Verdict, FrontError> {
        let sample = crate::Sample { payload: sample.payload, model: sample.model, now: sample.now };
        let verdict = run_sync(P::line()?.detect(&sample))?;
        let crate::Verdict { asset, sensor, score, threshold, confidence, model, explanation } = verdict;
        Ok(Verdict { asset, sensor, score, threshold, confidence, model, explanation })
    }
}

impl From<LineError> for FrontError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Unavailable(text) => Self::Unavailable(text),
            LineError::Broken(text) | LineError::Unstorable(text) => Self::Broken(text),
            LineError::Rejected(ActionError::NotFound(text)) => Self::Absent(text),
            LineError::Rejected(ActionError::Invalid(text)) => Self::Invalid(text),
            LineError::Rejected(ActionError::Conflict(text)) => Self::Conflict(text),
        }
    }
}
