//! Readers of problem files: the project's JSON, and the formats of public benchmarks.

mod imopse;
mod mspsp;
mod psplib;

use crate::{model::Problem, validate::ProblemError};

/// Reads a problem. The format follows from the extension of the file's name:
///
/// | Extension | Format |
/// |---|---|
/// | `.json` | the serde form of [`Problem`] |
/// | `.def` | iMOPSE, multi-skill project scheduling with one technician a job (Myszkowski et al. 2015) |
/// | `.dzn` | MSPSP-InstLib, multi-skill project scheduling with crews (Young, Feydy, Schutt 2017) |
/// | `.sm` | PSPLIB, resource-constrained project scheduling (Kolisch and Sprecher 1997) |
///
/// The benchmarks' objective is the makespan. Fails if the text is not of the format or the problem is not valid.
pub fn read(file_name: &str, text: &str) -> Result<Problem, ProblemError> {
    let extension = file_name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let problem = match extension.as_str() {
        "json" => serde_json::from_str(text).map_err(|error| ProblemError(format!("{file_name}: {error}"))),
        "def" => imopse::read(text),
        "dzn" => mspsp::read(text),
        "sm" => psplib::read(text),
        _ => Err(ProblemError(format!("{file_name}: expected a file that ends in .json, .def, .dzn or .sm"))),
    }?;
    crate::validate::check(&problem)?;
    Ok(problem)
}

fn number(field: &str, what: &str) -> Result<u32, ProblemError> {
    field.parse().map_err(|_| ProblemError(format!("{what}: expected a whole number; it is {field:?}")))
}
