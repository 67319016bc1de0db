//! Streaming anomaly detectors with bounded state, behind one trait.
//!
//! A row holds the features of a group of sensors in one window; see [`Layout`]. A [`Detector`] learns what is normal
//! from the first rows. For each later row it returns the distance from normal as a ratio, where 1 is the limit.
//! [`AnyDetector`] is a detector of any [`DetectorKind`], in the form that snapshots store. The same input gives the
//! same output on every platform, because the random numbers are seeded ([`random`]).
//!
//! [`adwin`], [`ks`] and [`pot`] are statistical tests and estimators, not detectors.

pub mod adwin;
pub mod calibrated;
pub mod cusum;
pub mod discord;
pub mod ensemble;
pub mod forecast;
pub mod isolation_forest;
pub mod ks;
pub mod mahalanobis;
pub mod mcd;
pub mod page_hinkley;
pub mod pca;
pub mod per_sensor;
pub mod pot;
pub mod process;
pub mod random;
mod ring_buffer;
mod rows;
pub mod similarity;
mod special;
pub mod spectral;
pub mod stream;
pub mod trees;
pub mod zscore;

use serde::{Deserialize, Serialize};

/// Position of the sensors' features in a row: `sensors · columns` numbers, sensor after sensor. Column `level` of each
/// sensor is its mean. Column `spread` is its standard deviation, if windows hold several readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Number of sensors in a row.
    pub sensors: usize,
    /// Numbers per sensor.
    pub columns: usize,
    /// Column of the mean.
    pub level: usize,
    /// Column of the standard deviation, if there is one.
    pub spread: Option<usize>,
}

impl Layout {
    /// Layout of rows with one number per sensor, its level.
    pub fn levels_only(sensors: usize) -> Self {
        Self { sensors, columns: 1, level: 0, spread: None }
    }

    /// Number of values in a row.
    pub fn width(self) -> usize {
        self.sensors.saturating_mul(self.columns)
    }

    /// Indices of the levels in a row.
    pub fn level_indices(self) -> impl Iterator<Item = usize> {
        (0..self.sensors).map(move |sensor| sensor * self.columns + self.level)
    }

    /// Checks that the columns are inside the layout and that every row has the layout's width.
    ///
    /// # Errors
    /// [`FitError::Layout`] if not.
    pub fn validate(self, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let inside = self.level < self.columns && self.spread.is_none_or(|spread| spread < self.columns);
        let width = self.width();
        match rows.iter().find(|row| row.len() != width) {
            _ if width == 0 || !inside => Err(FitError::Layout { width, got: 0 }),
            Some(row) => Err(FitError::Layout { width, got: row.len() }),
            None => Ok(()),
        }
    }
}

/// Reason why a detector cannot be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Too few rows that contain a finite value.
    #[error("{got} training rows; expected {min} or more")]
    TooFewRows {
        /// Rows that contain a finite value.
        got: usize,
        /// Fewest rows that show what is normal.
        min: usize,
    },
    /// Rows that do not match the layout, or a layout that has no numbers or whose columns are out of range.
    #[error("expected rows of {width} numbers and columns inside the layout; got {got}")]
    Layout {
        /// Numbers per row according to the layout.
        width: usize,
        /// Numbers in the first row that differs; 0 if the layout itself is invalid.
        got: usize,
    },
}

/// Anomaly detector: measures how far a row is from normal, and which numbers cause it.
pub trait Detector {
    /// Learns what is normal from rows, oldest first. Values that are not finite are missing. Replaces what was learnt
    /// before.
    ///
    /// # Errors
    /// [`FitError`]; the previous fit stays in use.
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError>;
    /// Consumes the next row and returns its distance from normal: 1 is the limit (an expected false-alarm rate of
    /// about 1 in 1,000), 2 is twice as far. The caller maps it to the score 1 − 10^(−3 r²). `time` is in ns since
    /// 1970. Returns 0 before the first fit.
    fn score(&mut self, time: i64, row: &[f64]) -> f64;
    /// Share of each number of the row in the last score; not negative, sums to 1, or all 0.
    fn explain(&self) -> Vec<f64>;
    /// Replaces missing values by those that fit the rest of the row best, if the detector can estimate them. The
    /// present values are treated as normal, so an estimated value never stands out.
    fn impute(&self, _row: &mut [f64]) {}
    /// Names of the detectors that this one combines.
    fn members(&self) -> &'static [&'static str] {
        &[]
    }
    /// Same as [`Self::score`], by one of [`Self::members`] alone. None if there is no such member.
    fn score_with_member(&mut self, _member: &str, _time: i64, _row: &[f64]) -> Option<f64> {
        None
    }
}

/// Defines the enum of the kinds, and the enum that holds a detector of any kind.
macro_rules! detector_kinds {
    ($kinds:ident, $any:ident: $($kind:ident $name:literal $type:ty),+ $(,)?) => {
        /// Type of a detector.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $kinds {
            $(#[doc = concat!("[`", stringify!($type), "`]")] $kind,)+
        }

        impl $kinds {
            /// All kinds, in the order of their definition.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Name in configurations and on anomalies.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }
        }

        /// A detector of any kind, in the form that snapshots store.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub enum $any {
            $(#[doc = concat!("[`", stringify!($type), "`]")] $kind(Box<$type>),)+
        }

        impl $any {
            /// Creates a detector that is not fitted yet.
            pub fn new(kind: $kinds) -> Self {
                match kind { $($kinds::$kind => Self::$kind(Box::default()),)+ }
            }

            /// Returns the kind of the detector.
            pub fn kind(&self) -> $kinds {
                match self { $(Self::$kind(_) => $kinds::$kind,)+ }
            }

            fn detector(&self) -> &dyn Detector {
                match self { $(Self::$kind(detector) => &**detector,)+ }
            }

            fn detector_mut(&mut self) -> &mut dyn Detector {
                match self { $(Self::$kind(detector) => &mut **detector,)+ }
            }
        }
    };
}

detector_kinds! {
    DetectorKind, AnyDetector:
    Ensemble "ensemble" ensemble::Ensemble,
    Zscore "zscore" zscore::ZScore,
    Mahalanobis "mahalanobis" mahalanobis::Mahalanobis,
    Mcd "mcd" calibrated::Calibrated<mcd::Mcd>,
    Pca "pca" calibrated::Calibrated<pca::Pca>,
    IsolationForest "isolation-forest" calibrated::Calibrated<isolation_forest::IsolationForest>,
    Forecast "forecast" forecast::Forecast,
    Process "process" process::Process,
    Stream "stream" stream::Stream,
    Discord "discord" per_sensor::PerSensor<discord::Discord>,
    Spectral "spectral" per_sensor::PerSensor<spectral::SpectralResidual>,
    PageHinkley "page-hinkley" per_sensor::PerSensor<page_hinkley::PageHinkley>,
    Cusum "cusum" per_sensor::PerSensor<cusum::Cusum>,
    Trees "trees" trees::LevelTrees,
    Similarity "similarity" similarity::Similarity,
}

impl Detector for AnyDetector {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        self.detector_mut().fit(layout, rows)
    }

    fn score(&mut self, time: i64, row: &[f64]) -> f64 {
        self.detector_mut().score(time, row)
    }

    fn explain(&self) -> Vec<f64> {
        self.detector().explain()
    }

    fn impute(&self, row: &mut [f64]) {
        self.detector().impute(row);
    }

    fn members(&self) -> &'static [&'static str] {
        self.detector().members()
    }

    fn score_with_member(&mut self, member: &str, time: i64, row: &[f64]) -> Option<f64> {
        self.detector_mut().score_with_member(member, time, row)
    }
}
