//! Redis: devices' readings, or nudges between the stages, by the component's variable `role`.

use spin_sdk::redis_component;
use wheeltapper_line::LineError;

use crate::platform::{take, variable};

#[redis_component]
fn on_message(message: bytes::Bytes) -> Result<(), LineError> {
    // The trigger does not tell the channel: it is named in the manifest beside the role.
    take(&variable("role")?, variable("channel")?, message.to_vec())
}
