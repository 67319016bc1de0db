//! Evaluates an anomaly detection pipeline on public benchmarks, with each benchmark's own protocol.
//!
//! The crate reads the folder of a benchmark, splits it into recordings, runs them through a [`Pipeline`] and scores
//! the results. It is independent of components and of their host: it scores any implementation of [`Pipeline`]. A
//! pipeline never gets labels.
//!
//! | benchmark | protocol |
//! |---|---|
//! | [`skab`] | fit on 400 rows, pooled F1, FAR, MAR; the same after random shifts; AUC-PR, VUS-PR |
//! | [`nab`] | NAB v1.1: probation, scaled sigmoid, one threshold for all files, three profiles |
//! | [`cwru`] | fit on half of the healthy recording; detection and identification of the race in windows of 0.25 s |
//! | [`cmapss`] | folds of whole units, truncated at random cycles; RMSE, PHM08 score, band coverage |
//! | [`tep`] | fit on `d00`; detection rate per fault, false-alarm rate on healthy rows |
//! | [`ims`] | fit on the first quarter of the run; lead time of the first sustained alarm |

pub mod cmapss;
pub mod cwru;
mod error;
pub mod ims;
pub mod metrics;
pub mod nab;
mod npy;
mod pipeline;
mod random;
mod read;
mod report;
pub mod skab;
mod table;
pub mod tep;

pub use error::Error;
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
