//! The line for the API, which is joined before it.

use wheeltapper_line::{LineError, Submission as Event};

use crate::platform::{line, now, run};

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "platform" });
}

use bindings::{
    exports::wheeltapper::pipeline::front::{Filter, FrontError, Guest, Receipt, Refused, Submission, Table},
    wheeltapper::pipeline::types::{Reason, Time},
};

struct Component;

impl Guest for Component {
    fn submit(event: Submission) -> Result<Receipt, FrontError> {
        let Submission { source, format, sensor, payload } = event;
        let receipt = run(line()?.submit(Event { source, format, sensor, payload }, now()))?;
        let refused = receipt.refused.into_iter().map(|refused| Refused {
            position: refused.position,
            reason: reason(refused.reason),
            message: refused.message,
            readings: refused.readings,
        });
        Ok(Receipt { accepted: receipt.accepted, refused: refused.collect() })
    }

    fn look(table: Table, filter: Filter) -> Result<String, FrontError> {
        use wheeltapper_line::Table as Asked;
        let asked = match table {
            Table::Sensors => Asked::Sensors,
            Table::Readings => Asked::Readings,
            Table::Windows => Asked::Windows,
            Table::Anomalies => Asked::Anomalies,
            Table::Alerts => Asked::Alerts,
            Table::Drifts => Asked::Drifts,
            Table::Prognoses => Asked::Prognoses,
            Table::WorkOrders => Asked::WorkOrders,
            Table::DeadLetters => Asked::DeadLetters,
            Table::Waveforms => Asked::Waveforms,
        };
        let Filter { id, asset, sensor, kind, after, before, limit, offset } = filter;
        let filter = wheeltapper_line::Filter { id, asset, sensor, kind, after, before, limit, offset };
        Ok(run(line()?.look(asked, &filter))?)
    }

    fn tick(now: Time) -> Result<(), FrontError> {
        Ok(run(line()?.tick(now))?)
    }
}

impl From<LineError> for FrontError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Unavailable(text) => Self::Unavailable(text),
            LineError::Broken(text) => Self::Broken(text),
        }
    }
}

/// The line and the API each have their own type for the same enumeration of the contracts.
fn reason(reason: wheeltapper_line::Reason) -> Reason {
    use wheeltapper_line::Reason as Of;
    match reason {
        Of::Malformed => Reason::Malformed,
        Of::Oversize => Reason::Oversize,
        Of::NonFinite => Reason::NonFinite,
        Of::TooOld => Reason::TooOld,
        Of::InFuture => Reason::InFuture,
        Of::UnknownSensor => Reason::UnknownSensor,
        Of::OutOfRange => Reason::OutOfRange,
        Of::Duplicate => Reason::Duplicate,
        Of::Late => Reason::Late,
        Of::StageFailure => Reason::StageFailure,
    }
}

bindings::export!(Component with_types_in bindings);
