//! Sends a fleet's readings, at a pace.

mod http;
mod mqtt;

use std::{
    thread,
    time::{Duration, SystemTime},
};

pub use http::publish_http;
pub use mqtt::publish_mqtt;

use crate::fleet::{Fleet, Tick};

/// A server that is starting is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How fast a fleet's clock runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Times real time while the fleet's clock is in the past; above 0, infinity is as fast as possible. Once it meets the
    /// present it keeps real time.
    pub speed: f64,
    /// Stop when the fleet's clock has run so long; none is never.
    pub run_for: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { speed: 1.0, run_for: None }
    }
}

/// Why a fleet could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A speed that is none.
    #[error("expected a speed above 0, such as 1 for real time; got {speed}")]
    Speed {
        /// What came.
        speed: f64,
    },
    /// An address that is none.
    #[error("expected an address such as {expected}; got {url:?}{hint}")]
    Address {
        /// What one looks like.
        expected: &'static str,
        /// What came.
        url: String,
        /// What to do.
        hint: &'static str,
    },
    /// Nobody answered for a minute.
    #[error("{url} could not be reached for {seconds} s: {message}; start the server there, or correct --to")]
    Unreachable {
        /// Where to.
        url: String,
        /// How long it was tried.
        seconds: u64,
        /// What the last attempt said.
        message: String,
    },
    /// The server did not want the readings.
    #[error("{url} answered {status} instead of 202: {answer}; {sent} readings were sent before")]
    Refused {
        /// Where to.
        url: String,
        /// HTTP status.
        status: u16,
        /// The start of the body.
        answer: String,
        /// Readings that were taken before.
        sent: u64,
    },
    /// The server had no room for ten minutes.
    #[error(
        "{url} was too busy for {seconds} s (last answer {status}); see its metrics, or publish at a lower --speed"
    )]
    Busy {
        /// Where to.
        url: String,
        /// 429 or 503.
        status: u16,
        /// How long it was tried.
        seconds: u64,
    },
}

/// Tells when each tick is due.
#[derive(Debug)]
struct Metronome {
    speed: f64,
    /// The fleet's clock and the world's when both began, in ns since 1970.
    fleet_began: i64,
    world_began: i64,
    /// The fleet's clock stops before this time.
    until: i64,
}

impl Metronome {
    fn start(fleet: &Fleet, pace: &Pace) -> Result<Self, PublishError> {
        if pace.speed.is_nan() || pace.speed <= 0.0 {
            return Err(PublishError::Speed { speed: pace.speed });
        }
        let fleet_began = fleet.now_ns();
        let until = pace.run_for.map_or(i64::MAX, |length| {
            fleet_began.saturating_add(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX))
        });
        Ok(Self { speed: pace.speed, fleet_began, world_began: now(), until })
    }

    /// When a tick of this time is due, in ns since 1970: not before the time itself.
    fn due(&self, time: i64) -> i64 {
        let passed = time.saturating_sub(self.fleet_began) as f64 / self.speed;
        self.world_began.saturating_add(passed as i64).max(time)
    }

    /// How long to wait for a tick of this time.
    fn wait(&self, time: i64) -> Duration {
        Duration::from_nanos(u64::try_from(self.due(time).saturating_sub(now())).unwrap_or(0))
    }

    /// The next tick when it is due; none at the end. `idle` is called once before a wait.
    fn next<E>(&self, fleet: &mut Fleet, idle: impl FnOnce() -> Result<(), E>) -> Result<Option<Tick>, E> {
        let time = fleet.now_ns();
        if time >= self.until {
            return Ok(None);
        }
        if !self.wait(time).is_zero() {
            idle()?;
            thread::sleep(self.wait(time));
        }
        Ok(Some(fleet.step()))
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Pauses that grow from attempt to attempt.
#[derive(Debug)]
struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(2);

    fn new() -> Self {
        Self(Self::FIRST)
    }

    fn pause(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (self.0 * 2).min(Self::LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FleetSpec;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn the_past_runs_at_speed_and_the_present_in_real_time() {
        // Began an hour ago, at 60 times real time.
        let now = 1_000_000 * SECOND;
        let began = now - 3600 * SECOND;
        let metronome = Metronome { speed: 60.0, fleet_began: began, world_began: now, until: i64::MAX };
        assert_eq!(metronome.due(began), now);
        assert_eq!(metronome.due(began + 60 * SECOND), now + SECOND);
        // After 61 s of the world's time the clocks meet; from then on a tick is due at its own time.
        let later = now + 600 * SECOND;
        assert_eq!(metronome.due(later), later);
        let fast = Metronome { speed: f64::INFINITY, ..metronome };
        assert_eq!(fast.due(began + 1800 * SECOND), now);
        assert_eq!(fast.due(later), later);
    }

    #[test]
    fn the_clock_stops_when_it_has_run_so_long() {
        let mut fleet = Fleet::new(FleetSpec { machines: 1, ..FleetSpec::default() });
        let pace = Pace { speed: f64::INFINITY, run_for: Some(Duration::from_secs(5)) };
        let metronome = Metronome::start(&fleet, &pace).unwrap();
        let mut ticks = 0;
        while metronome.next(&mut fleet, || Ok::<(), ()>(())).unwrap().is_some() {
            ticks += 1;
        }
        assert_eq!(ticks, 5);
        for speed in [0.0, -1.0, f64::NAN] {
            let error = Metronome::start(&fleet, &Pace { speed, run_for: None }).unwrap_err();
            assert!(error.to_string().contains("above 0"), "{error}");
        }
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.pause(), Backoff::FIRST);
        assert_eq!(backoff.pause(), 2 * Backoff::FIRST);
        for _ in 0..20 {
            backoff.pause();
        }
        assert_eq!(backoff.pause(), Backoff::LONGEST);
    }
}
