//! A limit of the rate: the generic cell rate algorithm (ITU-T I.371), in which one number is the whole state.

use serde::{Deserialize, Serialize};

use crate::clock::SECOND;

/// After a pause, as many messages as in a minute may be sent at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rate {
    /// The time at which the next message would be due if all came evenly.
    due: i64,
}

/// The time between two messages, and how far they may be ahead of it.
fn limits(max_per_minute: u32) -> (i64, i64) {
    let interval = 60 * SECOND / i64::from(max_per_minute.max(1));
    (interval, interval * i64::from(max_per_minute.max(1) - 1))
}

impl Rate {
    fn ahead(self, now: i64, max_per_minute: u32) -> i64 {
        let (interval, tolerance) = limits(max_per_minute);
        let ahead = self.due.saturating_sub(now).max(0);
        // More than that is only possible if the clock was set back or the limit was raised.
        ahead.min(tolerance + interval)
    }

    /// The number of messages that may be sent now.
    pub(super) fn available(self, now: i64, max_per_minute: u32) -> usize {
        let (interval, tolerance) = limits(max_per_minute);
        let room = tolerance - self.ahead(now, max_per_minute);
        if room < 0 { 0 } else { usize::try_from(room / interval + 1).unwrap_or(usize::MAX) }
    }

    /// The time at which the next message may be sent, if it is not now.
    pub(super) fn next_slot(self, now: i64, max_per_minute: u32) -> Option<i64> {
        let (_, tolerance) = limits(max_per_minute);
        let wait = self.ahead(now, max_per_minute) - tolerance;
        (wait > 0).then(|| now + wait)
    }

    /// Notes that a message is sent.
    pub(super) fn take(&mut self, now: i64, max_per_minute: u32) {
        self.due = now + self.ahead(now, max_per_minute) + limits(max_per_minute).0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_minute_has_more_messages_than_twice_the_limit_and_the_mean_is_the_limit(
            max in 1_u32..200, gaps in prop::collection::vec(0_i64..5 * SECOND, 1..500)
        ) {
            let (mut rate, mut now, mut sent) = (Rate::default(), 1_000 * SECOND, Vec::new());
            for gap in gaps {
                now += gap;
                let is_free = rate.next_slot(now, max).is_none();
                prop_assert_eq!(is_free, rate.available(now, max) > 0);
                if is_free {
                    rate.take(now, max);
                    sent.push(now);
                }
            }
            // A burst of the limit, then one for each interval.
            let (interval, _) = limits(max);
            for (index, from) in sent.iter().enumerate() {
                for (count, to) in (1..).zip(&sent[index..]) {
                    prop_assert!(count <= i64::from(max) + (to - from) / interval, "{count} in {} ns", to - from);
                }
            }
        }

        #[test]
        fn waiting_for_the_slot_is_enough(max in 1_u32..200, taken in 0_usize..400, now in 0_i64..1_000_000_000_000) {
            let mut rate = Rate::default();
            for _ in 0..taken {
                if rate.next_slot(now, max).is_none() {
                    rate.take(now, max);
                }
            }
            if let Some(at) = rate.next_slot(now, max) {
                prop_assert!(at > now && at <= now + 60 * SECOND);
                prop_assert_eq!(rate.next_slot(at, max), None);
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_costs_at_most_a_minute() {
        let mut rate = Rate::default();
        for _ in 0..10 {
            rate.take(1_000_000 * SECOND, 10);
        }
        assert!(rate.next_slot(0, 10).is_some_and(|at| at <= 60 * SECOND));
    }
}
