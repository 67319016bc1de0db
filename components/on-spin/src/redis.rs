//! Redis: devices' readings, or nudges between the stages, by the component's variable `role`.

use spin_sdk::redis_component;
use wheeltapper_line::{LineError, Submission};

use crate::platform::{line, now, run, variable};

#[redis_component]
fn on_message(message: bytes::Bytes) -> Result<(), LineError> {
    let line = line()?;
    match variable("role")?.as_str() {
        // The trigger does not tell the channel: it is named in the manifest beside the role.
        "readings" => {
            let source = variable("channel")?;
            let event = Submission { source, payload: message.to_vec(), ..Submission::default() };
            run(line.submit(event, now())).map(drop)
        }
        "events" => run(line.heard_somewhere(&message, now())),
        other => Err(LineError::Broken(format!(
            "the component's variable `role` is \"{other}\"; it has to be \"readings\" (devices' messages) or \"events\" (between the stages)"
        ))),
    }
}
