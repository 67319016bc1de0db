//! The line as the API sees it: the interface `front` of the contracts, for any platform whose functions do not wait.

use crate::{Deed, Line, LineError, Ports, Refusal, Submission, Table, now, run};

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
    Change, Deed as Done, Filter as Narrowed, FrontError, Guest, Receipt as Told, Refused, Sample, Submission as Event,
    Table as Asked, Verdict,
};

/// A platform that offers the line to the API. Whoever implements it exports the interface:
/// `wheeltapper_line::front::export!(Component)`.
pub trait Door {
    /// The platform.
    type Platform: Ports;

    /// The line, for one call.
    ///
    /// # Errors
    /// [`LineError`] when the platform or its configuration cannot be used.
    fn line() -> Result<Line<Self::Platform>, LineError>;
}

impl<D: Door> Guest for D {
    fn submit(event: Event) -> Result<Told, FrontError> {
        let Event { source, format, sensor, payload } = event;
        let receipt = run(D::line()?.submit(Submission { source, format, sensor, payload }, now()))?;
        let refused = receipt.refused.into_iter().map(|refused| Refused {
            position: refused.position,
            reason: refused.reason,
            message: refused.message,
            readings: refused.readings,
        });
        Ok(Told { accepted: receipt.accepted, refused: refused.collect() })
    }

    fn look(table: Asked, filter: Narrowed) -> Result<String, FrontError> {
        let table = wheeltapper_front::table!(table, Asked => Table);
        let Narrowed { id, asset, sensor, kind, after, before, limit, offset, points } = filter;
        let filter = crate::Filter { id, asset, sensor, kind, after, before, limit, offset, points };
        Ok(run(D::line()?.look(table, &filter))?)
    }

    fn tick(now: i64) -> Result<(), FrontError> {
        Ok(run(D::line()?.tick(now))?)
    }

    fn act(change: Change) -> Result<String, FrontError> {
        let deed = wheeltapper_front::deed!(change.deed, Done => Deed);
        let change = crate::Change { deed, id: change.id, text: change.text, now: change.now };
        Ok(run(D::line()?.act(&change))?)
    }

    fn detect(sample: Sample) -> Result<Verdict, FrontError> {
        let sample = crate::Sample { payload: sample.payload, model: sample.model, now: sample.now };
        let verdict = run(D::line()?.detect(&sample))?;
        let crate::Verdict { asset, sensor, score, threshold, confidence, model, explanation } = verdict;
        Ok(Verdict { asset, sensor, score, threshold, confidence, model, explanation })
    }
}

impl From<LineError> for FrontError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Unavailable(text) => Self::Unavailable(text),
            LineError::Broken(text) | LineError::Unstorable(text) => Self::Broken(text),
            LineError::Refused(Refusal::Absent(text)) => Self::Absent(text),
            LineError::Refused(Refusal::Invalid(text)) => Self::Invalid(text),
            LineError::Refused(Refusal::Conflict(text)) => Self::Conflict(text),
        }
    }
}
