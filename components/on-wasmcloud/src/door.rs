//! The line for the API, which is joined before it.

use wheeltapper_line::{Dialect, Drive, Line, LineError, PortError, Ports, Topic, Value, front::Door, subject};

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
        // Ingest's births are this component's own; what a stage knows lies where the stage keeps it.
        if key != "ingest" && setting("state").map_err(|error| PortError(error.to_string()))? != "postgres" {
            return Err(PortError(
                "what the stages know lies in the key-value store, which the API cannot ask on wasmCloud; to have values judged \
                 set `state` to postgres for the stages and for this component"
                    .to_owned(),
            ));
        }
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

struct Component;

impl Door for Component {
    type Platform = WasmCloud;

    /// The stages that follow hear of it on the bus.
    fn line() -> Result<Line<WasmCloud>, LineError> {
        Line::new(WasmCloud, &plant()?, Drive::Bus)
    }
}

wheeltapper_line::front::export!(Component);
