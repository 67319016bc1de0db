//! Parses the time formats of recordings.

use jiff::{Timestamp, civil::DateTime, tz::Offset};

/// Parses a time to nanoseconds since 1970. Accepts an RFC 3339 time, a date and time without an offset (UTC), or a
/// number since 1970. The size of a number determines its unit, as in ingest: below 10¹¹ s, below 10¹⁴ ms, below 10¹⁷
/// µs, else ns. `None` if the text is not a time, or outside the years 1677 to 2262.
pub(super) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(number) = parse_number(text) {
        return i64::try_from(number).ok();
    }
    // The year must have four digits and a dash: a plain date such as 20200309 is a number.
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let clock = text.get(10..).unwrap_or_default();
    let time = if clock.contains(['Z', 'z', '+', '-']) {
        text.parse::<Timestamp>().ok()?
    } else {
        Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?
    };
    i64::try_from(time.as_nanosecond()).ok()
}

/// Parses a decimal number of s, ms, µs or ns to nanoseconds, exactly: without conversion to a double.
fn parse_number(text: &str) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits_only = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 19 || !digits_only(whole) || !digits_only(fraction) {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let unit: i128 = match whole {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let mut nanoseconds = whole * unit;
    let mut digit_unit = unit;
    for digit in fraction.bytes() {
        // Digits below one nanosecond are truncated.
        digit_unit /= 10;
        nanoseconds += i128::from(digit - b'0') * digit_unit;
    }
    Some(if negative { -nanoseconds } else { nanoseconds })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_formats_of_a_time_are_parsed() {
        let expected = Some(1_583_748_873_250_000_000);
        for text in [
            "2020-03-09 10:14:33.25",
            "2020-03-09T10:14:33.250",
            " 2020-03-09T10:14:33.25Z ",
            "2020-03-09T11:14:33.25+01:00",
            "2020-03-09 05:14:33.25-05:00",
            "1583748873.25",
            "1583748873250",
            "1583748873250000",
            "1583748873250000000",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("2020-03-09"), Some(1_583_712_000_000_000_000));
        assert_eq!(parse("-1.5"), Some(-1_500_000_000));
    }

    #[test]
    fn invalid_times_are_none() {
        for text in [
            "",
            "now",
            "10:14:33",
            "2020-13-01 00:00:00",
            "2020-03-09 25:00:00",
            "9999-01-01T00:00:00Z",
            "1.2.3",
            "-",
            "1e9",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in "\\PC{0,30}|[0-9eE+\\-:TZ. ]{0,40}") {
            parse(&text);
        }

        #[test]
        fn rfc_3339_times_round_trip(at: i64) {
            let text = Timestamp::from_nanosecond(i128::from(at)).unwrap().to_string();
            // All years within 64 bits of nanoseconds have four digits.
            prop_assert_eq!(parse(&text), Some(at));
        }
    }
}
