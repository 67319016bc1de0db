//! Publishes the readings of a fleet at a given pace.

mod http;
mod mqtt;

use std::{
    thread,
    time::{Duration, SystemTime},
};

pub use http::publish_http;
pub use mqtt::publish_mqtt;

use crate::fleet::{Fleet, Tick};

/// How long to retry while the server cannot be reached.
const UNREACHABLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The speed and the duration of a simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Speed relative to real time while the fleet's clock is in the past; above 0. Infinity means as fast as possible.
    /// Once the fleet's clock reaches the present, it runs in real time.
    pub speed: f64,
    /// Simulated time after which to stop; `None` means never.
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
    /// The speed is not above 0.
    #[error("expected a speed above 0, such as 1 for real time; got {speed}")]
    InvalidSpeed {
        /// The given speed.
        speed: f64,
    },
    /// The address is invalid.
    #[error("expected an address such as {expected}; got {url:?}{hint}")]
    InvalidAddress {
        /// An example of a valid address.
        expected: &'static str,
        /// The given address.
        url: String,
        /// What to do.
        hint: &'static str,
    },
    /// The server did not answer for one minute.
    #[error("{url} could not be reached for {seconds} s: {message}; start the server there, or correct --to")]
    Unreachable {
        /// Address of the server.
        url: String,
        /// Duration of the attempts in seconds.
        seconds: u64,
        /// Error of the last attempt.
        message: String,
    },
    /// The server rejected the readings.
    #[error("{url} answered {status} instead of 202: {answer}; {sent} readings were sent before")]
    Rejected {
        /// Address of the server.
        url: String,
        /// HTTP status.
        status: u16,
        /// The start of the response body.
        answer: String,
        /// Number of readings that were accepted before.
        sent: u64,
    },
    /// The server was busy for ten minutes.
    #[error(
        "{url} was too busy for {seconds} s (last answer {status}); see its metrics, or publish at a lower --speed"
    )]
    Busy {
        /// Address of the server.
        url: String,
        /// HTTP status of the last response: 429 or 503.
        status: u16,
        /// Duration of the attempts in seconds.
        seconds: u64,
    },
}

/// Determines when each tick is due.
#[derive(Debug)]
struct Metronome {
    speed: f64,
    /// Start of the fleet's clock and of real time, in ns since 1970.
    fleet_start: i64,
    real_start: i64,
    /// The simulation stops before this time of the fleet's clock, in ns since 1970.
    until: i64,
}

impl Metronome {
    fn start(fleet: &Fleet, pace: &Pace) -> Result<Self, PublishError> {
        if pace.speed.is_nan() || pace.speed <= 0.0 {
            return Err(PublishError::InvalidSpeed { speed: pace.speed });
        }
        let fleet_began = fleet.now_ns();
        let until = pace.run_for.map_or(i64::MAX, |length| {
            fleet_began.saturating_add(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX))
        });
        Ok(Self { speed: pace.speed, fleet_start: fleet_began, real_start: now(), until })
    }

    /// The real time at which a tick with this simulated time is due, in ns since 1970. Never before the simulated
    /// time.
    fn due_at(&self, time: i64) -> i64 {
        let elapsed = time.saturating_sub(self.fleet_start) as f64 / self.speed;
        self.real_start.saturating_add(elapsed as i64).max(time)
    }

    /// How long to wait until a tick with this simulated time is due.
    fn time_until_due(&self, time: i64) -> Duration {
        Duration::from_nanos(u64::try_from(self.due_at(time).saturating_sub(now())).unwrap_or(0))
    }

    /// Waits until the next tick is due and returns it, or `None` at the end. Calls `idle` once before it waits.
    fn next_tick<E>(&self, fleet: &mut Fleet, idle: impl FnOnce() -> Result<(), E>) -> Result<Option<Tick>, E> {
        let time = fleet.now_ns();
        if time >= self.until {
            return Ok(None);
        }
        if !self.time_until_due(time).is_zero() {
            idle()?;
            thread::sleep(self.time_until_due(time));
        }
        Ok(Some(fleet.step()))
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Delays that double from attempt to attempt, up to a maximum.
#[derive(Debug)]
struct Backoff(Duration);

impl Backoff {
    const FIRST_DELAY: Duration = Duration::from_millis(50);
    const MAX_DELAY: Duration = Duration::from_secs(2);

    fn new() -> Self {
        Self(Self::FIRST_DELAY)
    }

    fn next_delay(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (self.0 * 2).min(Self::MAX_DELAY);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FleetSpec;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn the_past_runs_at_the_given_speed_and_the_present_in_real_time() {
        // The simulation starts one hour in the past, at 60 times real time.
        let now = 1_000_000 * SECOND;
        let began = now - 3600 * SECOND;
        let metronome = Metronome { speed: 60.0, fleet_start: began, real_start: now, until: i64::MAX };
        assert_eq!(metronome.due_at(began), now);
        assert_eq!(metronome.due_at(began + 60 * SECOND), now + SECOND);
        // After 61 s of real time the clocks meet; from then on a tick is due at its own time.
        let later = now + 600 * SECOND;
        assert_eq!(metronome.due_at(later), later);
        let fast = Metronome { speed: f64::INFINITY, ..metronome };
        assert_eq!(fast.due_at(began + 1800 * SECOND), now);
        assert_eq!(fast.due_at(later), later);
    }

    #[test]
    fn the_clock_stops_after_run_for() {
        let mut fleet = Fleet::new(FleetSpec { machines: 1, ..FleetSpec::default() });
        let pace = Pace { speed: f64::INFINITY, run_for: Some(Duration::from_secs(5)) };
        let metronome = Metronome::start(&fleet, &pace).unwrap();
        let mut ticks = 0;
        while metronome.next_tick(&mut fleet, || Ok::<(), ()>(())).unwrap().is_some() {
            ticks += 1;
        }
        assert_eq!(ticks, 5);
        for speed in [0.0, -1.0, f64::NAN] {
            let error = Metronome::start(&fleet, &Pace { speed, run_for: None }).unwrap_err();
            assert!(error.to_string().contains("above 0"), "{error}");
        }
    }

    #[test]
    fn delays_grow_to_a_maximum() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.next_delay(), Backoff::FIRST_DELAY);
        assert_eq!(backoff.next_delay(), 2 * Backoff::FIRST_DELAY);
        for _ in 0..20 {
            backoff.next_delay();
        }
        assert_eq!(backoff.next_delay(), Backoff::MAX_DELAY);
    }
}
