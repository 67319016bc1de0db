//! IMS test 2: cumulative sums on the features of all four bearings, fitted on the first part of the run.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
use wheeltapper_condition_monitoring::scalar::cusum::Cusum;

use crate::common;

/// Levels that rise with wear: suffixes of the column names.
const FEATURES: [&str; 8] =
    ["rms", "max", "env_bpfo_energy", "env_bpfi_energy", "env_bsf_energy", "bpfo_energy", "bpfi_energy", "bsf_energy"];
/// An alarm over this many consecutive snapshots (an hour) counts as sustained.
const SUSTAINED: usize = 6;

#[test]
fn the_outer_race_fault_is_detected_three_days_early() {
    let Some(folder) = common::data("ims-features") else { return };
    let tables = ["test2_raw.csv.gz", "test2_spectral.csv.gz"].map(|name| common::table(&folder.join(name)));
    for fit in [100, 150, 200, 246, 300] {
        let mut first: Option<(usize, String)> = None;
        let mut brief = 0;
        for bearing in 1..=4 {
            for feature in FEATURES {
                let name = format!("Bearing{bearing}_ch1_{feature}");
                let column: Vec<f64> = tables
                    .iter()
                    .find_map(|(names, rows)| {
                        let at = names.iter().position(|candidate| *candidate == name)?;
                        Some(rows.iter().map(|row| row[at].max(1e-12).ln()).collect())
                    })
                    .unwrap();
                let mut cusum = Cusum::fit(&column[..fit]).unwrap();
                let alarms: Vec<bool> = column.iter().map(|value| cusum.push(*value) > 1.0).collect();
                for at in 0..alarms.len() {
                    if alarms[at] && (at == 0 || !alarms[at - 1]) {
                        let run = alarms[at..].iter().take_while(|alarm| **alarm).count();
                        if run >= SUSTAINED && first.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
                            first = Some((at, name.clone()));
                        }
                        brief += usize::from(run < SUSTAINED && at < 500);
                    }
                }
            }
        }
        let (at, name) = first.unwrap();
        let count = tables[0].1.len();
        let lead = (count - 1 - at) as f64 / 6.0;
        println!(
            "fitted on {fit}: first sustained alarm at snapshot {at} by {name}, {lead:.2} h before the end, known to be sustained {:.2} h before; {brief} brief alarms before snapshot 500",
            lead - (SUSTAINED - 1) as f64 / 6.0
        );
        assert!(lead >= 75.0 && name.contains("Bearing1"));
    }
}
