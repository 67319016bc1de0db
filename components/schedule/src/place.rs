//! Free and busy stretches, and the earliest slot in them. All lists are in order and their spans do not touch.

use crate::calendar::Span;

/// When something is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Busy(Vec<Span>);

impl Busy {
    /// Takes a span, which joins what it touches.
    pub fn add(&mut self, span: Span) {
        let first = self.0.partition_point(|other| other.to < span.from);
        let last = self.0.partition_point(|other| other.from <= span.to);
        let joined = self
            .0
            .get(first..last)
            .unwrap_or_default()
            .iter()
            .fold(span, |joined, other| Span { from: joined.from.min(other.from), to: joined.to.max(other.to) });
        self.0.splice(first..last.max(first), [joined]);
    }

    /// The earliest start at or after `earliest` of a stretch of `duration` that ends by `limit`.
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

    /// Whether nothing of `span` is taken.
    pub fn allows(&self, span: Span) -> bool {
        self.gap(span.from, span.to - span.from, span.to).is_some()
    }
}

/// When someone can still be given work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Free(Vec<Span>);

impl Free {
    pub fn new(spans: Vec<Span>) -> Self {
        Self(spans)
    }

    /// Takes a span out.
    pub fn take(&mut self, span: Span) {
        let first = self.0.partition_point(|other| other.to <= span.from);
        let last = self.0.partition_point(|other| other.from < span.to).max(first);
        let mut rest = Vec::with_capacity(2);
        for other in self.0.get(first..last).unwrap_or_default() {
            for piece in [
                Span { from: other.from, to: other.to.min(span.from) },
                Span { from: other.from.max(span.to), to: other.to },
            ] {
                if piece.from < piece.to {
                    rest.push(piece);
                }
            }
        }
        self.0.splice(first..last, rest);
    }

    /// The earliest start at or after `earliest`, and not after `latest`, of a stretch of `duration` that is free and
    /// in which the asset is free as well.
    pub fn earliest(&self, earliest: i64, latest: i64, duration: i64, asset: &Busy) -> Option<i64> {
        let first = self.0.partition_point(|span| span.to < earliest + duration);
        for span in self.0.get(first..).unwrap_or_default() {
            if span.from > latest {
                return None;
            }
            if let Some(start) = asset.gap(span.from.max(earliest), duration, span.to) {
                return (start <= latest).then_some(start);
            }
        }
        None
    }

    /// Whether all of `span` is free.
    pub fn allows(&self, span: Span) -> bool {
        let first = self.0.partition_point(|other| other.to < span.to);
        self.0.get(first).is_some_and(|other| other.from <= span.from && span.to <= other.to)
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
            let mut free = Free::new(vec![Span { from: 5, to: 40 }, Span { from: 45, to: 90 }]);
            for span in &taken {
                free.take(*span);
            }
            let mut busy = Busy::default();
            for span in &asset {
                busy.add(*span);
            }
            let is_free = |minute: i64| {
                ((5..40).contains(&minute) || (45..90).contains(&minute)) && !covers(&taken, minute)
            };
            for minute in 0..100 {
                let one = Span { from: minute, to: minute + 1 };
                prop_assert_eq!(free.allows(one), is_free(minute));
                prop_assert_eq!(busy.allows(one), !covers(&asset, minute));
            }
            let fits = |start: i64| (start..start + duration).all(|minute| is_free(minute) && !covers(&asset, minute));
            let wanted = (earliest..100).find(|start| fits(*start));
            prop_assert_eq!(free.earliest(earliest, i64::MAX, duration, &busy), wanted);
            prop_assert_eq!(free.earliest(earliest, 50, duration, &busy), wanted.filter(|start| *start <= 50));
        }
    }
}
