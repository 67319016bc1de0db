//! Sets of time intervals, and the search for the earliest slot in them.

use crate::calendar::Interval;

/// A set of minutes as sorted intervals that do not touch: the free time of a technician or the occupied time of an
/// asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntervalSet(Vec<Interval>);

impl IntervalSet {
    /// Creates a set from intervals that are sorted and do not touch.
    pub fn new(intervals: Vec<Interval>) -> Self {
        Self(intervals)
    }

    /// Adds an interval and joins it with those that it touches.
    pub fn insert(&mut self, interval: Interval) {
        let first = self.0.partition_point(|other| other.end < interval.start);
        let last = self.0.partition_point(|other| other.start <= interval.end).max(first);
        let merged = self.0.get(first..last).unwrap_or_default().iter().fold(interval, |merged, other| Interval {
            start: merged.start.min(other.start),
            end: merged.end.max(other.end),
        });
        self.0.splice(first..last, [merged]);
    }

    /// Removes an interval.
    pub fn remove(&mut self, interval: Interval) {
        let first = self.0.partition_point(|other| other.end <= interval.start);
        let last = self.0.partition_point(|other| other.start < interval.end).max(first);
        let mut remaining = Vec::with_capacity(2);
        for other in self.0.get(first..last).unwrap_or_default() {
            let before = Interval { start: other.start, end: other.end.min(interval.start) };
            let after = Interval { start: other.start.max(interval.end), end: other.end };
            remaining.extend([before, after].into_iter().filter(|part| part.start < part.end));
        }
        self.0.splice(first..last, remaining);
    }

    /// Returns whether the set contains all of `interval`.
    pub fn contains(&self, interval: Interval) -> bool {
        let first = self.0.partition_point(|other| other.end < interval.end);
        self.0.get(first).is_some_and(|other| other.start <= interval.start && interval.end <= other.end)
    }

    /// Returns whether the set contains no minute of `interval`.
    pub fn is_disjoint(&self, interval: Interval) -> bool {
        self.earliest_gap(interval.start, interval.end - interval.start, interval.end).is_some()
    }

    /// Returns the earliest start at or after `earliest` of an interval of `duration` that ends by `limit` and is
    /// disjoint from the set.
    fn earliest_gap(&self, earliest: i64, duration: i64, limit: i64) -> Option<i64> {
        let mut start = earliest;
        let next = self.0.partition_point(|interval| interval.end <= start);
        for interval in self.0.get(next..).unwrap_or_default() {
            if interval.start >= start + duration || start + duration > limit {
                break;
            }
            start = interval.end;
        }
        (start + duration <= limit).then_some(start)
    }

    /// Returns the earliest start from `earliest` to `latest` (both included) of an interval of `duration` that is in
    /// this set and disjoint from `occupied`.
    pub fn earliest_start(&self, earliest: i64, latest: i64, duration: i64, occupied: &IntervalSet) -> Option<i64> {
        let first = self.0.partition_point(|interval| interval.end < earliest.saturating_add(duration));
        for interval in self.0.get(first..).unwrap_or_default() {
            if interval.start > latest {
                return None;
            }
            if let Some(start) = occupied.earliest_gap(interval.start.max(earliest), duration, interval.end) {
                return (start <= latest).then_some(start);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn intervals() -> impl Strategy<Value = Vec<Interval>> {
        proptest::collection::vec((0_i64..60, 1_i64..12), 0..10).prop_map(|pairs| {
            pairs.into_iter().map(|(from, length)| Interval { start: from, end: from + length }).collect()
        })
    }

    fn covers(intervals: &[Interval], minute: i64) -> bool {
        intervals.iter().any(|interval| (interval.start..interval.end).contains(&minute))
    }

    proptest! {
        #[test]
        fn interval_sets_match_a_check_of_every_minute(
            occupied in intervals(), asset in intervals(), earliest in 0_i64..80, duration in 1_i64..15,
        ) {
            let mut free = IntervalSet::new(vec![Interval { start: 5, end: 40 }, Interval { start: 45, end: 90 }]);
            for interval in &occupied {
                free.remove(*interval);
            }
            let mut busy = IntervalSet::default();
            for interval in &asset {
                busy.insert(*interval);
            }
            let is_free = |minute: i64| {
                ((5..40).contains(&minute) || (45..90).contains(&minute)) && !covers(&occupied, minute)
            };
            for minute in 0..100 {
                let single = Interval { start: minute, end: minute + 1 };
                prop_assert_eq!(free.contains(single), is_free(minute));
                prop_assert_eq!(busy.is_disjoint(single), !covers(&asset, minute));
            }
            // An interval that is added again is complete again.
            let mut restored = free.clone();
            for interval in &occupied {
                for minute in interval.start..interval.end {
                    if (5..40).contains(&minute) || (45..90).contains(&minute) {
                        restored.insert(Interval { start: minute, end: minute + 1 });
                    }
                }
            }
            prop_assert_eq!(restored, IntervalSet::new(vec![Interval { start: 5, end: 40 }, Interval { start: 45, end: 90 }]));
            let fits = |start: i64| (start..start + duration).all(|minute| is_free(minute) && !covers(&asset, minute));
            let expected = (earliest..100).find(|start| fits(*start));
            prop_assert_eq!(free.earliest_start(earliest, i64::MAX, duration, &busy), expected);
            prop_assert_eq!(free.earliest_start(earliest, 50, duration, &busy), expected.filter(|start| *start <= 50));
        }
    }
}
