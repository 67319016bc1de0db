//! Measures detection: on public benchmarks, on recordings of ordinary plants, and on simulated behaviours of plants.
//!
//! The crate reads recordings or simulates plants, runs them through a line and scores the results. It is independent
//! of the host: it scores any implementation of [`Pipeline`] (benchmarks) or [`PlantLine`] (plants, scenarios).
//! [`NativeLine`] calls the stages as plain functions, and [`DefaultSettings`] runs benchmarks through a [`PlantLine`].
//! A line never gets labels.
//!
//! - [`scenarios`]: behaviours of ordinary plants, simulated, with default settings only.
//! - [`plants`]: recordings of ordinary plants, with default settings only.
//!
//! | benchmark | protocol |
//! |---|---|
//! | [`skab`] | fit on 400 rows, pooled F1, FAR, MAR; the same after random shifts; AUC-PR, VUS-PR |
//! | [`nab`] | NAB v1.1: probation, scaled sigmoid, one threshold for all files, three profiles |
//! | [`cwru`] | fit on half of the healthy recording; detection and identification of the race in windows of 0.25 s |
//! | [`cmapss`] | folds of whole units, truncated at random cycles; RMSE, PHM08 score, band coverage |
//! | [`tep`] | fit on `d00`; detection rate per fault, false-alarm rate on healthy rows |
//! | [`ims`] | fit on the first quarter of the run; lead time of the first sustained alarm |

pub mod alert_history;
pub mod cmapss;
pub mod cwru;
pub mod damaged_part;
mod default_settings;
pub mod diagnosis;
mod error;
mod grid;
pub mod ims;
mod line;
pub mod metrics;
pub mod nab;
mod native;
mod npy;
mod parallel;
mod pipeline;
pub mod plants;
mod random;
mod read;
mod report;
pub mod scenarios;
pub mod skab;
mod table;
pub mod tep;
mod zip_member;

pub use default_settings::DefaultSettings;
pub use error::Error;
pub use line::{AlertUpdate, OpenLine, PlantLine, ReadingBatch, WaveformReading};
pub use native::NativeLine;
pub use pipeline::{Benchmark, Pipeline, Recording, RemainingLife, WaveformRecording, WindowVerdict};
pub use report::{Column, Report, Row};

use std::path::Path;

/// Evaluates a pipeline on the benchmark in `folder`.
///
/// # Errors
/// [`Error`] if the folder does not have the benchmark's layout, or the pipeline fails or returns an invalid result.
pub fn evaluate(profile: Benchmark, pipeline: &mut dyn Pipeline, folder: &Path) -> Result<Report, Error> {
    match profile {
        Benchmark::Skab => skab::evaluate(pipeline, folder),
        Benchmark::Nab => nab::evaluate(pipeline, folder, None),
        Benchmark::Cwru => cwru::evaluate(pipeline, folder),
        Benchmark::Cmapss => cmapss::evaluate(pipeline, folder),
        Benchmark::Tep => tep::evaluate(pipeline, folder),
        Benchmark::Ims => ims::evaluate(pipeline, folder),
    }
}
