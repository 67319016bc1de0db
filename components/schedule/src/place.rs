//! Stretches of time, and the earliest slot in them.

use crate::calendar::Span;

/// Spans in order, which do not touch each other: when someone is free, or when something is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<Span>);

impl Spans {
    /// Of spans that are in order and do not touch.
    pub fn new(spans: Vec<Span>) -> Self {
        Self(spans)
    }

    /// Puts a span in, which joins what it touches.
    pub fn add(&mut self, span: Span) {
        let first = self.0.partition_point(|other| other.to < span.from);
        let last = self.0.partition_point(|other| other.from <= span.to).max(first);
        let joined = self
            .0
            .get(first..last)
            .unwrap_or_default()
            .iter()
            .fold(span, |joined, other| Span { from: joined.from.min(other.from), to: joined.to.max(other.to) });
        self.0.splice(first..last, [joined]);
    }

    /// Takes a span out.
    pub fn take(&mut self, span: Span) {
        let first = self.0.partition_point(|other| other.to <= span.from);
        let last = self.0.partition_point(|other| other.from < span.to).max(first);
        let mut rest = Vec::with_capacity(2);
        for other in self.0.get(first..last).unwrap_or_default() {
            let before = Span { from: other.from, to: other.to.min(span.from) };
            let behind = Span { from: other.from.max(span.to), to: other.to };
            rest.extend([before, behind].into_iter().filter(|piece| piece.from < piece.to));
        }
        self.0.splice(first..last, rest);
    }

    /// Whether all of `span` is in.
    pub fn hold(&self, span: Span) -> bool {
        let first = self.0.partition_point(|other| other.to < span.to);
        self.0.get(first).is_some_and(|other| other.from <= span.from && span.to <= other.to)
    }

    /// Whether none of `span` is in.
    pub fn miss(&self, span: Span) -> bool {
        self.gap(span.from, span.to - span.from, span.to).is_some()
    }

    /// The earliest start at or after `earliest` of a stretch of `duration` that ends by `limit` and of which none is in.
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

    /// The earliest start at or after `earliest`, and not after `latest`, of a stretch of `duration` that is in, and of
    /// which none is in `taken`.
    pub fn earliest(&self, earliest: i64, latest: i64, duration: i64, taken: &Spans) -> Option<i64> {
        let first = self.0.partition_point(|span| span.to < earliest.saturating_add(duration));
        for span in self.0.get(first..).unwrap_or_default() {
            if span.from > latest {
                return None;
            }
            if let Some(start) = taken.gap(span.from.max(earliest), duration, span.to) {
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
            .prop_map(|all| all.into_iter().map(|(from, length)| Span { from, to: from + length }).collect())
    }

    fn covers(spans: &[Span], minute: i64) -> bool {
        spans.iter().any(|span| (span.from..span.to).contains(&minute))
    }

    proptest! {
        #[test]
        fn busy_and_free_say_what_a_look_at_every_minute_says(
            taken in spans(), asset in spans(), earliest in 0_i64..80, duration in 1_i64..15,
        ) {
            let mut free = Spans::new(vec![Span { from: 5, to: 40 }, Span { from: 45, to: 90 }]);
            for span in &taken {
                free.take(*span);
            }
            let mut busy = Spans::default();
            for span in &asset {
                busy.add(*span);
            }
            let is_free = |minute: i64| {
                ((5..40).contains(&minute) || (45..90).contains(&minute)) && !covers(&taken, minute)
            };
            for minute in 0..100 {
                let one = Span { from: minute, to: minute + 1 };
                prop_assert_eq!(free.hold(one), is_free(minute));
                prop_assert_eq!(busy.miss(one), !covers(&asset, minute));
            }
            // What is given back is there again.
            let mut back = free.clone();
            for span in &taken {
                for minute in span.from..span.to {
                    if (5..40).contains(&minute) || (45..90).contains(&minute) {
                        back.add(Span { from: minute, to: minute + 1 });
                    }
                }
            }
            prop_assert_eq!(back, Spans::new(vec![Span { from: 5, to: 40 }, Span { from: 45, to: 90 }]));
            let fits = |start: i64| (start..start + duration).all(|minute| is_free(minute) && !covers(&asset, minute));
            let wanted = (earliest..100).find(|start| fits(*start));
            prop_assert_eq!(free.earliest(earliest, i64::MAX, duration, &busy), wanted);
            prop_assert_eq!(free.earliest(earliest, 50, duration, &busy), wanted.filter(|start| *start <= 50));
        }
    }
}
