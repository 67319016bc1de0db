//! One sensor's readings that may still fall into an open window.

use serde::{Deserialize, Serialize};

use crate::config::{About, Rules};

/// Bursts that are remembered, to know one that is sent again.
const BURSTS: usize = 64;
/// Readings behind the watermark that are kept, so that one that is sent again is known.
const REMEMBERED: usize = 256;
/// Readings of a sensor that are kept, at most.
const MOST_READINGS: usize = 1 << 18;

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is in its windows.
    InTime,
    /// It came behind the watermark, or there is no room for it: windows may lack it.
    Late,
    /// It is there already.
    Repeated,
    /// Another value of that time is there.
    Conflict,
}

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
    /// The watermark is this less the lateness: the newest time, or the latest arrival of a reading that was ahead of it.
    mark: i64,
    /// Number of the window after the last one closed.
    done: i64,
    /// Number of the first window that has readings and is open; without readings it says nothing.
    next: i64,
    /// Starts of the latest bursts, and the hash of each.
    bursts: Vec<(i64, u64)>,
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
            mark: i64::MIN,
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

    /// Takes a reading in, which came at `arrival`.
    pub(crate) fn insert(&mut self, time: i64, value: f64, arrival: i64, rules: &Rules) -> Taken {
        self.idle = false;
        let watermark = self.watermark(rules);
        let late = time < watermark;
        let place = match self.times.last() {
            Some(&last) if time <= last => match self.times.binary_search(&time) {
                Ok(place) if self.values.get(place).is_some_and(|kept| kept.to_bits() == value.to_bits()) => {
                    return Taken::Repeated;
                }
                Ok(_) => return Taken::Conflict,
                Err(place) => place,
            },
            _ => self.times.len(),
        };
        // A clock that is ahead moves the watermark to the arrival, not beyond: what comes after it is not late by that.
        self.mark = self.mark.max(time.min(arrival));
        if late && place == 0 && self.times.len() >= REMEMBERED {
            return Taken::Late;
        }
        let mut place = place;
        if self.times.len() >= MOST_READINGS {
            match self.make_room(place, rules) {
                Some(room) => place = room,
                None => return Taken::Late,
            }
        }
        if place == self.times.len() {
            self.times.push(time);
            self.values.push(value);
        } else {
            self.times.insert(place, time);
            self.values.insert(place, value);
        }
        self.first = self.first.min(time);
        // A reading may be in no window that is open: where it is late, or a tick closed the windows of a silent sensor. One
        // behind the watermark must not be opened for it: it would close at once, with this reading alone.
        let mut open = first_window(time, rules).max(self.done);
        if late {
            open = open.max(first_window(watermark, rules));
        }
        if time >= open.saturating_mul(rules.slide) {
            self.next = self.next.min(open);
        }
        if late { Taken::Late } else { Taken::InTime }
    }

    /// Makes room for a reading at `place`: what is in no open window goes, or else the newest, which a clock that is ahead sent.
    /// Gives the place then; none where the reading itself is the newest.
    fn make_room(&mut self, place: usize, rules: &Rules) -> Option<usize> {
        let before = self.times.len();
        let needed = if self.next == i64::MAX { i64::MAX } else { self.next.saturating_mul(rules.slide) };
        self.trim(needed, rules);
        let gone = before - self.times.len();
        if gone > 0 {
            return Some(place.saturating_sub(gone));
        }
        if place >= self.times.len() {
            return None;
        }
        self.times.pop();
        self.values.pop();
        Some(place)
    }

    fn watermark(&self, rules: &Rules) -> i64 {
        self.mark.saturating_sub(rules.lateness)
    }

    /// Notes a burst.
    pub(crate) fn burst(&mut self, start: i64, hash: u64) -> Taken {
        match self.bursts.iter().find(|(known, _)| *known == start) {
            // Of snapshots of earlier versions the hash is not known.
            Some((_, known)) if *known == hash || *known == 0 => return Taken::Repeated,
            Some(_) => return Taken::Conflict,
            None => {}
        }
        if self.bursts.len() >= BURSTS {
            self.bursts.remove(0);
        }
        self.bursts.push((start, hash));
        Taken::InTime
    }

    /// Whether there is a window that [`Self::force_close`] would give.
    pub(crate) fn waits(&self) -> bool {
        self.next != i64::MAX
    }

    /// The next window that the watermark has passed; each is given once.
    #[inline]
    pub(crate) fn close(&mut self, rules: &Rules) -> Option<Window<'_>> {
        // Without a reading `next` is the largest number and no watermark passes it.
        let end = self.next.saturating_mul(rules.slide).saturating_add(rules.size);
        if end > self.watermark(rules) { None } else { self.take_next(i64::MAX, rules) }
    }

    /// The next window with readings, wherever the watermark is, if all its readings are of `now` or before: what a clock that is
    /// ahead sent waits until then, with whatever else comes for its window.
    pub(crate) fn force_close(&mut self, now: i64, rules: &Rules) -> Option<Window<'_>> {
        self.take_next(now, rules)
    }

    fn take_next(&mut self, now: i64, rules: &Rules) -> Option<Window<'_>> {
        let (start, low, high) = loop {
            if self.next == i64::MAX {
                return None;
            }
            let start = self.next.saturating_mul(rules.slide);
            self.trim(start, rules);
            let low = self.times.partition_point(|&time| time < start);
            // A window that reaches beyond what a time can be has no end.
            let end = start.checked_add(rules.size);
            let high = self.times.partition_point(|&time| end.is_none_or(|end| time < end));
            if high.checked_sub(1).and_then(|last| self.times.get(last)).is_some_and(|&last| last > now) {
                return None;
            }
            // Its readings may have had to make room.
            if low == high {
                let empty = self.next;
                self.next = self.open_from(self.done, rules);
                if self.next <= empty {
                    self.done = empty.saturating_add(1);
                    self.next = self.open_from(self.done, rules);
                }
                continue;
            }
            self.done = self.next.saturating_add(1);
            self.next = self.open_from(self.done, rules);
            break (start, low, high);
        };
        let (rate, usual) = self.learn(low, high);
        let expected = if start < self.first { f64::NAN } else { self.about.rate.unwrap_or(usual) };
        let (times, values) = (self.times.get(low..high)?, self.values.get(low..high)?);
        Some(Window { start, times, values, rate: self.about.rate.unwrap_or(rate), expected })
    }

    /// The first window from number `done` on that has readings.
    fn open_from(&self, done: i64, rules: &Rules) -> i64 {
        // Beyond what a time can be there are no windows.
        if done > i64::MAX / rules.slide {
            return i64::MAX;
        }
        let after = done.saturating_mul(rules.slide);
        let rest = self.times.partition_point(|&time| time < after);
        self.times.get(rest).map_or(i64::MAX, |&time| first_window(time, rules).max(done))
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
        self.watermark(rules).saturating_sub(rules.size)
    }

    /// Cuts off readings that are in no open window and older than any that is not late, but for the last of them, when they
    /// are more than a quarter of what is kept.
    fn trim(&mut self, needed: i64, rules: &Rules) {
        let before = |times: &[i64], kept: i64| times.partition_point(|&time| time < kept);
        let old = if self.about.speed.is_some() {
            before(&self.times, needed.min(self.speeds_from(rules))).saturating_sub(1)
        } else {
            before(&self.times, needed.min(self.watermark(rules)))
        };
        let old = old.saturating_sub(REMEMBERED);
        // Often enough that a sensor's readings stay in the processor's cache, seldom enough that each is moved a few times only.
        if old > (self.times.len().saturating_sub(old) / 4).max(32) {
            self.times.drain(..old);
            self.values.drain(..old);
        }
    }
}

/// A sensor as snapshots of version 2 hold it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Version2 {
    name: Box<str>,
    asset: Box<str>,
    times: Vec<i64>,
    values: Vec<f64>,
    newest: i64,
    done: i64,
    next: i64,
    bursts: Vec<i64>,
    idle: bool,
    first: i64,
    usual: f64,
    learned: u16,
}

impl From<Version2> for Sensor {
    fn from(before: Version2) -> Self {
        let Version2 { name, asset, times, values, newest, done, next, bursts, idle, first, usual, learned } = before;
        let bursts = bursts.into_iter().map(|start| (start, 0)).collect();
        let about = About::default();
        Self { name, asset, times, values, mark: newest, done, next, bursts, idle, first, usual, learned, about }
    }
}
