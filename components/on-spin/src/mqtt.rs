//! MQTT: devices' readings, or nudges between the stages, by the component's variable `role`.

use wheeltapper_line::LineError;

use crate::platform::{take, variable};

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/mqtt")]
mod bindings {
    wit_bindgen::generate!({ path: "wit/mqtt", world: "spin-mqtt" });
}

use bindings::{Error, Guest, Metadata};

struct Component;

impl Guest for Component {
    async fn handle_message(message: Vec<u8>, metadata: Metadata) -> Result<(), Error> {
        let told = |error: LineError| Error::Other(error.to_string());
        let role = variable("role").map_err(told)?;
        // Without a role it takes readings.
        take(if role.is_empty() { "readings" } else { &role }, metadata.topic, message).map_err(told)
    }
}

bindings::export!(Component with_types_in bindings);
