//! Recordings of ordinary plants.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use wheeltapper_evaluate::plants::{self, PlantsReport, sets};

use super::{open_line, with_spinner};

/// Runs the sets that exist in the folder, or those named, and prints their tables.
pub(super) fn run(data: &Path, only: &[String], reports: &mut Vec<serde_json::Value>) -> anyhow::Result<()> {
    for name in only {
        if !sets::SETS.iter().any(|set| set.folder == name) {
            let known = sets::SETS.map(|set| set.folder).join(", ");
            bail!("there is no set of recordings {name:?}; expected one of {known}");
        }
    }
    let mut report = PlantsReport::default();
    for set in sets::SETS.iter().filter(|set| only.is_empty() || only.iter().any(|name| name == set.folder)) {
        let folder = data.join(set.folder);
        if !folder.is_dir() {
            println!("{}: not found in {}, skipped\n", set.folder, data.display());
            report.skipped.push(set.folder);
            continue;
        }
        let found = with_spinner(set.folder, || plants::evaluate_set(set, &folder, &open_line));
        let found = found.with_context(|| format!("evaluating {}", set.folder))?;
        println!("{}", found.table());
        report.sets.push(found);
    }
    ensure!(!report.sets.is_empty(), "expected folders such as {} in {}", sets::SETS[0].folder, data.display());
    reports.push(serde_json::to_value(&report)?);
    Ok(())
}
