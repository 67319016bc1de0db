//! The line for the API, which is joined before it.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use wheeltapper_line::{Dialect, Drive, Line, LineError, PortError, Ports, Submission as Event, Topic, Value, subject};

use crate::{
    bindings::wasmcloud::messaging0_2_0::{consumer, types::BrokerMessage},
    settings::{now, plant},
    sql, table,
};

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
mod front {
    wit_bindgen::generate!({ path: "../../wit", world: "platform" });
}

use front::{
    exports::wheeltapper::pipeline::front::{Filter, FrontError, Guest, Receipt, Refused, Submission, Table},
    wheeltapper::pipeline::types::{Reason, Time},
};

/// wasmCloud as a platform for a component that must not wait.
#[derive(Debug)]
struct WasmCloud;

impl Ports for WasmCloud {
    type Version = Option<i64>;

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn sql(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError> {
        sql::run(statement, parameters)
    }

    async fn load(&self, key: &str) -> Result<(Option<Vec<u8>>, Option<i64>), PortError> {
        Ok(table::load(key)?.unzip())
    }

    async fn swap(&self, key: &str, held: Option<i64>, body: Vec<u8>) -> Result<bool, PortError> {
        table::swap(key, held, body)
    }

    async fn publish(&self, topic: Topic, key: &str, body: &[u8]) -> Result<(), PortError> {
        let message = BrokerMessage { subject: subject(topic, key), body: body.to_vec(), reply_to: None };
        consumer::publish(&message).map_err(|error| PortError(format!("the bus gave: {error}")))
    }
}

/// The stages that follow hear of it on the bus.
fn line() -> Result<Line<WasmCloud>, LineError> {
    Line::new(WasmCloud, &plant()?, Drive::Bus)
}

/// Runs what never waits: all of wasmCloud's functions that are used here are synchronous.
fn run<T>(future: impl Future<Output = Result<T, LineError>>) -> Result<T, LineError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(LineError::Broken("a port of wasmCloud waited, which none does here".to_owned())),
    }
}

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

front::export!(Component with_types_in front);
