//! The Redis trigger: devices' readings, or notifications between the stages, depending on the component's variable
//! `role`.

use spin_sdk::redis_component;
use wheeltapper_line::LineError;

use crate::platform::{handle_message, variable};

#[redis_component]
fn on_message(message: bytes::Bytes) -> Result<(), LineError> {
    // The trigger does not pass on the channel, so the manifest names it as a variable.
    handle_message(&variable("role")?, variable("channel")?, message.to_vec())
}
