//! Times of quiet hours and silences.

use jiff::{Timestamp, ZonedDateTime, civil::Weekday};

/// Minutes in a day.
pub const DAY_MINUTES: u16 = 1440;

/// Parses a time of the day, `00:00` to `24:00`, and returns the minutes since midnight.
pub fn parse_time_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|_| matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|_| minutes.len() == 2)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY_MINUTES).then_some(total)
}

/// Parses a day of the week, `mon` to `sun`.
pub fn parse_weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// Parses a point in time: RFC 3339 with an offset, or a local time with a zone, such as
/// `2026-12-01T22:00[Europe/Berlin]`. Returns nanoseconds since 1970.
///
/// # Errors
/// What is wrong; a local time without a zone is an error, because it means another time for each reader.
pub fn parse_instant(text: &str) -> Result<i64, String> {
    let instant = match text.parse::<Timestamp>() {
        Ok(instant) => instant,
        Err(_) if text.contains('[') => {
            let zoned = text.parse::<ZonedDateTime>();
            zoned.map_err(|_| format!("{text:?} is not a time, or its time zone is unknown"))?.timestamp()
        }
        Err(_) if text.parse::<jiff::civil::DateTime>().is_ok() => return Err(format!("{text:?} has no time zone")),
        Err(_) => return Err(format!("{text:?} is not a time")),
    };
    i64::try_from(instant.as_nanosecond()).map_err(|_| format!("{text:?} is not from the year 1678 to 2261"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_day_end_at_24() {
        for (text, expected) in [
            ("00:00", Some(0)),
            ("6:30", Some(390)),
            ("23:59", Some(1439)),
            ("24:00", Some(1440)),
            ("24:01", None),
            ("12:60", None),
            ("12:5", None),
            ("+1:00", None),
            ("12", None),
            ("", None),
        ] {
            assert_eq!(parse_time_of_day(text), expected, "{text}");
        }
    }

    #[test]
    fn instants_have_a_zone() {
        assert_eq!(parse_instant("1970-01-01T01:00:00+01:00"), Ok(0));
        assert_eq!(parse_instant("1970-01-01T01:00[Europe/Berlin]"), Ok(0));
        for (text, expected) in [
            ("2026-12-01T22:00", "no time zone"),
            ("2026-12-01", "no time zone"),
            ("2026-12-01T22:00[Europe/Berln]", "time zone is unknown"),
            ("tomorrow", "not a time"),
            ("9999-01-01T00:00:00Z", "1678"),
        ] {
            let error = parse_instant(text).err().unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
