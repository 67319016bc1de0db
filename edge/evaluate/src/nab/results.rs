//! Reads and writes results in NAB's own layout: `<detector>/<group>/<detector>_<file>.csv`, one line per row of the
//! data.

use std::{fs, path::Path};

use super::{
    PROFILES, Series,
    corpus::{Labels, read_series},
    reward_points,
};
use crate::{
    Error,
    read::{self, Csv},
};

/// A file with the scores of a detector, one per row.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredSeries<'a> {
    /// The file.
    pub series: &'a Series,
    /// Scores from 0 to 1; 0 in the probation period.
    pub scores: Vec<f64>,
}

/// Writes results to a folder like NAB's runner: `timestamp`, `value`, `anomaly_score`, `label`, and the reward of each
/// row as an alarm in the three profiles.
///
/// # Errors
/// [`Error`] if a file cannot be written.
pub fn write_results(to: &Path, detector: &str, files: &[ScoredSeries<'_>]) -> Result<(), Error> {
    for ScoredSeries { series, scores } in files {
        let folder = to.join(detector).join(series.group());
        fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;
        let file = series.name.rsplit('/').next().unwrap_or_default();
        let path = folder.join(format!("{detector}_{file}"));
        let mut rewards = Vec::new();
        for (_, weights) in PROFILES {
            rewards.push(reward_points(series, scores, weights, 0)?);
        }
        let mut text = "timestamp,value,anomaly_score,label".to_owned();
        PROFILES.iter().for_each(|(profile, _)| text.push_str(&format!(",S(t)_{profile}")));
        text.push('\n');
        let rows = series.time_texts.iter().zip(&series.value_texts).zip(scores).zip(&series.labels).enumerate();
        for (row, (((stamp, value), score), label)) in rows {
            text.push_str(&format!("{stamp},{value},{score:?},{}", u8::from(*label)));
            for points in &rewards {
                text.push_str(&format!(",{:?}", points.get(row).map_or(f64::NAN, |point| point.reward)));
            }
            text.push('\n');
        }
        fs::write(&path, text).map_err(Error::io("writing", &path))?;
    }
    Ok(())
}

/// Reads the results of a detector: files with their scores.
///
/// # Errors
/// [`Error`] if the folder does not contain results, or `labels` has no entry for a file.
pub fn read_results(folder: &Path, labels: &Labels) -> Result<Vec<(Series, Vec<f64>)>, Error> {
    let detector = format!("{}_", read::file_name(folder));
    let mut results = Vec::new();
    for group in read::folders(folder)? {
        for path in read::files(&group, &[".csv"])? {
            let file = read::file_name(&path);
            let file = file.strip_prefix(&detector).unwrap_or(&file);
            let name = format!("{}/{file}", read::file_name(&group));
            let windows = labels.get(&name).ok_or_else(|| Error::layout(&path, "a labelled file", name.as_str()))?;
            let csv = Csv::read(&path, b',')?;
            let scores = csv.numbers(csv.required_column("anomaly_score")?)?;
            results.push((read_series(&path, &name, windows.clone())?, scores));
        }
    }
    Ok(results)
}
