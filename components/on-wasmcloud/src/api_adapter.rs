//! The line behind the API, with which it is composed.

use wheeltapper_line::{
    Dialect, Dispatch, Line, LineError, PortError, Ports, Topic, Value, line_api::PlatformLine, subject,
};

use crate::{
    bindings::wasmcloud::messaging0_2_0::{consumer, types::BrokerMessage},
    settings::{plant, setting},
    sql, table,
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
        // Ingest's births are this component's own state; the stages' state is stored where the stages keep it.
        if key != "ingest" && setting("state").map_err(|error| PortError(error.to_string()))? != "postgres" {
            return Err(PortError(
                "on wasmCloud the API cannot read the stages' state from the key-value store; to score samples, set `state` to \
                 postgres for the stages and for this component"
                    .to_owned(),
            ));
        }
        Ok(table::load(key)?.unzip())
    }

    async fn swap(&self, key: &str, version: Option<i64>, body: Vec<u8>) -> Result<bool, PortError> {
        table::swap(key, version, body)
    }

    async fn publish(&self, topic: Topic, key: &str, body: &[u8]) -> Result<(), PortError> {
        let message = BrokerMessage { subject: subject(topic, key), body: body.to_vec(), reply_to: None };
        consumer::publish(&message).map_err(|error| PortError(format!("cannot publish on the bus: {error}")))
    }
}

struct Component;

impl PlatformLine for Component {
    type Platform = WasmCloud;

    /// The stages run in instances of their own, notified over the bus.
    fn line() -> Result<Line<WasmCloud>, LineError> {
        Line::new(WasmCloud, &plant()?, Dispatch::Bus)
    }
}

wheeltapper_line::line_api::export!(Component);
