//! A circuit breaker: a channel that fails again and again is left alone for a while.

use serde::{Deserialize, Serialize};

use crate::clock::SECOND;

/// Failures in a row that open the breaker.
const FAILURES: u32 = 5;
/// How long nothing is sent after that, before one message probes the channel.
const OPEN_TIME: i64 = 30 * SECOND;

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Messages are sent.
    Closed,
    /// One message probes the channel.
    HalfOpen,
    /// Nothing is sent.
    Open,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Breaker {
    /// Failures in a row.
    failures: u32,
    /// When the next probe may be sent, once the breaker is open.
    probe_at: Option<i64>,
    /// Whether a probe is on its way.
    is_probing: bool,
}

impl Breaker {
    /// The time before which nothing may be sent, if there is one.
    pub(super) fn closed_until(&self, now: i64) -> Option<i64> {
        // A time that is further ahead was written before the clock was set back.
        self.probe_at.filter(|at| *at > now && *at - now <= OPEN_TIME)
    }

    pub(super) fn state(&self, now: i64) -> BreakerState {
        match self.probe_at {
            None => BreakerState::Closed,
            Some(_) if self.is_probing || self.closed_until(now).is_none() => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    /// Notes that a message is being sent.
    pub(super) fn begin_attempt(&mut self, now: i64) {
        self.is_probing = self.probe_at.is_some() && self.closed_until(now).is_none();
    }

    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }

    pub(super) fn fail(&mut self, now: i64) {
        self.failures = self.failures.saturating_add(1);
        self.is_probing = false;
        if self.failures >= FAILURES {
            self.probe_at = Some(now.saturating_add(OPEN_TIME));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_open_it_and_a_probe_closes_it() {
        let mut breaker = Breaker::default();
        for second in 0..4 {
            breaker.fail(second * SECOND);
            assert_eq!(
                (breaker.state(second * SECOND), breaker.closed_until(second * SECOND)),
                (BreakerState::Closed, None)
            );
        }
        breaker.fail(4 * SECOND);
        assert_eq!(breaker.state(5 * SECOND), BreakerState::Open);
        assert_eq!(breaker.closed_until(33 * SECOND), Some(34 * SECOND));
        assert_eq!(breaker.closed_until(34 * SECOND), None);
        breaker.begin_attempt(34 * SECOND);
        assert_eq!(breaker.state(34 * SECOND), BreakerState::HalfOpen);
        // A failed probe opens it at once.
        breaker.fail(35 * SECOND);
        assert_eq!(breaker.closed_until(64 * SECOND), Some(65 * SECOND));
        breaker.begin_attempt(65 * SECOND);
        breaker.succeed();
        assert_eq!(breaker.state(65 * SECOND), BreakerState::Closed);
        breaker.fail(66 * SECOND);
        assert_eq!(breaker.state(66 * SECOND), BreakerState::Closed);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.fail(1_000_000 * SECOND);
        }
        assert_eq!(breaker.closed_until(10 * SECOND), None);
    }
}
