//! One sensor's readings that may still fall into an open window.

use serde::{Deserialize, Serialize};

use crate::{
    config::{About, Rules},
    featurizer::RefusedReason,
};

/// Bursts whose start is remembered, to know a duplicate.
const BURSTS: usize = 64;

/// A sensor's usual rate moves by at most this share a window, once it is known ...
const DRIFT: f64 = 1e-4;
/// ... and by at most this share over the number of windows seen, before.
const LEARNING: f64 = 0.5;

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
    /// Time of the earliest reading of all.
    first: i64,
    /// Readings a second that are usual, in Hz; NaN while not known.
    usual: f64,
    /// Windows that it was learned from.
    learned: u16,
    /// From the configuration, not the snapshot.
    #[serde(skip)]
    pub(crate) about: About,
}

/// The first window that holds the time: the smallest k with k · slide + size > time.
fn first_window(time: i64, rules: &Rules) -> i64 {
    time.saturating_sub(rules.size).div_euclid(rules.slide).saturating_add(1)
}

/// A window that closes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) start: i64,
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    /// Readings a second, in Hz: as configured, else as in this window.
    pub(crate) rate: f64,
    /// Readings a second that should be there: as configured, else as was usual in the windows before. NaN when not
    /// known, or when the window began before the sensor's first reading.
    pub(crate) expected: f64,
}

/// Readings a second between the first and the last, in Hz.
#[allow(clippy::cast_precision_loss, reason = "counts and spans")]
fn sampling_rate(times: &[i64]) -> f64 {
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if last > first => (times.len() - 1) as f64 / ((last - first) as f64 / 1e9),
        _ => f64::NAN,
    }
}

impl Sensor {
    pub(crate) fn new(name: &str, asset: &str, about: About) -> Self {
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
            first: i64::MAX,
            usual: f64::NAN,
            learned: 0,
            about,
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
        self.first = self.first.min(time);
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
        let (rate, usual) = self.learn(low, high);
        let expected = if start < self.first { f64::NAN } else { self.about.rate.unwrap_or(usual) };
        let (times, values) = (self.times.get(low..high)?, self.values.get(low..high)?);
        Some(Window { start, times, values, rate: self.about.rate.unwrap_or(rate), expected })
    }

    /// The rate of these readings, and the usual rate before them; then the usual one moves towards theirs.
    #[inline]
    fn learn(&mut self, low: usize, high: usize) -> (f64, f64) {
        let rate = sampling_rate(self.times.get(low..high).unwrap_or_default());
        let usual = self.usual;
        if high - low >= 3 && rate.is_finite() {
            let most = usual * DRIFT.max(LEARNING / f64::from(self.learned.max(1)));
            self.usual = if self.learned == 0 { rate } else { usual + (rate - usual).clamp(-most, most) };
            self.learned = self.learned.saturating_add(1);
        }
        (rate, usual)
    }

    /// The speed that the newest reading up to the time says, in Hz, for a speed sensor. None for times further back than
    /// what is kept in any case, so that it does not depend on what is kept by chance.
    pub(crate) fn speed(&self, time: i64, rules: &Rules) -> Option<f64> {
        let factor = self.about.speed.filter(|_| time >= self.speeds_from(rules))?;
        let after = self.times.partition_point(|&kept| kept <= time);
        self.values.get(after.checked_sub(1)?).map(|value| (value * factor).abs())
    }

    /// From here on a speed sensor's readings are kept, and the one before.
    fn speeds_from(&self, rules: &Rules) -> i64 {
        self.newest.saturating_sub(rules.lateness).saturating_sub(rules.size)
    }

    /// Cuts off readings that are in no open window and older than any duplicate that is not late, when they are most of
    /// all: so each is moved about once.
    fn trim(&mut self, needed: i64, rules: &Rules) {
        let before = |times: &[i64], kept: i64| times.partition_point(|&time| time < kept);
        let old = if self.about.speed.is_some() {
            before(&self.times, needed.min(self.speeds_from(rules))).saturating_sub(1)
        } else {
            before(&self.times, needed.min(self.newest.saturating_sub(rules.lateness)))
        };
        if old > self.times.len() / 2 {
            self.times.drain(..old);
            self.values.drain(..old);
        }
    }
}
