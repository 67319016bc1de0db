//! Times as people write them: RFC 3339, or nanoseconds since 1970.

use jiff::Timestamp;

/// As RFC 3339 in UTC, the fraction no longer than it has to be.
pub(crate) fn text(nanoseconds: i64) -> String {
    // Every i64 of nanoseconds is a time that jiff has.
    Timestamp::from_nanosecond(i128::from(nanoseconds))
        .map_or_else(|_| nanoseconds.to_string(), |time| time.to_string())
}

/// In nanoseconds since 1970; none where it is no time, or none from 1678 to 2262.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if let Ok(nanoseconds) = text.parse::<i64>() {
        return Some(nanoseconds);
    }
    let time: Timestamp = match text.parse() {
        Ok(time) => time,
        // In a query, a plus that was not written %2B reads as a space: 2026-01-01T00:00:00 02:00.
        Err(_) => {
            let (time, offset) = text.rsplit_once(' ')?;
            format!("{time}+{offset}").parse().ok()?
        }
    };
    i64::try_from(time.as_nanosecond()).ok()
}
