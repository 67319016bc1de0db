//! One sensor's readings that may still fall into an open window.

use serde::{Deserialize, Serialize};

use crate::{config::Rules, featurizer::RefusedReason};

/// Bursts whose start is remembered, to know a duplicate.
const BURSTS: usize = 64;

/// Readings in order of time; a window that may close next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sensor {
    pub(crate) name: Box<str>,
    pub(crate) asset: Box<str>,
    times: Vec<i64>,
    values: Vec<f64>,
    newest: i64,
    /// Number of the window after the last one closed.
    done: i64,
    /// Number of the first window that has readings and is open; without readings it says nothing.
    next: i64,
    /// Starts of the latest bursts.
    bursts: Vec<i64>,
    pub(crate) idle: bool,
    /// Samples a second, where configured, in Hz; from the configuration, not the snapshot.
    #[serde(skip)]
    pub(crate) rate: Option<f64>,
}

/// The first window that holds the time: the smallest k with k · slide + size > time.
fn first_window(time: i64, rules: &Rules) -> i64 {
    time.saturating_sub(rules.size).div_euclid(rules.slide).saturating_add(1)
}

/// Start, times, values, and the configured sampling rate in Hz.
pub(crate) type Window<'a> = (i64, &'a [i64], &'a [f64], Option<f64>);

impl Sensor {
    pub(crate) fn new(name: &str, asset: &str) -> Self {
        Self {
            name: name.into(),
            asset: asset.into(),
            times: Vec::new(),
            values: Vec::new(),
            newest: i64::MIN,
            done: i64::MIN,
            next: i64::MAX,
            bursts: Vec::new(),
            idle: false,
            rate: None,
        }
    }

    /// Takes a reading in.
    pub(crate) fn insert(&mut self, time: i64, value: f64, rules: &Rules) -> Result<(), RefusedReason> {
        self.idle = false;
        if time > self.newest {
            self.newest = time;
            self.times.push(time);
            self.values.push(value);
        } else {
            if time < self.newest.saturating_sub(rules.lateness) {
                return Err(RefusedReason::Late { behind: self.newest.saturating_sub(time) });
            }
            match self.times.binary_search(&time) {
                Ok(_) => return Err(RefusedReason::Duplicate),
                Err(place) => {
                    self.times.insert(place, time);
                    self.values.insert(place, value);
                }
            }
        }
        // After a tick closed the windows of a sensor that was silent, a reading may be in none that is open.
        if time >= self.done.saturating_mul(rules.slide) {
            self.next = self.next.min(first_window(time, rules).max(self.done));
        }
        Ok(())
    }

    /// Notes a burst; false when its start is known.
    pub(crate) fn burst(&mut self, start: i64) -> bool {
        if self.bursts.contains(&start) {
            return false;
        }
        if self.bursts.len() == BURSTS {
            self.bursts.remove(0);
        }
        self.bursts.push(start);
        true
    }

    /// The next window that the watermark has passed; each is given once.
    #[inline]
    pub(crate) fn close(&mut self, rules: &Rules) -> Option<Window<'_>> {
        // Without a reading `next` is the largest number and no watermark passes it.
        let end = self.next.saturating_mul(rules.slide).saturating_add(rules.size);
        if end > self.newest.saturating_sub(rules.lateness) { None } else { self.take_next(rules) }
    }

    /// The next window with readings, wherever the watermark is.
    pub(crate) fn force_close(&mut self, rules: &Rules) -> Option<Window<'_>> {
        self.take_next(rules)
    }

    fn take_next(&mut self, rules: &Rules) -> Option<Window<'_>> {
        if self.next == i64::MAX {
            return None;
        }
        let start = self.next.saturating_mul(rules.slide);
        let end = start.saturating_add(rules.size);
        self.trim(start, rules);
        let low = self.times.partition_point(|&time| time < start);
        let high = self.times.partition_point(|&time| time < end);
        self.done = self.next + 1;
        let after = self.done.saturating_mul(rules.slide);
        let rest = self.times.partition_point(|&time| time < after);
        self.next = self.times.get(rest).map_or(i64::MAX, |&time| first_window(time, rules).max(self.done));
        Some((start, self.times.get(low..high)?, self.values.get(low..high)?, self.rate))
    }

    /// Cuts off readings that are in no open window and older than any duplicate that is not late, when they are most of
    /// all: so each is moved about once.
    fn trim(&mut self, needed: i64, rules: &Rules) {
        let kept = needed.min(self.newest.saturating_sub(rules.lateness));
        let old = self.times.partition_point(|&time| time < kept);
        if old > self.times.len() / 2 {
            self.times.drain(..old);
            self.values.drain(..old);
        }
    }
}
