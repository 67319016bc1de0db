//! Sets of time intervals, and the search for the earliest slot in them.

use crate::calendar::Span;

/// A set of minutes as sorted intervals that do not touch: the free time of a technician or the occupied time of an
/// asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<Span>);

impl Spans {
    /// Creates a set from intervals that are sorted and do not touch.
    pub fn new(spans: Vec<Span>) -> Self {
        Self(spans)
    }

    /// Adds an interval and joins it with those that it touches.
    pub fn add(&mut self, span: Span) {
        let first = self.0.partition_point(|other| other.to < span.from);
        let last = self.0.partition_point(|other| other.from <= span.to).max(first);
        let merged = self
            .0
            .get(first..last)
            .unwrap_or_default()
            .iter()
            .fold(span, |merged, other| Span { from: merged.from.min(other.from), to: merged.to.max(other.to) });
        self.0.splice(first..last, [merged]);
    }

    /// Removes an interval.
    pub fn take(&mut self, span: Span) {
        let first = self.0.partition_point(|other| other.to <= span.from);
        let last = self.0.partition_point(|other| other.from < span.to).max(first);
        let mut remaining = Vec::with_capacity(2);
        for other in self.0.get(first..last).unwrap_or_default() {
            let before = Span { from: other.from, to: other.to.min(span.from) };
            let after = Span { from: other.from.max(span.to), to: other.to };
            remaining.extend([before, after].into_iter().filter(|part| part.from < part.to));
        }
        self.0.splice(first..last, remaining);
    }

    /// Returns whether the set contains all of `span`.
    pub fn hold(&self, span: Span) -> bool {
        let first = self.0.partition_point(|other| other.to < span.to);
        self.0.get(first).is_some_and(|other| other.from <= span.from && span.to <= other.to)
    }

    /// Returns whether the set contains no minute of `span`.
    pub fn miss(&self, span: Span) -> bool {
        self.gap(span.from, span.to - span.from, span.to).is_some()
    }

    /// Returns the earliest start at or after `earliest` of an interval of `duration` that ends by `limit` and is
    /// disjoint from the set.
    fn gap(&self, earliest: i64, duration: i64, limit: i64) -> Option<i64> {
        let mut start = earliest;
        let next = self.0.partition_point(|span| span.to <= start);
        for span in self.0.get(next..).unwrap_or_default() {
            if span.from >= start + duration || start + duration > limit {
                break;
            }
            start = span.to;
        }
        (start + duration <= limit).then_some(start)
    }

    /// Returns the earliest start from `earliest` to `latest` (both included) of an interval of `duration` that is in
    /// this set and disjoint from `taken`.
    pub fn earliest(&self, earliest: i64, latest: i64, duration: i64, occupied: &Spans) -> Option<i64> {
        let first = self.0.partition_point(|span| span.to < earliest.saturating_add(duration));
        for span in self.0.get(first..).unwrap_or_default() {
            if span.from > latest {
                return None;
            }
            if let Some(start) = occupied.gap(span.from.max(earliest), duration, span.to) {
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

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        proptest::collection::vec((0_i64..60, 1_i64..12), 0..10)
            .prop_map(|pairs| pairs.into_iter().map(|(from, length)| Span { from, to: from + length }).collect())
    }

    fn covers(spans: &[Span], minute: i64) -> bool {
        spans.iter().any(|span| (span.from..span.to).contains(&minute))
    }

    proptest! {
        #[test]
        fn interval_sets_match_a_check_of_every_minute(
            occupied in spans(), asset in spans(), earliest in 0_i64..80, duration in 1_i64..15,
        ) {
            let mut free = Spans::new(vec![Span { from: 5, to: 40 }, Span { from: 45, to: 90 }]);
            for span in &occupied {
                free.take(*span);
            }
            let mut busy = Spans::default();
            for span in &asset {
                busy.add(*span);
            }
            let is_free = |minute: i64| {
                ((5..40).contains(&minute) || (45..90).contains(&minute)) && !covers(&occupied, minute)
            };
            for minute in 0..100 {
                let single = Span { from: minute, to: minute + 1 };
                prop_assert_eq!(free.hold(single), is_free(minute));
                prop_assert_eq!(busy.miss(single), !covers(&asset, minute));
            }
            // An interval that is added again is complete again.
            let mut restored = free.clone();
            for span in &occupied {
                for minute in span.from..span.to {
                    if (5..40).contains(&minute) || (45..90).contains(&minute) {
                        restored.add(Span { from: minute, to: minute + 1 });
                    }
                }
            }
            prop_assert_eq!(restored, Spans::new(vec![Span { from: 5, to: 40 }, Span { from: 45, to: 90 }]));
            let fits = |start: i64| (start..start + duration).all(|minute| is_free(minute) && !covers(&asset, minute));
            let expected = (earliest..100).find(|start| fits(*start));
            prop_assert_eq!(free.earliest(earliest, i64::MAX, duration, &busy), expected);
            prop_assert_eq!(free.earliest(earliest, 50, duration, &busy), expected.filter(|start| *start <= 50));
        }
    }
}
