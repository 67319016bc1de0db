//! Shifts and working time. Minutes count from 1970-01-01T00:00Z, a Thursday.

pub(crate) const MINUTES_PER_DAY: i64 = 1_440;

const NANOSECONDS_PER_MINUTE: i64 = 60_000_000_000;

/// The last minute that can be expressed in nanoseconds.
pub(crate) const LAST_MINUTE: i64 = i64::MAX / NANOSECONDS_PER_MINUTE;

/// Returns the first minute at or after `time` that is a multiple of 5.
pub(crate) fn ceil_to_five_minutes(time: i64) -> i64 {
    // The division comes first, so that the result in minutes is far inside an i64 even near the ends of time.
    let step = 5 * NANOSECONDS_PER_MINUTE;
    (time.div_euclid(step) + i64::from(time.rem_euclid(step) != 0)) * 5
}

/// Returns the first minute at or after `time`.
pub(crate) fn ceil_to_minute(time: i64) -> i64 {
    time.div_euclid(NANOSECONDS_PER_MINUTE) + i64::from(time.rem_euclid(NANOSECONDS_PER_MINUTE) != 0)
}

/// Converts a minute to nanoseconds.
pub(crate) fn minute_to_nanoseconds(minute: i64) -> i64 {
    minute.saturating_mul(NANOSECONDS_PER_MINUTE)
}

/// A time interval in minutes, from `start` (included) to `end` (excluded).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub start: i64,
    pub end: i64,
}

/// A weekly shift in local time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    /// The days on which the shift starts, Monday first.
    pub days: [bool; 7],
    /// Start in minutes after midnight, less than a day.
    pub start: i64,
    /// Length in minutes, above 0 and at most a day.
    pub length: i64,
}

/// The working times of a technician.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roster {
    /// An empty list means always.
    shifts: Vec<Shift>,
    /// Local time minus UTC, in minutes.
    utc_offset: i64,
    /// The longest working time without a break, in minutes.
    pub longest_interval: i64,
}

impl Roster {
    pub fn new(shifts: Vec<Shift>, offset: i64) -> Self {
        let mut roster = Self { shifts, utc_offset: offset, longest_interval: i64::MAX };
        // Four weeks contain every interval of a weekly pattern completely. An interval of three weeks or more has no
        // end.
        let week = 7 * MINUTES_PER_DAY;
        let longest = roster
            .working_intervals(0, 4 * week)
            .iter()
            .map(|interval| interval.end - interval.start)
            .max()
            .unwrap_or(0);
        roster.longest_interval = if longest >= 3 * week { i64::MAX } else { longest };
        roster
    }

    /// Returns the working intervals between two minutes, in order. Shifts that touch or overlap are joined.
    pub fn working_intervals(&self, from: i64, to: i64) -> Vec<Interval> {
        if from >= to {
            return Vec::new();
        }
        if self.shifts.is_empty() {
            return vec![Interval { start: from, end: to }];
        }
        let first = (from + self.utc_offset).div_euclid(MINUTES_PER_DAY) - 1;
        let last = (to + self.utc_offset).div_euclid(MINUTES_PER_DAY);
        let mut intervals = Vec::new();
        for day in first..=last {
            // Day 0 was a Thursday, the fourth day of a week that starts on Monday.
            let weekday = usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
            for shift in &self.shifts {
                if shift.days.get(weekday).copied().unwrap_or(false) {
                    let start = day * MINUTES_PER_DAY + shift.start - self.utc_offset;
                    let interval = Interval { start: start.max(from), end: (start + shift.length).min(to) };
                    if interval.start < interval.end {
                        intervals.push(interval);
                    }
                }
            }
        }
        intervals.sort_by_key(|interval| (interval.start, interval.end));
        merge_intervals(&intervals)
    }
}

/// Joins intervals that touch or overlap; they are sorted by start.
fn merge_intervals(intervals: &[Interval]) -> Vec<Interval> {
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match merged.last_mut() {
            Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
            _ => merged.push(*interval),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-01-05 is a Monday: 20,458 days after 1970-01-01.
    const MONDAY: i64 = 20_458 * MINUTES_PER_DAY;

    fn shift(days: &[usize], start: i64, length: i64) -> Shift {
        let mut flags = [false; 7];
        for day in days {
            flags[*day] = true;
        }
        Shift { days: flags, start: start * 60, length: length * 60 }
    }

    fn hours(roster: &Roster, from: i64, to: i64) -> Vec<(i64, i64)> {
        let intervals = roster.working_intervals(MONDAY + from * 60, MONDAY + to * 60);
        intervals.iter().map(|interval| ((interval.start - MONDAY) / 60, (interval.end - MONDAY) / 60)).collect()
    }

    #[test]
    fn shifts_apply_on_their_days() {
        let roster = Roster::new(vec![shift(&[0, 2], 6, 8)], 0);
        assert_eq!(hours(&roster, 0, 7 * 24), [(6, 14), (54, 62)]);
        assert_eq!(hours(&roster, 8, 12), [(8, 12)]);
        assert_eq!(hours(&roster, 14, 54), []);
        assert_eq!(roster.longest_interval, 8 * 60);
    }

    #[test]
    fn a_night_shift_continues_on_the_next_day() {
        let roster = Roster::new(vec![shift(&[6], 22, 8)], 0);
        assert_eq!(hours(&roster, 0, 24), [(0, 6)]);
        assert_eq!(hours(&roster, 0, 8 * 24), [(0, 6), (166, 174)]);
        assert_eq!(roster.longest_interval, 8 * 60);
    }

    #[test]
    fn shifts_that_touch_are_joined() {
        let roster = Roster::new(vec![shift(&[0], 6, 8), shift(&[0], 14, 8)], 0);
        assert_eq!(hours(&roster, 0, 24), [(6, 22)]);
        let always = Roster::new(vec![shift(&[0, 1, 2, 3, 4, 5, 6], 6, 24)], 0);
        assert_eq!((always.longest_interval, hours(&always, 0, 48)), (i64::MAX, vec![(0, 48)]));
    }

    #[test]
    fn the_utc_offset_moves_shifts() {
        // 06:00 in Berlin in winter is 05:00 UTC.
        assert_eq!(hours(&Roster::new(vec![shift(&[0], 6, 8)], 60), 0, 24), [(5, 13)]);
        // 06:00 on Monday in Tokyo is 21:00 UTC on Sunday.
        assert_eq!(hours(&Roster::new(vec![shift(&[0], 6, 8)], 540), -12, 24), [(-3, 5)]);
    }

    #[test]
    fn minutes_round_up_at_both_ends_of_time() {
        assert_eq!((ceil_to_five_minutes(0), ceil_to_five_minutes(1), ceil_to_five_minutes(-1)), (0, 5, 0));
        assert_eq!(ceil_to_five_minutes(300_000_000_000), 5);
        assert!(minute_to_nanoseconds(ceil_to_five_minutes(i64::MAX)) >= i64::MAX - 300_000_000_000);
        assert!(ceil_to_five_minutes(i64::MIN) < 0);
        assert!(minute_to_nanoseconds(LAST_MINUTE) > 0);
        assert_eq!((ceil_to_minute(1), ceil_to_minute(60_000_000_000), ceil_to_minute(-1)), (1, 1, 0));
    }
}
