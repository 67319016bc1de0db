//! Stub.
use serde::{Deserialize, Serialize};

use crate::{Detector, FitError, Layout, process::Process};

/// Stub.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ensemble {
    process: Process,
}

impl Detector for Ensemble {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        self.process.fit(layout, rows)
    }
    fn score(&mut self, time: i64, row: &[f64]) -> f64 {
        self.process.score(time, row)
    }
    fn explain(&self) -> Vec<f64> {
        self.process.explain()
    }
}
