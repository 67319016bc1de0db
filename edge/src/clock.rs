//! The host's wall clock. All code of the host reads the time here.

use std::time::SystemTime;

/// The current time in nanoseconds since 1970-01-01T00:00:00Z.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Formats a time (nanoseconds since 1970) for output.
pub(crate) fn format_time(time: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time))
        .map_or_else(|_| time.to_string(), |instant| format!("{instant:.3}"))
}
