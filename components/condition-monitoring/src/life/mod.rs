//! Remaining useful life, in windows.
//!
//! [`library`] uses run-to-failure histories; [`wiener`] works without them.
pub mod fusion;
pub mod health;
pub mod history;
pub mod library;
pub mod residual;
pub mod similarity;
pub mod tracker;
pub mod wiener;

use serde::{Deserialize, Serialize};

/// Remaining life in windows. Quantiles are infinite when no end is in sight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemainingLife {
    /// The best point estimate; never above the horizon of a library.
    pub expected: f64,
    /// Remaining life that 90 % of such units exceed.
    pub p10: f64,
    /// Median remaining life.
    pub p50: f64,
    /// Remaining life that 10 % of such units exceed.
    pub p90: f64,
}
