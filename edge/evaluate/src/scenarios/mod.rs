//! Evaluation on simulated behaviours of ordinary plants, with default settings only.
//!
//! Each scenario of [`wheeltapper_simulate::SCENARIOS`] runs with several seeds. The line gets readings, waveforms and
//! the time, as from a live plant; it does not get the truth. [`score()`] compares the alerts with the truth.

mod report;
mod run;
mod score;

pub use report::{ScenarioReport, ScenarioRow, Totals};
pub use run::{Selection, evaluate};
pub use score::{FalseAlert, FaultScore, RunScore, score};
