//! Why a problem has no plan: a minimal set of jobs that do not fit together, and what would help.

use crate::{
    instance::Instance,
    model::{Job, Problem},
    solver::Solver,
    validate::ProblemError,
};

/// Most jobs for which the smallest set is searched.
const MAX_JOBS: usize = 200;

/// Returns sentences that say why a problem has no plan, or none if there is one.
///
/// Jobs are removed one after the other, as long as the rest has no plan (deletion filter; Chinneck and Dravnieks
/// 1991). Then each limit of the remaining jobs is lifted for a trial. A set counts as having no plan if none is found
/// in `steps` steps, so with few steps the set may be larger than necessary. Fails if the problem is not valid.
pub fn conflict(problem: &Problem, steps: u64) -> Result<Vec<String>, ProblemError> {
    let alone = impossible_jobs(problem)?;
    if !alone.is_empty() {
        return Ok(alone);
    }
    if has_plan(problem, steps)? {
        return Ok(Vec::new());
    }
    let mut core = problem.clone();
    if core.jobs.len() <= MAX_JOBS {
        for job in &problem.jobs {
            let fewer = without(&core, &job.name);
            if !has_plan(&fewer, steps)? {
                core = fewer;
            }
        }
    }
    let names: Vec<&str> = core.jobs.iter().map(|job| job.name.as_str()).collect();
    let mut sentences = vec![match names.as_slice() {
        [one] => format!("job {one} has no place"),
        names => format!("the jobs {} do not fit together", names.join(", ")),
    }];
    for (what, trial) in relaxations(&core) {
        if has_plan(&trial, steps)? {
            sentences.push(format!("they would fit {what}"));
        }
    }
    Ok(sentences)
}

fn has_plan(problem: &Problem, steps: u64) -> Result<bool, ProblemError> {
    let mut solver = Solver::new(problem, 1)?;
    solver.run(steps, &mut |progress| progress.objective.is_none());
    Ok(solver.progress().objective.is_some())
}

fn without(problem: &Problem, name: &str) -> Problem {
    let mut fewer = problem.clone();
    fewer.jobs.retain(|job| job.name != name);
    for job in &mut fewer.jobs {
        job.after.retain(|dependency| dependency.job != name);
    }
    fewer
}

/// Says which jobs have no place even alone, and why.
fn impossible_jobs(problem: &Problem) -> Result<Vec<String>, ProblemError> {
    let instance = Instance::new(problem)?;
    let mut sentences = Vec::new();
    for (job, data) in problem.jobs.iter().zip(&instance.jobs) {
        if job.postponement_cost.is_some() {
            continue;
        }
        let name = &job.name;
        for (role, filled) in job.crew.iter().zip(&data.roles) {
            if filled.candidates.len() < filled.count {
                let skills: Vec<String> =
                    role.skills.iter().map(|(skill, level)| format!("{skill} at level {level} or above")).collect();
                sentences.push(format!(
                    "job {name} needs {} with {}; there are {}",
                    role.count,
                    if skills.is_empty() { "no special skill".to_owned() } else { skills.join(" and ") },
                    filled.candidates.len()
                ));
            }
        }
        let longest = |windows: &[(i32, i32)]| windows.iter().map(|window| window.1 - window.0).max().unwrap_or(0);
        let shift = data.candidates.iter().map(|&one| longest(&instance.technicians[one].windows)).max();
        if let Some(shift) = shift.filter(|&shift| shift < data.duration) {
            sentences.push(format!(
                "job {name} takes {} slots; the longest shift of a suitable technician has {shift}: split the job or \
                 allow overtime",
                data.duration
            ));
        }
        if let Some(window) = data.windows.as_deref().map(longest).filter(|&window| window < data.duration) {
            sentences.push(format!(
                "job {name} takes {} slots; the longest window in which its machine may be stopped has {window}",
                data.duration
            ));
        }
        let latest = data.deadline.min(instance.horizon);
        if data.head.saturating_add(data.duration) > latest {
            sentences.push(format!(
                "job {name} ends at {} at the earliest, after its deadline {latest}",
                data.head.saturating_add(data.duration)
            ));
        }
        for (tool, need) in &job.tools {
            let there = problem.tools.iter().find(|other| other.name == *tool).map_or(0, |tool| tool.count);
            if *need > there {
                sentences.push(format!("job {name} needs {need} of tool {tool}; there are {there}"));
            }
        }
        for (part, need) in &job.parts {
            let there = problem.parts.iter().find(|other| other.name == *part).map_or(0, |part| {
                part.deliveries.iter().fold(part.stock, |sum, delivery| sum.saturating_add(delivery.quantity))
            });
            if *need > there {
                sentences.push(format!("job {name} needs {need} of part {part}; {there} are in stock or on order"));
            }
        }
    }
    Ok(sentences)
}

/// Copies of the problem, each with one limit lifted, and in words which.
fn relaxations(problem: &Problem) -> Vec<(String, Problem)> {
    type JobEdit = (&'static str, fn(&mut Job));
    let mut trials = Vec::new();
    let mut change = |what: String, edit: &dyn Fn(&mut Problem)| {
        let mut trial = problem.clone();
        edit(&mut trial);
        if trial != *problem {
            trials.push((what, trial));
        }
    };
    let job_edits: [JobEdit; 6] = [
        ("without the deadline of job", |job| job.deadline = None),
        ("if job could start at once:", |job| job.earliest_start = 0),
        ("without the pin of job", |job| job.pinned = None),
        ("without the dependencies of job", |job| job.after.clear()),
        ("if there were more parts for job", |job| job.parts.clear()),
        ("if there were more tools for job", |job| job.tools.clear()),
    ];
    for index in 0..problem.jobs.len() {
        for (what, edit) in job_edits {
            change(format!("{what} {}", problem.jobs[index].name), &|trial| edit(&mut trial.jobs[index]));
        }
    }
    for index in 0..problem.machines.len() {
        let name = &problem.machines[index].name;
        let edit = |trial: &mut Problem| trial.machines[index].stop_windows.clear();
        change(format!("if machine {name} could be stopped at any time"), &edit);
        let edit = |trial: &mut Problem| trial.machines[index].jobs_at_once = None;
        change(format!("if more jobs could be done on machine {name} at a time"), &edit);
    }
    for index in 0..problem.technicians.len() {
        let edit = |trial: &mut Problem| {
            trial.technicians[index].shifts.clear();
            trial.technicians[index].overtime.clear();
            trial.technicians[index].absences.clear();
        };
        change(format!("if {} could work at any time", problem.technicians[index].name), &edit);
    }
    let edit = |trial: &mut Problem| trial.travel.clear();
    change("if nobody had to travel".to_owned(), &edit);
    trials
}
