//! Faults of a sensor itself, apart from those of its machine: stuck, dropouts, spikes, clipping, noise, a step.
//!
//! What a sensor does while it is well is learnt: how many equal readings in a row it sends, how often it has spikes or
//! stands at its highest value, how far its level moves from window to window. A fault is several times that.

use serde::{Deserialize, Serialize};

use super::track::{Reading, Track};
use crate::sensor_kind::SensorKind;

/// A run of equal readings is a fault from this many times the longest that ended by itself, and from this many
/// readings, in this many windows.
const STUCK: (f64, f64, f64) = (4.0, 12.0, 3.0);
/// A sensor whose windows usually have runs of this share of their readings has coarse steps; it is stuck only after so
/// many seconds.
const COARSE: (f64, f64) = (0.3, 43_200.0);
/// Before a sensor was watched for so many windows its runs are hardly known: the limits are three times as high.
const KNOWN_WINDOWS: f64 = 120.0;
/// A sensor that misses this share of its readings in this many consecutive windows has dropouts.
const DROPOUT: (f64, u32) = (0.2, 3);
/// Dropouts end after so many windows without missing readings.
const COMPLETE: u32 = 12;
/// With fewer usual readings per window, missing readings are not counted.
const MIN_COUNTED_READINGS: f64 = 10.0;
/// A sensor is silent after so many windows, if it was present in so many before.
const SILENT: (u32, u32) = (3, 10);
/// A reading that is so many quartile distances out is a spike.
const SPIKE: f64 = 10.0;
/// Share of the windows with spikes, or at the highest value, from which the sensor is faulty; and the factor on the
/// share that was learnt.
const BAD_SHARE: (f64, f64) = (0.4, 2.0);
/// Weight of a window in these shares.
const SHARE_GAIN: f64 = 0.05;
/// Fewest readings of a window whose quartiles say something.
const QUARTILE_READINGS: u32 = 8;
/// A temperature that moves so many times as far as ever before from one window to the next has not moved itself.
const STEP: f64 = 6.0;
/// A step is a fault after it has lasted for so many windows; it lasts while half of it is left.
const STEP_WINDOWS: f64 = 2.0;

/// A fault of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SensorFault {
    Stuck,
    Dropout,
    Spikes,
    Clipping,
    Noise,
    Step,
}

impl SensorFault {
    /// Name of the fault mode.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Stuck => "sensor-stuck",
            Self::Dropout => "sensor-dropout",
            Self::Spikes => "sensor-spikes",
            Self::Clipping => "sensor-clipping",
            Self::Noise => "sensor-noise",
            Self::Step => "sensor-step",
        }
    }

    /// What the sensor does.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Stuck => "sends the same value again and again, longer than ever before, while other sensors move",
            Self::Dropout => "misses readings in consecutive windows while other sensors send theirs",
            Self::Spikes => "has single readings far from all others in most windows",
            Self::Clipping => "stands at the end of its range in most windows",
            Self::Noise => "scatters more than a temperature can, while its mean and the other sensors are as expected",
            Self::Step => "moved faster than a temperature can, while the other sensors are as expected",
        }
    }
}

/// The state of one sensor; see the module documentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Health {
    windows: f64,
    /// Equal readings and windows in the present run, and readings in the longest run that ended.
    run: (f64, f64),
    run_seconds: f64,
    longest_run: f64,
    /// Usual length of the longest run in a window, as a share of its readings.
    repeats: f64,
    last_value: f64,
    /// Consecutive windows with missing readings, and without any; windows with readings.
    few: u32,
    /// Consecutive windows without missing readings.
    complete: u32,
    absent: u32,
    present: u32,
    /// Share of windows with spikes and at the end of the range, now and learnt.
    spikes: (f64, f64),
    clipping: (f64, f64),
    /// Level of the last window, and the largest change learnt.
    last_level: f64,
    largest_change: f64,
    /// A larger change that lasts, 0 for none, and the windows for which it has lasted.
    step: f64,
    step_windows: f64,
    /// The fault that the deviations showed in the last window.
    by_deviation: Option<SensorFault>,
}

/// What the other sensors of the asset do in the same window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Others {
    /// One of them sends its usual readings.
    pub(crate) send: bool,
    /// One of them moves.
    pub(crate) moves: bool,
}

/// How a sensor deviates from what is expected of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deviations {
    /// Ratio of the level to its limit, with its sign.
    pub(crate) level: f64,
    /// Difference of the level from its expectation, in the sensor's unit; NaN if it is not judged.
    pub(crate) difference: f64,
    /// Ratio of the spread to its limit.
    pub(crate) spread: f64,
    /// The largest ratio of the other sensors.
    pub(crate) others: f64,
}

impl Health {
    /// Adds a window of a running machine and returns the fault that it shows. The new part of the window is given as a
    /// share and in seconds.
    pub(crate) fn push(
        &mut self,
        reading: Option<&Reading>,
        track: &Track,
        kind: SensorKind,
        (share, seconds): (f64, f64),
        others: Others,
    ) -> Option<SensorFault> {
        self.count_missing(reading, track, others);
        let Some(reading) = reading else {
            return self.is_missing().then_some(SensorFault::Dropout);
        };
        self.windows += share;
        self.follow_run(reading, (share, seconds), others);
        self.count_bad_windows(reading, track, kind);
        self.follow_level(reading, track, kind);
        let patience = if self.windows < KNOWN_WINDOWS { 3.0 } else { 1.0 };
        let (factor, readings, windows) = STUCK;
        let is_stuck = track.has_moved()
            && self.run.0 >= patience * readings.max(factor * self.longest_run)
            && self.run.1 >= windows
            && (self.repeats < COARSE.0 || self.run_seconds >= COARSE.1);
        let is_bad = |(now, learnt): (f64, f64)| now >= (BAD_SHARE.1 * learnt).max(BAD_SHARE.0);
        match () {
            () if is_stuck => Some(SensorFault::Stuck),
            () if self.is_missing() => Some(SensorFault::Dropout),
            () if self.windows >= KNOWN_WINDOWS && is_bad(self.spikes) => Some(SensorFault::Spikes),
            () if self.windows >= KNOWN_WINDOWS && is_bad(self.clipping) => Some(SensorFault::Clipping),
            () => self.by_deviation,
        }
    }

    /// Learns what the sensor does.
    pub(crate) fn learn(&mut self) {
        self.spikes.1 = self.spikes.1.max(self.spikes.0);
        self.clipping.1 = self.clipping.1.max(self.clipping.0);
    }

    /// Notes that the sensor is as expected: what it does is learnt.
    pub(crate) fn accept(&mut self) {
        self.learn();
        self.by_deviation = None;
    }

    /// Looks at the deviations of a temperature. `share` is the new part of the window.
    pub(crate) fn see_deviations(&mut self, kind: SensorKind, deviations: &Deviations, share: f64) {
        if !matches!(kind, SensorKind::Temperature | SensorKind::Ambient) {
            return;
        }
        let Deviations { level, difference, spread, others } = *deviations;
        if difference.is_finite() && difference * self.step.signum() < 0.5 * self.step.abs() {
            (self.step, self.step_windows) = (0.0, 0.0);
        }
        if self.step != 0.0 {
            self.step_windows += share;
        }
        let alone = others < 0.7;
        self.by_deviation = match self.by_deviation {
            // It stays until the sensor is as expected again.
            Some(fault) if level.abs() >= 0.5 || spread >= 0.5 => Some(fault),
            _ if alone && self.step_windows >= STEP_WINDOWS => Some(SensorFault::Step),
            _ if alone && spread >= 1.0 && level.abs() < 1.0 => Some(SensorFault::Noise),
            _ => None,
        };
    }

    /// The fault that the deviations show.
    pub(crate) fn by_deviation(&self) -> Option<SensorFault> {
        self.by_deviation
    }

    /// Notes that windows were left out, so that the level may have changed meanwhile.
    pub(crate) fn pause(&mut self) {
        self.last_level = f64::NAN;
    }

    fn is_missing(&self) -> bool {
        self.present >= SILENT.1 && (self.few >= DROPOUT.1 || self.absent >= SILENT.0)
    }

    fn count_missing(&mut self, reading: Option<&Reading>, track: &Track, others: Others) {
        if !others.send {
            // The gateway or the whole machine is silent.
            return;
        }
        let usual = track.usual_count();
        let is_few = reading.is_some_and(|reading| {
            usual >= MIN_COUNTED_READINGS && f64::from(reading.count) < (1.0 - DROPOUT.0) * usual
        });
        // Dropouts end only after several complete windows.
        self.complete = if is_few || reading.is_none() { 0 } else { self.complete.saturating_add(1) };
        self.few = match is_few {
            true => self.few.saturating_add(1),
            false if self.few >= DROPOUT.1 && self.complete < COMPLETE => self.few,
            false => 0,
        };
        self.absent = if reading.is_none() { self.absent.saturating_add(1) } else { 0 };
        self.present = self.present.saturating_add(u32::from(reading.is_some()));
    }

    #[allow(clippy::float_cmp, reason = "a stuck sensor repeats exactly the same value")]
    fn follow_run(&mut self, reading: &Reading, (share, seconds): (f64, f64), others: Others) {
        let count = f64::from(reading.count);
        // A run that is already long says nothing about what is usual.
        if reading.longest_run.is_finite() && (self.windows < KNOWN_WINDOWS || !reading.is_constant()) {
            self.repeats += SHARE_GAIN * (reading.longest_run - self.repeats);
        }
        if reading.is_constant() && reading.max == self.last_value {
            if others.moves {
                self.run = (self.run.0 + share * count, self.run.1 + share);
                self.run_seconds += seconds;
            }
        } else {
            let within = if reading.longest_run.is_finite() { reading.longest_run * count } else { 0.0 };
            self.longest_run = self.longest_run.max(self.run.0).max(within);
            self.run_seconds = 0.0;
            self.run = if reading.is_constant() { (count, 1.0) } else { (0.0, 0.0) };
        }
        self.last_value = if reading.is_constant() { reading.max } else { f64::NAN };
    }

    #[allow(clippy::float_cmp, reason = "a clipped sensor repeats exactly the same value")]
    fn count_bad_windows(&mut self, reading: &Reading, track: &Track, kind: SensorKind) {
        if reading.count < QUARTILE_READINGS || !(reading.upper - reading.lower).is_finite() {
            return;
        }
        let quartiles = reading.upper - reading.lower;
        let width = quartiles + track.resolution() + track.floor(0, kind);
        // Impacts of a machine are spikes of its vibration.
        let has_spike = kind != SensorKind::Vibration
            && (reading.max - reading.upper).max(reading.lower - reading.min) > SPIKE * width;
        let is_coarse = track.resolution() > 0.05 * (reading.max - reading.min);
        let is_clipped = !is_coarse && (reading.upper == reading.max || reading.lower == reading.min);
        let follow = |share: &mut f64, is: bool| *share += SHARE_GAIN * (f64::from(u8::from(is)) - *share);
        follow(&mut self.spikes.0, has_spike);
        follow(&mut self.clipping.0, is_clipped);
    }

    fn follow_level(&mut self, reading: &Reading, track: &Track, kind: SensorKind) {
        let signed = reading.level - self.last_level;
        let change = signed.abs();
        self.last_level = reading.level;
        if !change.is_finite() || self.windows < 1.5 {
            return;
        }
        if self.windows >= KNOWN_WINDOWS && change > STEP * self.largest_change.max(track.floor(0, kind)) {
            (self.step, self.step_windows) = (signed, 0.0);
        } else {
            self.largest_change =
                self.largest_change.max(change.min(2.0 * self.largest_change.max(track.floor(0, kind))));
        }
    }
}
