//! Parsing of times: RFC 3339, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970. The
//! results are nanoseconds since 1970.

use crate::rejection::{Rejection, excerpt};

/// Nanoseconds in a second.
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Converts a number since 1970 to nanoseconds. Its absolute value gives the unit: below 1e11 seconds (the year 5138),
/// below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds. Returns None if the result does not fit.
pub fn from_epoch(number: i64) -> Option<i64> {
    match number.unsigned_abs() {
        0..100_000_000_000 => number.checked_mul(NANOS_PER_SECOND),
        100_000_000_000..100_000_000_000_000 => number.checked_mul(1_000_000),
        100_000_000_000_000..100_000_000_000_000_000 => number.checked_mul(1_000),
        _ => Some(number),
    }
}

/// Converts as [`from_epoch`] a number with a fraction; rounds to the nearest nanosecond.
pub fn from_epoch_float(number: f64) -> Option<i64> {
    let scale = match number.abs() {
        magnitude if magnitude < 1e11 => 1e9,
        magnitude if magnitude < 1e14 => 1e6,
        magnitude if magnitude < 1e17 => 1e3,
        _ => 1.0,
    };
    round_to_nanoseconds(number * scale)
}

/// The names that InfluxDB's clients use for the units of time, and the nanoseconds of each unit.
const PRECISIONS: [(&str, i64); 8] = [
    ("ns", 1),
    ("n", 1),
    ("us", 1_000),
    ("u", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
];

/// The unit of times as numbers since 1970, where the sender gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    name: &'static str,
    nanoseconds: i64,
}

impl Precision {
    /// Reads the parameter `precision` of a media type. Returns None if there is no such parameter.
    ///
    /// # Errors
    /// Malformed if the parameter is not a known unit.
    pub fn from_media_type(media_type: &str) -> Result<Option<Self>, Rejection> {
        let parameters = media_type.rsplit(';').filter_map(|parameter| parameter.split_once('='));
        let mut named = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("precision"));
        let Some((_, value)) = named.next() else { return Ok(None) };
        let value = value.trim().trim_matches('"');
        match PRECISIONS.iter().find(|(name, _)| *name == value) {
            Some(&(name, nanoseconds)) => Ok(Some(Self { name, nanoseconds })),
            None => Err(Rejection::malformed(format!(
                "precision={:?} is not one of {}; use one of them, or omit it to get the unit from the size of the number",
                excerpt(value.as_bytes()),
                PRECISIONS.map(|(name, _)| name).join(", ")
            ))),
        }
    }

    /// Parses a whole number in this unit.
    pub(crate) fn parse_time(self, text: &[u8]) -> Result<i64, Rejection> {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        number.and_then(|number| number.checked_mul(self.nanoseconds)).ok_or_else(|| {
            Rejection::malformed(format!(
                "expected a time as a whole number since 1970 in the unit of precision={}; got {:?}",
                self.name,
                excerpt(text)
            ))
        })
    }
}

/// Converts seconds to nanoseconds, rounded to the nearest. Returns None outside of the years 1678 to 2262.
pub fn from_seconds(seconds: f64) -> Option<i64> {
    round_to_nanoseconds(seconds * 1e9)
}

/// Converts nanoseconds to seconds, rounded to the nearest double.
#[allow(clippy::cast_precision_loss, reason = "to the nearest")]
pub fn to_seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}

fn round_to_nanoseconds(number: f64) -> Option<i64> {
    // 2^63 as a double is the first that does not fit.
    #[allow(clippy::cast_possible_truncation, reason = "within the range of i64 by the condition")]
    (number.is_finite() && number.abs() < 9.223_372_036_854_775e18).then(|| number.round() as i64)
}

/// Parses an RFC 3339 time, or a date and time without an offset, which is read as UTC.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    if let Some(time) = parse_common_form(text.as_bytes()) {
        return Some(time);
    }
    let timestamp = match text.parse::<jiff::Timestamp>() {
        Ok(timestamp) => timestamp,
        Err(_) => jiff::tz::Offset::UTC.to_timestamp(text.parse().ok()?).ok()?,
    };
    i64::try_from(timestamp.as_nanosecond()).ok()
}

/// Fast path for the common forms `2026-11-24T01:02:03[.fraction][Z]`, with `T` or a space.
fn parse_common_form(text: &[u8]) -> Option<i64> {
    let two = |at: usize| -> Option<i64> {
        let (tens, ones) = (text.get(at)?, text.get(at + 1)?);
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
    };
    let (head, rest) = text.split_at_checked(19)?;
    if [head[4], head[7], head[13], head[16]] != *b"--::" || !matches!(head[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (two(0)? * 100 + two(2)?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > days || hour > 23 || minute > 59 || second > 59 || year < 1 {
        return None;
    }
    let mut fraction = 0;
    let rest = match rest.split_first() {
        Some((b'.', digits)) => {
            let length = digits.iter().take_while(|digit| digit.is_ascii_digit()).count();
            if length == 0 || length > 9 {
                return None;
            }
            let mut scale = NANOS_PER_SECOND / 10;
            for digit in &digits[..length] {
                fraction += i64::from(digit - b'0') * scale;
                scale /= 10;
            }
            &digits[length..]
        }
        _ => rest,
    };
    if !matches!(rest, b"" | b"Z" | b"z") {
        return None;
    }
    // Days since 1970 in the civil calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    (days * 86_400 + hour * 3600 + minute * 60 + second).checked_mul(NANOS_PER_SECOND)?.checked_add(fraction)
}

/// Parses a time as text: RFC 3339 or a number since 1970.
///
/// # Errors
/// Malformed if the text is neither.
pub fn parse_text(text: &str) -> Result<i64, Rejection> {
    let text = text.trim();
    let parsed = match text.parse::<i64>() {
        Ok(number) => from_epoch(number),
        Err(_) => parse_rfc3339(text).or_else(|| text.parse().ok().and_then(from_epoch_float)),
    };
    parsed.ok_or_else(|| invalid_time(text.as_bytes()))
}

/// Returns the rejection for input that is not a time.
pub(crate) fn invalid_time(received: &[u8]) -> Rejection {
    Rejection::malformed(format!(
        "expected a time as RFC 3339 (2026-01-31T12:00:00Z) or as a number of s, ms, us or ns since 1970; got {:?}",
        excerpt(received)
    ))
}

/// Formats a time as RFC 3339; a time out of range is written as a number of nanoseconds.
pub(crate) fn to_rfc3339(time: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time)).map_or_else(|_| time.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_by_size() {
        let expected = Some(1_700_000_000_000_000_000);
        assert_eq!(from_epoch(1_700_000_000), expected);
        assert_eq!(from_epoch(1_700_000_000_000), expected);
        assert_eq!(from_epoch(1_700_000_000_000_000), expected);
        assert_eq!(from_epoch(1_700_000_000_000_000_000), expected);
        assert_eq!(from_epoch_float(1_700_000_000.5), Some(1_700_000_000_500_000_000));
        assert_eq!(from_epoch_float(f64::NAN), None);
        assert_eq!(from_epoch_float(1e300), None);
    }

    proptest::proptest! {
        #[test]
        fn the_fast_path_agrees_with_jiff(time in -6_000_000_000_000_000_000_i64..9_000_000_000_000_000_000, digits in 0_usize..10) {
            let text = jiff::Timestamp::from_nanosecond(i128::from(time)).map(|time| format!("{time:.digits$}")).unwrap_or_default();
            let jiff = text.parse::<jiff::Timestamp>().ok().and_then(|time| i64::try_from(time.as_nanosecond()).ok());
            proptest::prop_assert_eq!(parse_common_form(text.as_bytes()), jiff, "{}", text);
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = parse_text(&text);
        }
    }

    #[test]
    fn forms() {
        for text in
            ["2026-11-24T01:02:03Z", "2026-11-24 01:02:03", "2026-11-24T02:02:03+01:00", "2026-11-24T01:02:03.000Z"]
        {
            assert_eq!(parse_text(text).ok(), Some(1_795_482_123_000_000_000), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "NaN"] {
            assert!(parse_text(text).is_err(), "{text}");
        }
    }
}
