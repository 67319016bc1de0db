//! Checks that a problem is valid, so that the solver can rely on it.

use std::collections::HashSet;

use thiserror::Error;

use crate::model::{Job, Objective, Problem, Slots, Technician, Weights, Window};

/// Highest horizon in slots.
pub const MAX_HORIZON: Slots = 1_000_000;
/// Most jobs of a problem.
pub const MAX_JOBS: usize = 10_000;
/// Most technicians of a problem.
pub const MAX_TECHNICIANS: usize = 1_000;
/// Most tools, parts or machines of a problem.
pub const MAX_RESOURCES: usize = 10_000;
/// Most technicians of a crew.
pub const MAX_CREW: u32 = 100;
/// Highest amount of money, number of pieces or of tools.
const MAX_AMOUNT: f64 = 1e12;

/// A problem that cannot be read or is not valid.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ProblemError(pub(crate) String);

type Outcome = Result<(), ProblemError>;

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(ProblemError(message())) }
}

/// Returns the first fault of a problem, with what was expected.
pub(crate) fn check(problem: &Problem) -> Outcome {
    let horizon = problem.horizon;
    ensure((1..=MAX_HORIZON).contains(&horizon), || {
        format!("horizon: expected 1 to {MAX_HORIZON} slots; it is {horizon}: use longer slots (slot_minutes)")
    })?;
    ensure((1..=1440).contains(&problem.slot_minutes), || {
        format!("slot_minutes: expected 1 to 1440; it is {}", problem.slot_minutes)
    })?;
    let names = |list: &str, limit: usize, names: Vec<&String>| -> Outcome {
        ensure(names.len() <= limit, || format!("{list}: expected at most {limit}; there are {}", names.len()))?;
        let mut seen = HashSet::new();
        for name in names {
            ensure(!name.is_empty(), || format!("{list}: a name is empty"))?;
            ensure(seen.insert(name), || format!("{list}: the name {name} occurs twice; give each its own"))?;
        }
        Ok(())
    };
    names("jobs", MAX_JOBS, problem.jobs.iter().map(|job| &job.name).collect())?;
    names("technicians", MAX_TECHNICIANS, problem.technicians.iter().map(|one| &one.name).collect())?;
    names("machines", MAX_RESOURCES, problem.machines.iter().map(|machine| &machine.name).collect())?;
    names("tools", MAX_RESOURCES, problem.tools.iter().map(|tool| &tool.name).collect())?;
    names("parts", MAX_RESOURCES, problem.parts.iter().map(|part| &part.name).collect())?;
    for machine in &problem.machines {
        let at = format!("machine {}", machine.name);
        windows(&format!("{at}: stop_windows"), &machine.stop_windows, horizon)?;
        amount(&format!("{at}: downtime_cost_per_hour"), machine.downtime_cost_per_hour)?;
    }
    for part in &problem.parts {
        amount(&format!("part {}: unit_cost", part.name), part.unit_cost)?;
    }
    for technician in &problem.technicians {
        check_technician(technician, horizon)?;
    }
    for entry in &problem.travel {
        ensure(entry.slots <= MAX_HORIZON, || {
            format!("travel from {} to {}: expected at most {MAX_HORIZON} slots", entry.from, entry.to)
        })?;
    }
    if let Objective::TotalCost(weights) = problem.objective {
        check_weights(&weights)?;
    }
    let jobs: HashSet<&str> = problem.jobs.iter().map(|job| job.name.as_str()).collect();
    for job in &problem.jobs {
        check_job(problem, job, &jobs)?;
    }
    check_cycles(problem)
}

fn check_weights(weights: &Weights) -> Outcome {
    let Weights { labour, overtime, travel, downtime, risk, lateness, parts, postponement } = *weights;
    for (name, weight) in [
        ("labour", labour),
        ("overtime", overtime),
        ("travel", travel),
        ("downtime", downtime),
        ("risk", risk),
        ("lateness", lateness),
        ("parts", parts),
        ("postponement", postponement),
    ] {
        amount(&format!("objective: weight of {name}"), weight)?;
    }
    Ok(())
}

fn amount(at: &str, value: f64) -> Outcome {
    ensure((0.0..=MAX_AMOUNT).contains(&value), || format!("{at}: expected 0 to {MAX_AMOUNT}; it is {value}"))
}

fn windows(at: &str, windows: &[Window], horizon: Slots) -> Outcome {
    let mut last = 0;
    for window in windows {
        ensure(last <= window.start && window.start < window.end && window.end <= horizon, || {
            format!(
                "{at}: expected ascending, disjoint windows within 0 to {horizon}; {} to {} is not: sort, join and cut \
                 them",
                window.start, window.end
            )
        })?;
        last = window.end;
    }
    Ok(())
}

fn check_technician(technician: &Technician, horizon: Slots) -> Outcome {
    let at = format!("technician {}", technician.name);
    windows(&format!("{at}: shifts"), &technician.shifts, horizon)?;
    windows(&format!("{at}: overtime"), &technician.overtime, horizon)?;
    windows(&format!("{at}: absences"), &technician.absences, horizon)?;
    let mut both = [technician.shifts.as_slice(), technician.overtime.as_slice()].concat();
    both.sort_by_key(|window| window.start);
    windows(&format!("{at}: shifts and overtime together"), &both, horizon)?;
    amount(&format!("{at}: hourly_rate"), technician.hourly_rate)?;
    ensure((1.0..=100.0).contains(&technician.overtime_factor), || {
        format!("{at}: overtime_factor: expected 1 to 100; it is {}", technician.overtime_factor)
    })
}

fn check_job(problem: &Problem, job: &Job, jobs: &HashSet<&str>) -> Outcome {
    let at = format!("job {}", job.name);
    let known = |kind: &str, name: &str, is_known: bool| {
        ensure(is_known, || format!("{at}: the {kind} {name} is unknown; add it or correct the name"))
    };
    for slots in [Some(job.duration), Some(job.earliest_start), job.deadline, job.due].into_iter().flatten() {
        ensure(slots <= MAX_HORIZON, || format!("{at}: expected times up to {MAX_HORIZON} slots; {slots} is one"))?;
    }
    let crew: u64 = job.crew.iter().map(|role| u64::from(role.count)).sum();
    ensure(crew <= u64::from(MAX_CREW), || format!("{at}: expected a crew of at most {MAX_CREW}; it has {crew}"))?;
    ensure(job.crew.iter().all(|role| role.count > 0), || {
        format!("{at}: expected a count of at least 1 in each role")
    })?;
    if let Some(name) = &job.machine {
        known("machine", name, problem.machines.iter().any(|machine| machine.name == *name))?;
    }
    ensure(job.machine.is_some() || !job.stops_machine, || format!("{at}: stops_machine needs a machine"))?;
    for name in job.parts.keys() {
        known("part", name, problem.parts.iter().any(|part| part.name == *name))?;
    }
    for name in job.tools.keys() {
        known("tool", name, problem.tools.iter().any(|tool| tool.name == *name))?;
    }
    for dependency in &job.after {
        known("job", &dependency.job, jobs.contains(dependency.job.as_str()))?;
        ensure(dependency.lag <= MAX_HORIZON, || format!("{at}: expected a lag of at most {MAX_HORIZON} slots"))?;
    }
    if let Some(pin) = &job.pinned {
        ensure(pin.start <= MAX_HORIZON, || format!("{at}: pinned: expected a start of at most {MAX_HORIZON}"))?;
        for name in &pin.technicians {
            known("technician", name, problem.technicians.iter().any(|technician| technician.name == *name))?;
        }
    }
    amount(&format!("{at}: lateness_cost_per_hour"), job.lateness_cost_per_hour)?;
    amount(&format!("{at}: postponement_cost"), job.postponement_cost.unwrap_or(0.0))?;
    for point in &job.risk {
        amount(&format!("{at}: risk"), point.cost)?;
    }
    ensure(job.risk.windows(2).all(|pair| pair[0].end < pair[1].end), || {
        format!("{at}: risk: expected points in ascending order of their ends")
    })
}

/// Kahn's algorithm: jobs that remain are in a cycle or behind one.
fn check_cycles(problem: &Problem) -> Outcome {
    let index: std::collections::HashMap<&str, usize> =
        problem.jobs.iter().enumerate().map(|(index, job)| (job.name.as_str(), index)).collect();
    let mut later = vec![Vec::new(); problem.jobs.len()];
    let mut waits_for = vec![0_usize; problem.jobs.len()];
    for (at, job) in problem.jobs.iter().enumerate() {
        for first in job.after.iter().filter_map(|dependency| index.get(dependency.job.as_str())) {
            later[*first].push(at);
            waits_for[at] += 1;
        }
    }
    let mut free: Vec<usize> = (0..waits_for.len()).filter(|&at| waits_for[at] == 0).collect();
    while let Some(at) = free.pop() {
        for &next in &later[at] {
            waits_for[next] -= 1;
            if waits_for[next] == 0 {
                free.push(next);
            }
        }
    }
    let stuck: Vec<&str> =
        problem.jobs.iter().zip(&waits_for).filter(|(_, left)| **left > 0).map(|(job, _)| job.name.as_str()).collect();
    ensure(stuck.is_empty(), || {
        format!("jobs: {} wait for each other in a circle; remove one dependency", stuck.join(", "))
    })
}
