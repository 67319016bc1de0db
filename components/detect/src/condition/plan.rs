//! How long an asset is learnt, and how wide the limits are while little is known.
//!
//! Learning counts in windows that do not overlap and in time. Limits begin wide and become narrower: nobody has seen a
//! whole day yet, and an extreme of few windows will be exceeded. Both are factors on the limit.

use crate::{config::Config, sensor_kind::SensorKind};

/// Time that a state is learnt before it is judged, and fewest windows.
const LEARNING_SECONDS: f64 = 3600.0;
const LEARNING_WINDOWS: f64 = 30.0;
/// In the first hours the limits are wider by this factor. It falls with a time constant in seconds, as the machine has
/// seen more of its day: of vibration, and of quantities that may follow the weather.
const VIBRATION: (f64, f64) = (3.0, 43_200.0);
const WEATHER: (f64, f64) = (7.0, 86_400.0);
/// After a change of the drivers a temperature follows slowly: its limits are wider by this factor at first, with this
/// time constant.
const SETTLING: (f64, f64) = (1.0, 3_600.0);
/// Limits are wider by this over the number of windows: Student's t for an extreme.
const FEW_WINDOWS: f64 = 10.0;

/// The rules for windows of one length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LearningPlan {
    windows_needed: f64,
    /// True if the configuration sets the number of windows: each counts then, overlapping or not.
    counts_all: bool,
}

impl LearningPlan {
    /// `length` of a window in ns.
    #[allow(clippy::cast_precision_loss, reason = "a length of time")]
    pub(crate) fn new(config: &Config, length: i64) -> Self {
        match config.warmup_windows {
            Some(windows) => Self { windows_needed: f64::from(windows), counts_all: true },
            None => {
                let in_time = LEARNING_SECONDS / (length as f64 / 1e9);
                Self { windows_needed: in_time.max(LEARNING_WINDOWS), counts_all: false }
            }
        }
    }

    /// Windows in which a state is learnt before it is judged.
    pub(crate) fn windows_needed(&self) -> f64 {
        self.windows_needed
    }

    /// What a window counts that brings this share of its length in new time.
    pub(crate) fn weight(&self, share: f64) -> f64 {
        if self.counts_all { 1.0 } else { share }
    }

    /// How much wider the limits of a number of this kind are, so many seconds after a change of the drivers.
    pub(crate) fn settling_width(seconds: f64, kind: SensorKind) -> f64 {
        if kind == SensorKind::Temperature { 1.0 + SETTLING.0 * (-seconds.max(0.0) / SETTLING.1).exp() } else { 1.0 }
    }

    /// How much wider the limits are than with complete evidence: after `seconds` of watching the machine, in a state
    /// that was seen for `windows`, of a number of this kind.
    ///
    /// `is_level` is false for spread and tail, which no weather changes.
    pub(crate) fn width(&self, seconds: f64, windows: f64, kind: SensorKind, is_level: bool) -> f64 {
        let (first, decay) = match kind {
            // Who sets the number of windows knows that they show what is normal.
            _ if self.counts_all => (0.0, 1.0),
            _ if is_level && kind != SensorKind::Vibration => WEATHER,
            _ => VIBRATION,
        };
        (1.0 + first * (-seconds / decay).exp()) * (1.0 + FEW_WINDOWS / windows.max(1.0))
    }
}
