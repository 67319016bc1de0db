//! The detectors: each says how far a window is from what is normal.
//!
//! A window comes as z-values, `sensors · columns` of them: by how many scales each feature stands out from its median
//! in the warm-up. A detector learns from the warm-up's windows what is usual and gives a ratio: 1 where a window is as far
//! out as one normal window in a thousand.

mod ensemble;
mod mahalanobis;
mod zscore;

pub use ensemble::Ensemble;
pub use mahalanobis::Mahalanobis;
use serde::{Deserialize, Serialize};
pub use zscore::ZScore;

/// Says how far a window is from normal, and what carries that.
pub trait Detector {
    /// Learns from windows of z-values; all are of one length.
    fn fit(&mut self, windows: &[Vec<f64>], columns: usize);
    /// How far the window is from normal: 1 is the edge, 2 twice as far.
    fn ratio(&self, window: &[f64]) -> f64;
    /// How much each z-value carries of that; not negative, in no unit.
    fn weights(&self, window: &[f64]) -> Vec<f64>;
}

/// Which detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// [`Ensemble`]
    Ensemble,
    /// [`ZScore`]
    Zscore,
    /// [`Mahalanobis`]
    Mahalanobis,
}

impl Kind {
    /// As in the configuration and on anomalies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ensemble => "ensemble",
            Self::Zscore => "zscore",
            Self::Mahalanobis => "mahalanobis",
        }
    }
}

/// A detector of any kind, as kept in snapshots.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Any {
    /// [`Ensemble`]
    Ensemble(Ensemble),
    /// [`ZScore`]
    ZScore(ZScore),
    /// [`Mahalanobis`]
    Mahalanobis(Mahalanobis),
}

impl Any {
    /// One that has not learnt yet.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Ensemble => Self::Ensemble(Ensemble::default()),
            Kind::Zscore => Self::ZScore(ZScore::default()),
            Kind::Mahalanobis => Self::Mahalanobis(Mahalanobis::default()),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ensemble(_) => Kind::Ensemble,
            Self::ZScore(_) => Kind::Zscore,
            Self::Mahalanobis(_) => Kind::Mahalanobis,
        }
    }

    fn inner(&self) -> &dyn Detector {
        match self {
            Self::Ensemble(detector) => detector,
            Self::ZScore(detector) => detector,
            Self::Mahalanobis(detector) => detector,
        }
    }
}

impl Detector for Any {
    fn fit(&mut self, windows: &[Vec<f64>], columns: usize) {
        match self {
            Self::Ensemble(detector) => detector.fit(windows, columns),
            Self::ZScore(detector) => detector.fit(windows, columns),
            Self::Mahalanobis(detector) => detector.fit(windows, columns),
        }
    }
    fn ratio(&self, window: &[f64]) -> f64 {
        self.inner().ratio(window)
    }
    fn weights(&self, window: &[f64]) -> Vec<f64> {
        self.inner().weights(window)
    }
}

/// The edge of what is normal, from the distances of the windows that were learnt from: never below what the model itself
/// predicts, and with room above the farthest, which others will pass.
pub(crate) fn edge(predicted: f64, distances: impl Iterator<Item = f64>) -> f64 {
    /// Room above the farthest of a few dozen windows, most of which overlap.
    const ROOM: f64 = 2.0;
    predicted.max(ROOM * distances.fold(0.0, f64::max))
}
