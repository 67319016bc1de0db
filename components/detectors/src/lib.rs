//! Anomaly detectors, streaming and bounded, behind one trait.
//!
//! A row is what a unit's sensors came to in one window: see [`Layout`]. A [`Detector`] learns what is normal from the first
//! rows and then says of each row how far it is from that, as a ratio: 1 is the edge. [`Any`] is a detector of any [`Kind`],
//! as kept in snapshots. The same input gives the same output everywhere: the random numbers are seeded ([`random`]).
//!
//! [`adwin`], [`ks`] and [`pot`] are tests and estimates that are no detectors by themselves.

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
pub mod pot;
pub mod process;
pub mod random;
mod ring;
mod rows;
pub mod sensors;
mod special;
pub mod spectral;
pub mod stream;
pub mod trees;
pub mod zscore;

use serde::{Deserialize, Serialize};

/// Where a unit's sensors are in a row: `sensors · columns` numbers, sensor after sensor. Column `level` of each sensor is its
/// mean; `spread` its standard deviation, where windows have several readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Sensors in a row.
    pub sensors: usize,
    /// Numbers of each.
    pub columns: usize,
    /// Which of them is the mean.
    pub level: usize,
    /// Which of them is the standard deviation.
    pub spread: Option<usize>,
}

impl Layout {
    /// Rows of one number a sensor: its level.
    pub fn levels_only(sensors: usize) -> Self {
        Self { sensors, columns: 1, level: 0, spread: None }
    }

    /// Numbers in a row.
    pub fn width(self) -> usize {
        self.sensors.saturating_mul(self.columns)
    }

    /// Where the levels are.
    pub fn levels(self) -> impl Iterator<Item = usize> {
        (0..self.sensors).map(move |sensor| sensor * self.columns + self.level)
    }

    /// Whether the rows are as it says.
    ///
    /// # Errors
    /// [`FitError::Layout`]
    pub fn check(self, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let inside = self.level < self.columns && self.spread.is_none_or(|spread| spread < self.columns);
        let width = self.width();
        match rows.iter().find(|row| row.len() != width) {
            _ if width == 0 || !inside => Err(FitError::Layout { width, got: 0 }),
            Some(row) => Err(FitError::Layout { width, got: row.len() }),
            None => Ok(()),
        }
    }
}

/// Why a detector cannot be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Too few rows with a finite value.
    #[error("{got} rows to learn from; expected {least} or more")]
    Rows {
        /// Rows with a finite value.
        got: usize,
        /// Fewer do not show what is normal.
        least: usize,
    },
    /// Rows that are not as the layout says, or a layout without numbers or whose columns are not inside.
    #[error("expected rows of {width} numbers as the layout says, with its columns inside; got {got}")]
    Layout {
        /// By the layout.
        width: usize,
        /// Numbers in the first row that differs; 0 where the layout itself is wrong.
        got: usize,
    },
}

/// Says how far a row is from normal, and what carries that.
pub trait Detector {
    /// Learns what is normal from rows (oldest first; what is not finite is missing). What was learnt before is forgotten.
    ///
    /// # Errors
    /// [`FitError`]; what was learnt before stands.
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError>;
    /// Takes the next row; how far it is from normal: 1 is the edge (an expected false-alarm rate of about 1 in 1,000), 2
    /// twice as far. The caller maps it to the score 1 − 10^(−3 r²). `time` in ns since 1970. 0 before it was fitted.
    fn score(&mut self, time: i64, row: &[f64]) -> f64;
    /// The share of each of the row's numbers in the last score; not negative, sums to 1, or all 0.
    fn explain(&self) -> Vec<f64>;
    /// Puts in the place of what is missing what goes with the rest of the row, where that is known. The rest counts as if it
    /// were normal, so that what is put in never stands out by itself.
    fn complete(&self, _row: &mut [f64]) {}
    /// Detectors that this one is made of, by name.
    fn members(&self) -> &'static [&'static str] {
        &[]
    }
    /// As [`Self::score`], by one of [`Self::members`] alone; none when it is none.
    fn score_by(&mut self, _member: &str, _time: i64, _row: &[f64]) -> Option<f64> {
        None
    }
}

macro_rules! kinds {
    ($($kind:ident $name:literal $type:ty),+ $(,)?) => {
        /// Which detector.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind {
            $(#[doc = concat!("[`Any::", stringify!($kind), "`]")] $kind,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// As in configurations and on anomalies.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }
        }

        /// A detector of any kind, as kept in snapshots.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub enum Any {
            $(#[doc = concat!("[`", stringify!($type), "`]")] $kind(Box<$type>),)+
        }

        impl Any {
            /// One that has not learnt yet.
            pub fn new(kind: Kind) -> Self {
                match kind { $(Kind::$kind => Self::$kind(Box::default()),)+ }
            }

            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)+ }
            }
        }

        impl Detector for Any {
            fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
                match self { $(Self::$kind(detector) => detector.fit(layout, rows),)+ }
            }
            fn score(&mut self, time: i64, row: &[f64]) -> f64 {
                match self { $(Self::$kind(detector) => detector.score(time, row),)+ }
            }
            fn explain(&self) -> Vec<f64> {
                match self { $(Self::$kind(detector) => detector.explain(),)+ }
            }
            fn complete(&self, row: &mut [f64]) {
                match self { $(Self::$kind(detector) => detector.complete(row),)+ }
            }
            fn members(&self) -> &'static [&'static str] {
                match self { $(Self::$kind(detector) => detector.members(),)+ }
            }
            fn score_by(&mut self, member: &str, time: i64, row: &[f64]) -> Option<f64> {
                match self { $(Self::$kind(detector) => detector.score_by(member, time, row),)+ }
            }
        }
    };
}

kinds! {
    Ensemble "ensemble" ensemble::Ensemble,
    Zscore "zscore" zscore::ZScore,
    Mahalanobis "mahalanobis" mahalanobis::Mahalanobis,
    Mcd "mcd" calibrated::Calibrated<mcd::Mcd>,
    Pca "pca" calibrated::Calibrated<pca::Pca>,
    IsolationForest "isolation-forest" calibrated::Calibrated<isolation_forest::IsolationForest>,
    Forecast "forecast" forecast::Forecast,
    Process "process" process::Process,
    Stream "stream" stream::Stream,
    Discord "discord" sensors::Sensors<discord::Discord>,
    Spectral "spectral" sensors::Sensors<spectral::SpectralResidual>,
    PageHinkley "page-hinkley" sensors::Sensors<page_hinkley::PageHinkley>,
    Cusum "cusum" sensors::Sensors<cusum::Cusum>,
    Trees "trees" trees::Trees,
}
