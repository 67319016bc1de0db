//! Remaining useful life, in windows.
//!
//! With run-to-failure histories: [`library::Library`]. Without: [`wiener::Degradation`].
pub mod fusion;
pub mod health;
pub mod history;
pub mod library;
pub mod residual;
pub mod similarity;
pub mod tracker;
pub mod wiener;

use serde::{Deserialize, Serialize};

/// Remaining life in windows. Quantiles may be infinite: no end in sight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remaining {
    /// The best single number; never above the library's horizon, where there is one.
    pub expected: f64,
    /// Exceeded with 90 %.
    pub p10: f64,
    /// Exceeded with 50 %.
    pub p50: f64,
    /// Exceeded with 10 %.
    pub p90: f64,
}
