//! MQTT: devices' readings.

use wheeltapper_line::Submission;

use crate::platform::{line, now, run};

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/mqtt")]
mod bindings {
    wit_bindgen::generate!({ path: "wit/mqtt", world: "spin-mqtt" });
}

use bindings::{Error, Guest, Metadata};

struct Component;

impl Guest for Component {
    async fn handle_message(message: Vec<u8>, metadata: Metadata) -> Result<(), Error> {
        let told = |error: wheeltapper_line::LineError| Error::Other(error.to_string());
        let event = Submission { source: metadata.topic, payload: message, ..Submission::default() };
        run(line().map_err(told)?.submit(event, now())).map(drop).map_err(told)
    }
}

bindings::export!(Component with_types_in bindings);
