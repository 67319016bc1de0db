//! Parsing and formatting of times: RFC 3339, or nanoseconds since 1970.

use std::fmt;

use jiff::{Timestamp, civil::DateTime};
use serde::{Serialize, Serializer};

/// Formats a time as RFC 3339 in UTC, with the shortest possible fraction.
pub(crate) fn format_rfc3339(nanoseconds: i64) -> String {
    Rfc3339(nanoseconds).to_string()
}

/// Nanoseconds since 1970 that are displayed and serialised as RFC 3339 in UTC.
pub(crate) struct Rfc3339(pub(crate) i64);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Avoids 128-bit integers, whose division is slow in WebAssembly.
        let (seconds, rest) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        // jiff can represent every i64 of nanoseconds.
        match i32::try_from(rest).ok().and_then(|rest| Timestamp::new(seconds, rest).ok()) {
            Some(time) => time.fmt(out),
            None => self.0.fmt(out),
        }
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Parses RFC 3339 or nanoseconds since 1970, and returns nanoseconds since 1970. Times before 1677 or after 2262 are
/// clamped to the range of `i64`, which covers all stored times.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    // In a query, a plus that is not encoded as %2B is decoded as a space: 2026-01-01T00:00:00 02:00.
    parse_rfc3339(text).or_else(|| {
        let (time, offset) = text.rsplit_once(' ')?;
        parse_rfc3339(&format!("{time}+{offset}"))
    })
}

/// Parses RFC 3339 only, and returns nanoseconds since 1970. Clamps to the range of `i64`.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    // jiff accepts more formats than RFC 3339, but the API accepts only RFC 3339.
    let (date_time, rest) = text.split_at_checked(19)?;
    let is_shape = date_time.bytes().zip(*b"0000-00-00T00:00:00").all(|(byte, expected)| match expected {
        b'0' => byte.is_ascii_digit(),
        b'T' => byte.eq_ignore_ascii_case(&b'T'),
        other => byte == other,
    });
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => ("0", rest),
    };
    let is_zone = match zone.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => {
            [a, b, c, d].into_iter().all(u8::is_ascii_digit) && [*a, *b] <= *b"23" && [*c, *d] <= *b"59"
        }
        _ => false,
    };
    if !is_shape || fraction.is_empty() || !is_zone {
        return None;
    }
    // Digits beyond nanoseconds are cut off.
    let fraction = &fraction[..fraction.len().min(9)];
    let time = match format!("{date_time}.{fraction}{zone}").parse::<Timestamp>() {
        Ok(time) => time,
        // jiff's timestamps end a day before the year 9999 does.
        Err(_) if date_time.starts_with("9999") && date_time.parse::<DateTime>().is_ok() => return Some(i64::MAX),
        Err(_) => return None,
    };
    let nanoseconds = time.as_nanosecond();
    Some(i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX }))
}
