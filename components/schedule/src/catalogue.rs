//! The jobs that each fault mode requires.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::StageError;

/// The fault mode for faults that the catalogue does not contain, and for alerts without a fault mode.
pub(crate) const UNKNOWN_FAULT_MODE: &str = "unknown";

/// One job of a fault mode.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobTemplate {
    /// Kind of the job, such as `inspection`; unique in the list of a fault mode.
    pub kind: String,
    /// Skills that one technician must have, all of them; an empty list means that any technician is suitable.
    #[serde(default)]
    pub skills: Vec<String>,
    /// Duration, 1 to 10,080 minutes (a week).
    pub duration_minutes: u32,
    /// Cost of parts in the configured currency; 0 or more.
    #[serde(default)]
    pub parts_cost: f64,
    /// Kinds of jobs that must be done first; they must precede this job in the list.
    #[serde(default)]
    pub after: Vec<String>,
}

/// Jobs by fault mode: the built-in ones, with the overrides of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Catalogue(BTreeMap<String, Vec<JobTemplate>>);

impl Catalogue {
    pub fn new(overrides: BTreeMap<String, Vec<JobTemplate>>) -> Result<Self, StageError> {
        let mut jobs_by_mode = built_in_catalogue();
        for (mode, jobs) in overrides {
            validate_jobs(&mode, &jobs)?;
            jobs_by_mode.insert(mode, jobs);
        }
        Ok(Self(jobs_by_mode))
    }

    /// Returns the jobs of a fault mode. The lookup tries the mode itself, then its family (the part before the first
    /// dash, `bearing` for `bearing-ball`), then `unknown`.
    pub fn jobs(&self, fault_mode: Option<&str>) -> &[JobTemplate] {
        let mode = fault_mode.unwrap_or(UNKNOWN_FAULT_MODE);
        let family = mode.split('-').next().unwrap_or(mode);
        [mode, family, UNKNOWN_FAULT_MODE].iter().find_map(|key| self.0.get(*key)).map_or(&[], Vec::as_slice)
    }
}

fn built_in_catalogue() -> BTreeMap<String, Vec<JobTemplate>> {
    let job = |kind: &str, skill: &str, duration_minutes, parts_cost, after: &[&str]| JobTemplate {
        kind: kind.into(),
        skills: vec![skill.into()],
        duration_minutes,
        parts_cost,
        after: after.iter().map(|kind| (*kind).into()).collect(),
    };
    let bearing = vec![
        job("inspection", "vibration-analyst", 60, 0.0, &[]),
        job("bearing-replacement", "mechanic", 240, 180.0, &["inspection"]),
    ];
    let mut balancing = job("balancing", "vibration-analyst", 120, 0.0, &[]);
    balancing.skills.push("mechanic".into());
    let jobs_by_mode = [
        ("bearing", bearing),
        ("imbalance", vec![balancing]),
        ("misalignment", vec![job("alignment", "mechanic", 180, 0.0, &[])]),
        ("cavitation", vec![job("inspection", "mechanic", 90, 0.0, &[])]),
        ("overheating", vec![job("inspection", "mechanic", 60, 0.0, &[])]),
        ("lubrication", vec![job("lubrication", "mechanic", 30, 15.0, &[])]),
        ("electrical-overload", vec![job("electrical-inspection", "electrician", 90, 0.0, &[])]),
        ("sensor", vec![job("sensor-repair", "instrumentation", 45, 0.0, &[])]),
        (UNKNOWN_FAULT_MODE, vec![job("inspection", "mechanic", 60, 0.0, &[])]),
    ];
    jobs_by_mode.into_iter().map(|(mode, jobs)| (mode.to_owned(), jobs)).collect()
}

fn validate_jobs(mode: &str, jobs: &[JobTemplate]) -> Result<(), StageError> {
    let mut earlier: Vec<&str> = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        let reject = |key: &str, rule: String| {
            Err(StageError::Config(format!("catalogue.{mode}[{index}].{key} {rule}; change it")))
        };
        if job.kind.is_empty() {
            return reject("kind", "is empty, but must name the job".into());
        }
        if earlier.contains(&job.kind.as_str()) {
            return reject("kind", format!("must be unique in the list, but {:?} occurs twice", job.kind));
        }
        if !(1..=10_080).contains(&job.duration_minutes) {
            return reject("duration_minutes", format!("must be 1 to 10080 (a week), but is {}", job.duration_minutes));
        }
        if !(0.0..=1e12).contains(&job.parts_cost) {
            return reject("parts_cost", format!("must be 0 to 1e12, but is {}", job.parts_cost));
        }
        if let Some(after) = job.after.iter().find(|after| !earlier.contains(&after.as_str())) {
            return reject("after", format!("may only name kinds that precede it in the list, but {after:?} does not"));
        }
        earlier.push(&job.kind);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(catalogue: &Catalogue, mode: Option<&str>) -> Vec<String> {
        catalogue.jobs(mode).iter().map(|job| job.kind.clone()).collect()
    }

    #[test]
    fn jobs_come_from_the_mode_then_its_family_then_the_default() {
        let catalogue = Catalogue::new(BTreeMap::new()).unwrap();
        assert_eq!(kinds(&catalogue, Some("bearing-outer-race")), ["inspection", "bearing-replacement"]);
        assert_eq!(kinds(&catalogue, Some("sensor-noise")), ["sensor-repair"]);
        assert_eq!(kinds(&catalogue, Some("electrical-overload")), ["electrical-inspection"]);
        assert_eq!(kinds(&catalogue, Some("belt-slip")), ["inspection"]);
        assert_eq!(kinds(&catalogue, None), ["inspection"]);
        for jobs in catalogue.0.values() {
            validate_jobs("built in", jobs).unwrap();
        }
    }

    #[test]
    fn the_configuration_replaces_a_list() {
        let overrides: BTreeMap<String, Vec<JobTemplate>> =
            serde_json::from_str(r#"{"bearing-ball":[{"kind":"swap","duration_minutes":30}]}"#).unwrap();
        let catalogue = Catalogue::new(overrides).unwrap();
        assert_eq!(kinds(&catalogue, Some("bearing-ball")), ["swap"]);
        assert_eq!(kinds(&catalogue, Some("bearing-impacts")), ["inspection", "bearing-replacement"]);
    }
}
