//! Times as recordings write them.

use jiff::{Timestamp, civil::DateTime, tz::Offset};

/// Nanoseconds since 1970 of an RFC 3339 time, a date and time without an offset (UTC), or a number since 1970 whose size
/// tells its unit as ingest has it: below 10¹¹ s, below 10¹⁴ ms, below 10¹⁷ µs, else ns. None if it is no such thing, or
/// beyond the years 1677 to 2262.
pub(super) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(number) = number(text) {
        return i64::try_from(number).ok();
    }
    // Only years of four digits: a plain date such as 20200309 is a number.
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

/// Exactly, not by way of a double.
fn number(text: &str) -> Option<i128> {
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
        // Digits beyond the nanosecond are cut.
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
    fn the_same_time_in_many_ways() {
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
    fn what_is_no_time_is_none() {
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
        fn no_text_makes_it_panic(text in "\\PC{0,30}|[0-9eE+\\-:TZ. ]{0,40}") {
            parse(&text);
        }

        #[test]
        fn what_is_written_is_read(at: i64) {
            let text = Timestamp::from_nanosecond(i128::from(at)).unwrap().to_string();
            // Years of other than four digits do not occur within 64 bits.
            prop_assert_eq!(parse(&text), Some(at));
        }
    }
}
