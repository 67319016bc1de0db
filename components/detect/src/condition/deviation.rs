//! How far a number stays from its expectation, over three time scales, and how far it may.
//!
//! The difference between a number and its expectation is averaged exponentially over about two, twelve and a hundred
//! windows. The limit of each average is learnt: it is a margin above the largest average that was seen while the
//! machine was normal, and never below a physical floor. So white noise, which averages out, gets narrow limits on the
//! slow scales, where wear shows, and a load or a day that the sensors do not explain gets wide ones.
//!
//! A single window counts for at most 78 % of the limit, so no alarm comes from one window, however far it is out.

use serde::{Deserialize, Serialize};

/// Time constants of the averages, in windows.
const SCALES: [f64; 3] = [2.0, 12.0, 96.0];
/// Smallest limit of each average, in floors.
const FLOORS: [f64; 3] = [4.0, 3.0, 2.5];
/// Limit over the largest average seen while normal.
const MARGIN: f64 = 1.4;
/// A difference counts up to this many limits of the fast average.
const CLIP: f64 = 2.0;
/// The learnt largest average grows by this factor at most when learning is renewed.
const MAX_GROWTH: f64 = 1.5;

/// The averages of one number; see the module documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deviation {
    averages: [f64; SCALES.len()],
    /// Largest absolute averages while learning.
    learnt: [f64; SCALES.len()],
    /// Largest absolute averages since then, which the next renewal takes over.
    recent: [f64; SCALES.len()],
    /// The last difference, in limits of the fast average.
    last: f64,
    /// The one before it.
    before: f64,
}

/// Which side of the expectation is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadSide {
    Above,
    Both,
}

/// Gains of the averages for a window that brings `share` of a window's time.
pub(crate) fn gains(share: f64) -> [f64; SCALES.len()] {
    SCALES.map(|scale| 1.0 - (-share / scale).exp())
}

impl Deviation {
    /// Adds a difference while nothing is judged yet.
    pub(crate) fn learn(&mut self, difference: f64, gains: &[f64; SCALES.len()]) {
        for ((average, gain), learnt) in self.averages.iter_mut().zip(gains).zip(&mut self.learnt) {
            *average += gain * (difference - *average);
            *learnt = learnt.max(average.abs());
        }
    }

    /// Adds a difference of a later state. What is learnt of it counts from the next renewal on, so that a fault that
    /// begins in a new state does not widen the limits.
    pub(crate) fn learn_later(&mut self, difference: f64, gains: &[f64; SCALES.len()], floor: f64) {
        for (((average, gain), recent), learnt) in
            self.averages.iter_mut().zip(gains).zip(&mut self.recent).zip(self.learnt)
        {
            *average += gain * (difference - *average);
            *recent = recent.max(average.abs().min((MAX_GROWTH * learnt).max(floor)));
        }
    }

    /// Adds a difference. `floor` is the physical floor, and `width` how much wider the limits are than with complete
    /// evidence.
    pub(crate) fn push(&mut self, difference: f64, gains: &[f64; SCALES.len()], floor: f64, width: f64) {
        let limits = self.limits(floor, width);
        let [fast, ..] = limits;
        self.before = self.last;
        self.last = if fast > 0.0 { difference / fast } else { 0.0 };
        let clipped = difference.clamp(-CLIP * fast, CLIP * fast);
        for ((average, gain), (recent, limit)) in
            self.averages.iter_mut().zip(gains).zip(self.recent.iter_mut().zip(limits))
        {
            *average += gain * (clipped - *average);
            if average.abs() < limit {
                *recent = recent.max(average.abs());
            }
        }
    }

    pub(crate) fn limits(&self, floor: f64, width: f64) -> [f64; SCALES.len()] {
        let mut limits = [0.0; SCALES.len()];
        for ((limit, floors), learnt) in limits.iter_mut().zip(FLOORS).zip(self.learnt) {
            *limit = width * (floors * floor).max(MARGIN * learnt);
        }
        limits
    }

    /// The average that is furthest beyond its limit on the bad side, as a ratio to the limit with the sign of the
    /// difference; 0 if all are on the good side.
    pub(crate) fn ratio(&self, side: BadSide, floor: f64, width: f64) -> f64 {
        let ratios = self.averages.iter().zip(self.limits(floor, width)).map(|(average, limit)| {
            let ratio = if limit > 0.0 { average / limit } else { 0.0 };
            if side == BadSide::Above { ratio.max(0.0) } else { ratio }
        });
        ratios.fold(0.0, |worst: f64, ratio| if ratio.abs() > worst.abs() { ratio } else { worst })
    }

    /// How many limits the number itself is out, in both of the last two windows; with the sign of the last.
    pub(crate) fn magnitude(&self) -> f64 {
        self.last.abs().min(self.before.abs()).copysign(self.last)
    }

    /// The last difference, in limits of the fast average.
    pub(crate) fn last(&self) -> f64 {
        self.last
    }

    /// Takes over what was seen since the last renewal.
    pub(crate) fn renew(&mut self, floor: f64) {
        for (learnt, recent) in self.learnt.iter_mut().zip(&mut self.recent) {
            *learnt = learnt.max(recent.min((MAX_GROWTH * *learnt).max(floor)));
            *recent = 0.0;
        }
    }

    /// Forgets the averages, for instance after a new state was learnt; what is normal stays known.
    pub(crate) fn settle(&mut self) {
        self.averages = [0.0; SCALES.len()];
        (self.last, self.before) = (0.0, 0.0);
    }
}
