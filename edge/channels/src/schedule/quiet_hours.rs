//! Quiet hours: times of the day, in a time zone, in which only severe alerts are sent.

use jiff::{
    ToSpan as _,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use wheeltapper_config::{DAY_MINUTES, QuietHours, parse_time_of_day, parse_weekday};

use crate::{ChannelError, Severity, clock::timestamp};

/// Rules that follow each other without a gap; more are not looked at.
const MAX_CHAINED: usize = 16;

/// The quiet hours of a channel.
#[derive(Clone, Debug, Default)]
pub struct QuietTimes(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    /// Minutes since midnight, 0 to 1440; if `to` is not after `from`, it is on the next day.
    from: u16,
    to: u16,
    /// Days on which it begins; empty means all.
    days: Vec<Weekday>,
    zone: TimeZone,
    /// Alerts of this severity and above are sent.
    except: Severity,
}

impl QuietTimes {
    /// `default_zone` is the zone of rules without one.
    ///
    /// # Errors
    /// If a time, a day, a zone or a severity is not valid.
    pub fn new(settings: &[QuietHours], default_zone: &TimeZone) -> Result<Self, ChannelError> {
        settings.iter().map(|rule| Rule::new(rule, default_zone)).collect::<Result<_, _>>().map(Self)
    }

    /// Returns when an alert may be sent, if that is after `now` (nanoseconds since 1970).
    pub fn hold_until(&self, severity: Severity, now: i64) -> Option<i64> {
        let mut until = now;
        for _ in 0..MAX_CHAINED {
            let later = self.0.iter().filter(|rule| severity < rule.except).filter_map(|rule| rule.end(until)).max();
            match later.filter(|end| *end > until) {
                Some(end) => until = end,
                None => break,
            }
        }
        (until > now).then_some(until)
    }
}

impl Rule {
    fn new(settings: &QuietHours, default_zone: &TimeZone) -> Result<Self, ChannelError> {
        let wrong = |what: String, help: &str| ChannelError::new(format!("quiet_hours: {what}"), help);
        let minutes = |text: &str| {
            parse_time_of_day(text).ok_or_else(|| wrong(format!("{text:?} is not a time"), "write it as 22:00"))
        };
        let day = |text: &String| {
            parse_weekday(text)
                .ok_or_else(|| wrong(format!("{text:?} is not a day"), "write mon, tue, wed, thu, fri, sat or sun"))
        };
        let zone = match &settings.zone {
            Some(name) => TimeZone::get(name).map_err(|_| {
                wrong(format!("the time zone {name:?} is unknown"), "write a name such as Europe/Berlin")
            })?,
            None => default_zone.clone(),
        };
        let except = Severity::parse(&settings.except).ok_or_else(|| {
            wrong(format!("the severity {:?} is unknown", settings.except), "write low, medium, high or critical")
        })?;
        let days = settings.days.iter().map(day).collect::<Result<_, _>>()?;
        Ok(Self { from: minutes(&settings.from)?, to: minutes(&settings.to)?, days, zone, except })
    }

    /// The end of the interval that contains `now`.
    fn end(&self, now: i64) -> Option<i64> {
        let today = timestamp(now).to_zoned_datetime(self.zone.clone()).date();
        // An interval that began yesterday may go on.
        let begins = [today.yesterday().ok(), Some(today)];
        begins
            .into_iter()
            .flatten()
            .filter_map(|date| self.interval(date))
            .find_map(|(from, to)| (from <= now && now < to).then_some(to))
    }

    /// The interval that begins on a date, in nanoseconds since 1970.
    fn interval(&self, date: Date) -> Option<(i64, i64)> {
        if !self.days.is_empty() && !self.days.contains(&date.weekday()) {
            return None;
        }
        let last = if self.to > self.from { date } else { date.tomorrow().ok()? };
        Some((self.instant(date, self.from)?, self.instant(last, self.to)?))
    }

    /// A time of the wall clock. One that daylight saving skips is that much later; of one that occurs twice, it is the
    /// first.
    fn instant(&self, date: Date, minutes: u16) -> Option<i64> {
        // 24:00 is midnight of the next day, which may not be 24 hours after midnight.
        let (date, minutes) =
            if minutes >= DAY_MINUTES { (date.tomorrow().ok()?, minutes - DAY_MINUTES) } else { (date, minutes) };
        let local = date.at(0, 0, 0, 0).checked_add(i64::from(minutes).minutes()).ok()?;
        let zoned = local.to_zoned_datetime(self.zone.clone()).ok()?;
        i64::try_from(zoned.timestamp().as_nanosecond()).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn rule(from: &str, to: &str, days: &[&str], zone: &str) -> QuietHours {
        QuietHours {
            from: from.into(),
            to: to.into(),
            days: days.iter().map(|&day| day.to_owned()).collect(),
            zone: Some(zone.into()),
            except: "critical".into(),
        }
    }

    fn at(time: &str) -> i64 {
        let zoned: jiff::ZonedDateTime = time.parse().unwrap();
        i64::try_from(zoned.timestamp().as_nanosecond()).unwrap()
    }

    /// The end of the hold as a local time, or "sent".
    fn held(rules: &[QuietHours], zone: &str, time: &str) -> String {
        let quiet = QuietTimes::new(rules, &TimeZone::UTC).unwrap();
        let until = quiet.hold_until(Severity::High, at(&format!("{time}[{zone}]")));
        until.map_or("sent".to_owned(), |until| {
            timestamp(until).to_zoned_datetime(TimeZone::get(zone).unwrap()).strftime("%m-%d %H:%M %Z").to_string()
        })
    }

    #[test]
    fn quiet_hours_cross_midnight_and_end_at_24() {
        let zone = "Europe/Amsterdam";
        let night = [rule("22:00", "06:00", &[], zone)];
        for (time, expected) in [
            ("2026-12-01T21:59", "sent"),
            ("2026-12-01T22:00", "12-02 06:00 CET"),
            ("2026-12-01T23:59:59", "12-02 06:00 CET"),
            ("2026-12-02T00:00", "12-02 06:00 CET"),
            ("2026-12-02T05:59:59", "12-02 06:00 CET"),
            ("2026-12-02T06:00", "sent"),
        ] {
            assert_eq!(held(&night, zone, time), expected, "{time}");
        }
        let evening = [rule("20:00", "24:00", &["fri"], zone)];
        assert_eq!(held(&evening, zone, "2026-12-04T23:30"), "12-05 00:00 CET");
        assert_eq!(held(&evening, zone, "2026-12-05T00:00"), "sent");
        assert_eq!(held(&evening, zone, "2026-12-03T23:30"), "sent");
        // The day of an interval is the one on which it begins.
        let friday_night = [rule("22:00", "06:00", &["fri"], zone)];
        assert_eq!(held(&friday_night, zone, "2026-12-05T05:00"), "12-05 06:00 CET");
        assert_eq!(held(&friday_night, zone, "2026-12-04T05:00"), "sent");
    }

    #[test]
    fn whole_days_follow_each_other() {
        let zone = "Europe/Amsterdam";
        let weekend = [rule("00:00", "24:00", &["sat", "sun"], zone), rule("22:00", "06:00", &[], zone)];
        assert_eq!(held(&weekend, zone, "2026-12-04T22:30"), "12-07 06:00 CET");
        let all_day = [rule("08:00", "08:00", &["mon"], zone)];
        assert_eq!(held(&all_day, zone, "2026-12-08T07:59"), "12-08 08:00 CET");
    }

    #[test]
    fn daylight_saving_moves_the_end_with_the_wall_clock() {
        let zone = "Europe/Amsterdam";
        let night = [rule("22:00", "06:00", &[], zone)];
        // The clock goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
        assert_eq!(held(&night, zone, "2026-03-28T23:00"), "03-29 06:00 CEST");
        assert_eq!(held(&night, zone, "2026-10-24T23:00"), "10-25 06:00 CET");
        let quiet = QuietTimes::new(&night, &TimeZone::UTC).unwrap();
        let hours = |time: &str| {
            let now = at(time);
            (quiet.hold_until(Severity::Low, now).unwrap() - now) / 3_600_000_000_000
        };
        assert_eq!(hours("2026-03-28T22:00[Europe/Amsterdam]"), 7);
        assert_eq!(hours("2026-10-24T22:00[Europe/Amsterdam]"), 9);
        // An end that is skipped is as much later.
        let skipped = [rule("22:00", "02:30", &[], zone)];
        assert_eq!(held(&skipped, zone, "2026-03-29T01:00"), "03-29 03:30 CEST");
    }

    #[test]
    fn severe_alerts_are_sent_and_settings_are_checked() {
        let quiet = QuietTimes::new(&[rule("22:00", "06:00", &[], "UTC")], &TimeZone::UTC).unwrap();
        assert_eq!(quiet.hold_until(Severity::Critical, at("2026-12-01T23:00[UTC]")), None);
        for (settings, expected) in [
            (rule("25:00", "06:00", &[], "UTC"), "25:00"),
            (rule("22:00", "06:00", &["someday"], "UTC"), "someday"),
            (rule("22:00", "06:00", &[], "Europe/Amsterdm"), "Amsterdm"),
        ] {
            let error = QuietTimes::new(&[settings], &TimeZone::UTC).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_message_is_sent_when_its_hold_ends(
            from in 0_u16..1440, to in 0_u16..=1440, hour in 0_i64..20_000, days in prop::collection::vec(0_usize..7, 0..4)
        ) {
            let text = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let days: Vec<&str> = days.iter().map(|&day| names[day]).collect();
            let quiet = QuietTimes::new(&[rule(&text(from), &text(to), &days, "America/New_York")], &TimeZone::UTC).unwrap();
            let now = (1_767_225_600 + hour * 3600) * 1_000_000_000;
            if let Some(until) = quiet.hold_until(Severity::Low, now) {
                prop_assert!(until > now);
                // Only a rule of every day without an end is chained beyond a day or so.
                prop_assert!(from == to || to - from.min(to) == 1440 || until - now <= 26 * 3_600_000_000_000);
                if until - now < 14 * 24 * 3_600_000_000_000 {
                    prop_assert_eq!(quiet.hold_until(Severity::Low, until), None);
                }
            }
        }
    }
}
