//! How well the line does on public benchmarks, by each benchmark's own protocol.
//!
//! The crate reads a benchmark's folder, cuts it into recordings, has a [`Line`] run them, and scores what came back.
//! It knows nothing of components or of their host: whoever implements [`Line`] is scored. No label ever reaches a line.
//!
//! | benchmark | protocol |
//! |---|---|
//! | [`skab`] | fit on 400 rows, pooled F1, FAR, MAR; the same after random shifts; AUC-PR, VUS-PR |
//! | [`nab`] | NAB v1.1: probation, scaled sigmoid, one threshold for all files, three profiles |
//! | [`cwru`] | fit on half of the healthy recording; detection and race naming by windows of 0.25 s |
//! | [`cmapss`] | folds of whole units, cut at random cycles; RMSE, PHM08 score, band coverage |
//! | [`tep`] | fit on `d00`; detection rate by fault, false-alarm rate on what is healthy |
//! | [`ims`] | fit on the first quarter of the run; lead time of the first sustained alarm |

pub mod cmapss;
pub mod cwru;
mod error;
pub mod ims;
mod line;
pub mod metrics;
pub mod nab;
mod npy;
mod random;
mod read;
mod report;
pub mod skab;
mod table;
pub mod tep;

pub use error::Error;
pub use line::{Life, Line, Profile, Recording, Verdict, Waveform};
pub use report::{Column, Report, Row};

use std::path::Path;

/// Evaluates `line` on the benchmark whose folder is `folder`.
///
/// # Errors
/// [`Error`] when the folder is not laid out as the benchmark is, or the line fails or answers what was not asked.
pub fn evaluate(profile: Profile, line: &mut dyn Line, folder: &Path) -> Result<Report, Error> {
    match profile {
        Profile::Skab => skab::evaluate(line, folder),
        Profile::Nab => nab::evaluate(line, folder, None),
        Profile::Cwru => cwru::evaluate(line, folder),
        Profile::Cmapss => cmapss::evaluate(line, folder),
        Profile::Tep => tep::evaluate(line, folder),
        Profile::Ims => ims::evaluate(line, folder),
    }
}
