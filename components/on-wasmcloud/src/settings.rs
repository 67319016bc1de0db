//! What the workload's configuration says, and the time.

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
    let plant = setting("plant")?;
    match plant.strip_prefix('@') {
        None => Ok(plant),
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            LineError::Broken(format!(
                "the plant's file {path} cannot be read: {error}; is its folder among the workload's volumes?"
            ))
        }),
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
