//! The state of one sensor: its readings that may still belong to an open window.

use serde::{Deserialize, Serialize};

use crate::{
    config::{SensorProperties, WindowRules, WindowTimes},
    pace,
};

/// Number of waveforms whose start and hash are kept, to recognise repeats.
const MAX_KNOWN_WAVEFORMS: usize = 64;
/// Number of readings behind the watermark that are kept, to recognise duplicates early. The edge host's store recognises
/// older ones.
const READINGS_BEHIND_WATERMARK: usize = 32;
/// Limit for the number of readings of a sensor.
const MAX_READINGS: usize = 1 << 18;

/// The outcome of adding a reading or a waveform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InsertOutcome {
    /// It counts in all its windows.
    OnTime,
    /// It is behind the watermark, or the state is full: windows may not contain it.
    Late,
    /// It is identical to an earlier one.
    Repeated,
    /// It has the time of an earlier one, and another value.
    Conflict,
}

/// Minimum of the limit for the relative change of the usual rate per window.
const MIN_RATE_CHANGE_LIMIT: f64 = 1e-4;
/// The limit for the relative change of the usual rate per window is this over the number of windows seen.
const RATE_CHANGE_LIMIT: f64 = 0.5;

/// The readings of a sensor in order of time, and the state of its windows. Times are in nanoseconds since 1970.
///
/// Snapshots contain the fields in this order, without their names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SensorState {
    pub(crate) name: Box<str>,
    pub(crate) asset: Box<str>,
    times: Vec<i64>,
    values: Vec<f64>,
    /// The watermark plus the lateness: the maximum over all readings of the time or the arrival, whichever is earlier.
    watermark_base: i64,
    /// Number of the window after the last closed one.
    next_unclosed: i64,
    /// Number of the first open window with readings; `i64::MAX` if there is none.
    next_open: i64,
    /// Start and hash of the latest waveforms.
    known_waveforms: Vec<(i64, u64)>,
    /// Whether no reading was added since the last tick.
    pub(crate) is_idle: bool,
    /// Time of the earliest reading so far.
    earliest: i64,
    /// The usual rate of readings, in Hz; NaN if unknown.
    usual_rate: f64,
    /// Number of windows that the usual rate was learned from.
    rate_windows: u16,
    /// The windows are so many times as long as the shortest.
    factor: u32,
    /// From the configuration; not part of the snapshot.
    #[serde(skip)]
    pub(crate) properties: SensorProperties,
}

/// Returns the number of the first window that contains the time: the smallest k with k · slide + size > time.
fn first_window(time: i64, rules: &WindowTimes) -> i64 {
    time.saturating_sub(rules.size).div_euclid(rules.slide).saturating_add(1)
}

/// A window that closes, with its readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClosedWindow<'a> {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    /// The configured rate, else the rate of this window, in Hz.
    pub(crate) rate: f64,
    /// The expected rate in Hz: the configured one, else the usual rate before this window. NaN if unknown, or if the
    /// window began before the sensor's first reading.
    pub(crate) expected_rate: f64,
}

/// Returns the mean rate between the first and the last reading, in Hz; NaN for fewer than two times.
#[allow(clippy::cast_precision_loss, reason = "counts and spans")]
fn sampling_rate(times: &[i64]) -> f64 {
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if last > first => (times.len() - 1) as f64 / ((last - first) as f64 / 1e9),
        _ => f64::NAN,
    }
}

impl SensorState {
    pub(crate) fn new(name: &str, asset: &str, about: SensorProperties) -> Self {
        Self {
            name: name.into(),
            asset: asset.into(),
            times: Vec::new(),
            values: Vec::new(),
            watermark_base: i64::MIN,
            next_unclosed: i64::MIN,
            next_open: i64::MAX,
            known_waveforms: Vec::new(),
            is_idle: false,
            earliest: i64::MAX,
            usual_rate: f64::NAN,
            rate_windows: 0,
            factor: 1,
            properties: about,
        }
    }

    /// The windows of this sensor.
    pub(crate) fn window_times(&self, rules: &WindowRules) -> WindowTimes {
        rules.shortest.times(self.factor.into())
    }

    /// Makes the windows of a slow sensor longer, before the next one closes.
    fn lengthen(&mut self, rules: &WindowRules) {
        let needed = pace::factor(&self.times, rules.shortest.size);
        if rules.follows_rate && needed > self.factor {
            self.set_factor(needed, rules);
        }
    }

    /// Makes the windows of a sensor shorter that has become faster, as soon as the open window has far more readings
    /// than needed.
    fn shorten(&mut self, rules: &WindowRules) {
        if self.factor == 1 || self.next_open == i64::MAX {
            return;
        }
        let start = self.next_open.saturating_mul(self.window_times(rules).slide);
        let readings = self.times.len() - self.times.partition_point(|&time| time < start);
        let needed = pace::factor(&self.times, rules.shortest.size);
        if pace::is_too_many(readings) && needed < self.factor {
            self.set_factor(needed, rules);
        }
    }

    /// Changes the length of the windows. No window begins before one that was closed.
    pub(crate) fn set_factor(&mut self, factor: u32, rules: &WindowRules) {
        let old = self.window_times(rules);
        self.factor = factor;
        let new = self.window_times(rules);
        if self.next_unclosed != i64::MIN {
            let boundary = self.next_unclosed.saturating_mul(old.slide);
            self.next_unclosed = boundary.saturating_add(new.slide - 1).div_euclid(new.slide);
        }
        if self.next_open != i64::MAX {
            self.next_open = self.first_window_from(self.next_unclosed.max(i64::MIN / new.slide), &new);
        }
    }

    /// Adds a reading. `time` and `arrival` are in nanoseconds since 1970.
    pub(crate) fn insert_reading(&mut self, time: i64, value: f64, arrival: i64, rules: &WindowTimes) -> InsertOutcome {
        self.is_idle = false;
        let watermark = self.watermark(rules);
        let late = time < watermark;
        let index = match self.times.last() {
            Some(&last) if time <= last => match self.times.binary_search(&time) {
                Ok(index) if self.values.get(index).is_some_and(|known| known.to_bits() == value.to_bits()) => {
                    return InsertOutcome::Repeated;
                }
                Ok(_) => return InsertOutcome::Conflict,
                Err(index) => index,
            },
            _ => self.times.len(),
        };
        // A clock that is ahead advances the watermark at most to the arrival, so that it makes no later reading late.
        self.watermark_base = self.watermark_base.max(time.min(arrival));
        if late && index == 0 && self.times.len() >= READINGS_BEHIND_WATERMARK {
            return InsertOutcome::Late;
        }
        let mut index = index;
        if self.times.len() >= MAX_READINGS {
            match self.evict(index, rules) {
                Some(shifted) => index = shifted,
                None => return InsertOutcome::Late,
            }
        }
        if index == self.times.len() {
            self.times.push(time);
            self.values.push(value);
        } else {
            self.times.insert(index, time);
            self.values.insert(index, value);
        }
        self.earliest = self.earliest.min(time);
        // All windows of a reading may be closed: if it is late, or if a tick closed the windows of a silent sensor. A
        // window behind the watermark must not be opened: it would close immediately, with only this reading.
        let mut open = first_window(time, rules).max(self.next_unclosed);
        if late {
            open = open.max(first_window(watermark, rules));
        }
        if time >= open.saturating_mul(rules.slide) {
            self.next_open = self.next_open.min(open);
        }
        if late { InsertOutcome::Late } else { InsertOutcome::OnTime }
    }

    /// Removes readings so that one can be added at `index`: those in no open window, else the newest, which is from a
    /// clock that is ahead. Returns the shifted index, or None if the new reading would be the newest itself.
    fn evict(&mut self, index: usize, rules: &WindowTimes) -> Option<usize> {
        let before = self.times.len();
        let needed = if self.next_open == i64::MAX { i64::MAX } else { self.next_open.saturating_mul(rules.slide) };
        self.trim(needed, rules);
        let removed = before - self.times.len();
        if removed > 0 {
            return Some(index.saturating_sub(removed));
        }
        if index >= self.times.len() {
            return None;
        }
        self.times.pop();
        self.values.pop();
        Some(index)
    }

    fn watermark(&self, rules: &WindowTimes) -> i64 {
        self.watermark_base.saturating_sub(rules.lateness)
    }

    /// Adds the start and the hash of a waveform.
    pub(crate) fn insert_waveform(&mut self, start: i64, hash: u64) -> InsertOutcome {
        match self.known_waveforms.iter().find(|(known, _)| *known == start) {
            // A hash of 0 is unknown: the waveform is from a snapshot of version 2.
            Some((_, known)) if *known == hash || *known == 0 => return InsertOutcome::Repeated,
            Some(_) => return InsertOutcome::Conflict,
            None => {}
        }
        if self.known_waveforms.len() >= MAX_KNOWN_WAVEFORMS {
            self.known_waveforms.remove(0);
        }
        self.known_waveforms.push((start, hash));
        InsertOutcome::OnTime
    }

    /// Returns whether there is an open window with readings.
    pub(crate) fn has_open_window(&self) -> bool {
        self.next_open != i64::MAX
    }

    /// Closes and returns the next window whose end the watermark has reached. Each window is returned once.
    #[inline]
    pub(crate) fn close_due(&mut self, rules: &WindowRules) -> Option<ClosedWindow<'_>> {
        let is_due = |sensor: &Self| {
            let times = sensor.window_times(rules);
            // Without readings this is `i64::MAX`, which no watermark reaches.
            sensor.next_open.saturating_mul(times.slide).saturating_add(times.size) <= sensor.watermark(&times)
        };
        self.shorten(rules);
        if !is_due(self) {
            return None;
        }
        self.lengthen(rules);
        if is_due(self) { self.close_next(i64::MAX, rules) } else { None }
    }

    /// Closes and returns the next window with readings, regardless of the watermark, if none of its readings is after
    /// `now`. So the readings of a clock that is ahead stay in their window until their time, together with later ones.
    ///
    /// A window of a slow sensor is not closed before its end either: between two ticks such a sensor sends nothing.
    pub(crate) fn force_close(&mut self, now: i64, rules: &WindowRules) -> Option<ClosedWindow<'_>> {
        self.lengthen(rules);
        let times = self.window_times(rules);
        let end = self.next_open.saturating_mul(times.slide).saturating_add(times.size);
        if self.factor > 1 && end > now.saturating_sub(if now == i64::MAX { 0 } else { times.lateness }) {
            return None;
        }
        self.close_next(now, rules)
    }

    fn close_next(&mut self, now: i64, rules: &WindowRules) -> Option<ClosedWindow<'_>> {
        let rules = &self.window_times(rules);
        let (start, low, high) = loop {
            if self.next_open == i64::MAX {
                return None;
            }
            let start = self.next_open.saturating_mul(rules.slide);
            self.trim(start, rules);
            let low = self.times.partition_point(|&time| time < start);
            // The end of a window beyond the range of a time is not bounded.
            let end = start.checked_add(rules.size);
            let high = self.times.partition_point(|&time| end.is_none_or(|end| time < end));
            if high.checked_sub(1).and_then(|last| self.times.get(last)).is_some_and(|&last| last > now) {
                return None;
            }
            // Its readings may have been removed, see `evict`.
            if low == high {
                let empty = self.next_open;
                self.next_open = self.first_window_from(self.next_unclosed, rules);
                if self.next_open <= empty {
                    self.next_unclosed = empty.saturating_add(1);
                    self.next_open = self.first_window_from(self.next_unclosed, rules);
                }
                continue;
            }
            self.next_unclosed = self.next_open.saturating_add(1);
            self.next_open = self.first_window_from(self.next_unclosed, rules);
            break (start, low, high);
        };
        let (rate, usual) = self.update_usual_rate(low, high);
        let expected = if start < self.earliest { f64::NAN } else { self.properties.sampling_hz.unwrap_or(usual) };
        let end = start.saturating_add(rules.size);
        let (times, values) = (self.times.get(low..high)?, self.values.get(low..high)?);
        Some(ClosedWindow {
            start,
            end,
            times,
            values,
            rate: self.properties.sampling_hz.unwrap_or(rate),
            expected_rate: expected,
        })
    }

    /// Returns the number of the first window with readings, from `number` on; `i64::MAX` if there is none.
    fn first_window_from(&self, number: i64, rules: &WindowTimes) -> i64 {
        // There are no windows beyond the range of a time.
        if number > i64::MAX / rules.slide {
            return i64::MAX;
        }
        let start = number.saturating_mul(rules.slide);
        let first = self.times.partition_point(|&time| time < start);
        self.times.get(first).map_or(i64::MAX, |&time| first_window(time, rules).max(number))
    }

    /// Returns the rate of these readings and the usual rate before them, then moves the usual rate towards theirs.
    #[inline]
    fn update_usual_rate(&mut self, low: usize, high: usize) -> (f64, f64) {
        let rate = sampling_rate(self.times.get(low..high).unwrap_or_default());
        let usual = self.usual_rate;
        if high - low >= 3 && rate.is_finite() {
            let max_change = usual * MIN_RATE_CHANGE_LIMIT.max(RATE_CHANGE_LIMIT / f64::from(self.rate_windows.max(1)));
            // A damaged snapshot may contain any rate.
            let is_known = self.rate_windows > 0 && usual > 0.0 && usual.is_finite();
            self.usual_rate = if is_known { usual + (rate - usual).clamp(-max_change, max_change) } else { rate };
            self.rate_windows = self.rate_windows.saturating_add(1);
        }
        (rate, usual)
    }

    /// For a speed sensor: returns the speed in Hz of its newest reading up to the time. None for times before the
    /// range that is always kept, so that the result does not depend on when old readings are removed.
    pub(crate) fn shaft_speed(&self, time: i64, rules: &WindowRules) -> Option<f64> {
        let kept_since = self.speed_retention_start(&rules.shortest);
        let factor = self.properties.speed_factor.filter(|_| time >= kept_since)?;
        let after = self.times.partition_point(|&known| known <= time);
        self.values.get(after.checked_sub(1)?).map(|value| (value * factor).abs())
    }

    /// Returns the time from which the readings of a speed sensor are always kept. The last one before it is kept as
    /// well.
    fn speed_retention_start(&self, rules: &WindowTimes) -> i64 {
        self.watermark(rules).saturating_sub(rules.size)
    }

    /// Removes readings that are behind the watermark and in no open window (before `needed`), except the last
    /// [`READINGS_BEHIND_WATERMARK`] of them. Does so only if they are more than a quarter of the others: so the cost per reading is
    /// constant, and the readings of a sensor stay in the processor's cache.
    fn trim(&mut self, needed: i64, rules: &WindowTimes) {
        let before = |times: &[i64], limit: i64| times.partition_point(|&time| time < limit);
        let old = if self.properties.speed_factor.is_some() {
            before(&self.times, needed.min(self.speed_retention_start(rules))).saturating_sub(1)
        } else {
            before(&self.times, needed.min(self.watermark(rules)))
        };
        let old = old.saturating_sub(READINGS_BEHIND_WATERMARK);
        // Often enough that a sensor's readings stay in the processor's cache, seldom enough that each is moved a few times only.
        if old > (self.times.len().saturating_sub(old) / 4).max(32) {
            self.times.drain(..old);
            self.values.drain(..old);
        }
    }
}

/// The state of a sensor in the layout of snapshots of version 3, which had one length of windows.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SensorStateV3 {
    name: Box<str>,
    asset: Box<str>,
    times: Vec<i64>,
    values: Vec<f64>,
    watermark_base: i64,
    next_unclosed: i64,
    next_open: i64,
    known_waveforms: Vec<(i64, u64)>,
    is_idle: bool,
    earliest: i64,
    usual_rate: f64,
    rate_windows: u16,
}

impl From<SensorStateV3> for SensorState {
    fn from(old: SensorStateV3) -> Self {
        Self {
            name: old.name,
            asset: old.asset,
            times: old.times,
            values: old.values,
            watermark_base: old.watermark_base,
            next_unclosed: old.next_unclosed,
            next_open: old.next_open,
            known_waveforms: old.known_waveforms,
            is_idle: old.is_idle,
            earliest: old.earliest,
            usual_rate: old.usual_rate,
            rate_windows: old.rate_windows,
            factor: 1,
            properties: SensorProperties::default(),
        }
    }
}

/// The state of a sensor in the layout of snapshots of version 2.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SensorStateV2 {
    name: Box<str>,
    asset: Box<str>,
    times: Vec<i64>,
    values: Vec<f64>,
    newest: i64,
    next_unclosed: i64,
    next_open: i64,
    waveforms: Vec<i64>,
    idle: bool,
    earliest: i64,
    usual_rate: f64,
    rate_windows: u16,
}

impl From<SensorStateV2> for SensorState {
    fn from(old: SensorStateV2) -> Self {
        Self {
            name: old.name,
            asset: old.asset,
            times: old.times,
            values: old.values,
            watermark_base: old.newest,
            next_unclosed: old.next_unclosed,
            next_open: old.next_open,
            known_waveforms: old.waveforms.into_iter().map(|start| (start, 0)).collect(),
            is_idle: old.idle,
            earliest: old.earliest,
            usual_rate: old.usual_rate,
            rate_windows: old.rate_windows,
            factor: 1,
            properties: SensorProperties::default(),
        }
    }
}
