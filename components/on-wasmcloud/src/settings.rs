//! The workload's configuration.

use wheeltapper_line::LineError;

use crate::bindings::wasi::config::store::get;

/// Returns a setting of the component (`config` in wash's file, `localResources.config` in a manifest), or an empty
/// string if it is not set.
pub(crate) fn setting(name: &str) -> Result<String, LineError> {
    match get(name) {
        Ok(value) => Ok(value.unwrap_or_default()),
        Err(error) => Err(LineError::Unavailable(format!("the setting `{name}` cannot be read: {error:?}"))),
    }
}

/// Returns the plant: the setting `plant`, or the content of the file that it names after an `@`.
pub(crate) fn plant() -> Result<String, LineError> {
    wheeltapper_line::load_plant(setting("plant")?, "is its folder among the workload's volumes?")
}
