//! Times: nanoseconds since 1970 (UTC) in, local times out. Nothing here reads the clock.

use jiff::{Timestamp, tz::TimeZone};

/// Nanoseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000_000;

/// Converts nanoseconds since 1970.
pub(crate) fn timestamp(time: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(time)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Writes a time in a zone, to the second, with the zone's abbreviation: `2026-01-05 09:01:40 CET`.
pub(crate) fn local_time(time: i64, zone: &TimeZone) -> String {
    timestamp(time).to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Writes a time as RFC 3339 in UTC, to the millisecond.
pub(crate) fn rfc3339(time: i64) -> String {
    format!("{:.3}", timestamp(time))
}

/// Converts a duration to nanoseconds.
pub(crate) fn nanoseconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
