//! Evaluation on recordings of ordinary plants, with default settings: import, learn, run.
//!
//! Each set of recordings has its own protocol ([`sets`]). A recording becomes an asset and each of its columns a
//! sensor that nobody configured, as after `wheeltapper replay`. The line never gets an event or the end of the time
//! for learning; alerts before that end do not count. A simple rule ([`floor`]) is scored beside it by the same
//! protocol: what cannot beat it is of no use.

mod case;
pub mod floor;
mod report;
mod score;
pub mod sets;

pub use case::{EventKind, PlantCase, PlantEvent, PlantSet, RateUnit, Rows};
pub use report::{PlantsReport, SetReport};
pub use score::{EventScore, PlantScore, score};

use std::path::Path;

pub(crate) use case::sensor_id;

use case::run_case;

use crate::{Error, alert_history::alert_spans, line::OpenLine, parallel};

/// Evaluates the line on a set of recordings in `folder`.
///
/// # Errors
/// [`Error`] if the folder does not have the set's layout, or the line fails.
pub fn evaluate_set(set: &sets::SetReader, folder: &Path, open: &OpenLine<'_>) -> Result<SetReport, Error> {
    let set = (set.read)(folder)?;
    let mut report = SetReport::new(&set);
    let results = parallel::map(&set.cases, |case| -> Result<_, Error> {
        let line = score(case, &alert_spans(&run_case(case, open)?), &set);
        Ok((line, (set.floor)(case).map(|spans| score(case, &spans, &set))))
    });
    for (case, result) in set.cases.iter().zip(results) {
        let (line, simple_rule) = result?;
        report.add_line(case, line);
        if let Some(simple_rule) = simple_rule {
            report.add_floor(case, simple_rule);
        }
    }
    Ok(report)
}
