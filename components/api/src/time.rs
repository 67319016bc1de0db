//! Times as people write them: RFC 3339, or nanoseconds since 1970.

use std::fmt;

use jiff::{Timestamp, civil::DateTime};
use serde::{Serialize, Serializer};

/// As RFC 3339 in UTC, the fraction no longer than it has to be.
pub(crate) fn text(nanoseconds: i64) -> String {
    Text(nanoseconds).to_string()
}

/// Nanoseconds since 1970 that are written as [`text`] does.
pub(crate) struct Text(pub(crate) i64);

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not by way of 128 bits, whose division is slow in WebAssembly.
        let (seconds, rest) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        // Every i64 of nanoseconds is a time that jiff has.
        match i32::try_from(rest).ok().and_then(|rest| Timestamp::new(seconds, rest).ok()) {
            Some(time) => time.fmt(out),
            None => self.0.fmt(out),
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// In nanoseconds since 1970; none where it is no time. What is before 1677 or after 2262 counts as the first or the last
/// that there is: nothing of ours is beyond it.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    // In a query, a plus that was not written %2B reads as a space: 2026-01-01T00:00:00 02:00.
    rfc3339(text).or_else(|| {
        let (time, offset) = text.rsplit_once(' ')?;
        rfc3339(&format!("{time}+{offset}"))
    })
}

/// As [`parse`], of RFC 3339 alone.
pub(crate) fn rfc3339(text: &str) -> Option<i64> {
    // jiff knows more ways to write a time than the RFC does, and clients are promised those of the RFC.
    let (date_time, rest) = text.split_at_checked(19)?;
    let is_shape = date_time.bytes().zip(*b"0000-00-00T00:00:00").all(|(byte, shape)| match shape {
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
    // Finer than a nanosecond is cut off.
    let fraction = &fraction[..fraction.len().min(9)];
    let time = match format!("{date_time}.{fraction}{zone}").parse::<Timestamp>() {
        Ok(time) => time,
        // jiff's timestamps end a day before 9999 does.
        Err(_) if date_time.starts_with("9999") && date_time.parse::<DateTime>().is_ok() => return Some(i64::MAX),
        Err(_) => return None,
    };
    let nanoseconds = time.as_nanosecond();
    Some(i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX }))
}
