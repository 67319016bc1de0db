//! What the workload's configuration says.

use wheeltapper_line::LineError;

use crate::bindings::wasi::config::store::get;

/// A setting of the component (`config` in wash's file, `localResources.config` in a manifest); empty where there is none
/// of that name.
pub(crate) fn setting(name: &str) -> Result<String, LineError> {
    match get(name) {
        Ok(value) => Ok(value.unwrap_or_default()),
        Err(error) => Err(LineError::Unavailable(format!("the setting `{name}` cannot be read: {error:?}"))),
    }
}

/// The plant: the setting `plant`, or the file that it names after an `@`.
pub(crate) fn plant() -> Result<String, LineError> {
    wheeltapper_line::plant(setting("plant")?, "is its folder among the workload's volumes?")
}
