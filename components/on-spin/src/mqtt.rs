//! The MQTT trigger: devices' readings, or notifications between the stages, depending on the component's variable
//! `role`.

use wheeltapper_line::LineError;

use crate::platform::{handle_message, variable};

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/mqtt")]
mod bindings {
    wit_bindgen::generate!({ path: "wit/mqtt", world: "spin-mqtt" });
}

use bindings::{Error, Guest, Metadata};

struct Component;

impl Guest for Component {
    async fn handle_message(message: Vec<u8>, metadata: Metadata) -> Result<(), Error> {
        let to_error = |error: LineError| Error::Other(error.to_string());
        let role = variable("role").map_err(to_error)?;
        // Without a role the messages are readings.
        handle_message(if role.is_empty() { "readings" } else { &role }, metadata.topic, message).map_err(to_error)
    }
}

bindings::export!(Component with_types_in bindings);
