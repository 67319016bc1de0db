//! MQTT: devices' readings, or nudges between the stages, by the component's variable `role`.

use wheeltapper_line::{LineError, Submission};

use crate::platform::{line, now, run, variable};

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/mqtt")]
mod bindings {
    wit_bindgen::generate!({ path: "wit/mqtt", world: "spin-mqtt" });
}

use bindings::{Error, Guest, Metadata};

struct Component;

impl Guest for Component {
    async fn handle_message(message: Vec<u8>, metadata: Metadata) -> Result<(), Error> {
        take(message, metadata.topic).map_err(|error| Error::Other(error.to_string()))
    }
}

fn take(message: Vec<u8>, topic: String) -> Result<(), LineError> {
    let line = line()?;
    match variable("role")?.as_str() {
        "" | "readings" => {
            let event = Submission { source: topic, payload: message, ..Submission::default() };
            run(line.submit(event, now())).map(drop)
        }
        "events" => run(line.heard_somewhere(&message, now())),
        other => Err(LineError::Broken(format!(
            "the component's variable `role` is \"{other}\"; it has to be \"readings\" (devices' messages; so it is without it) or \"events\" (between the stages)"
        ))),
    }
}

bindings::export!(Component with_types_in bindings);
