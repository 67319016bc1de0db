//! MSPSP `.dzn` (MiniZinc data): activities that need a number of workers with each skill, all different.

use std::collections::BTreeMap;

use super::number;
use crate::{
    model::{Dependency, Job, Objective, Problem, Role, Technician},
    validate::ProblemError,
};

pub(super) fn read(text: &str) -> Result<Problem, ProblemError> {
    let fields = fields(text);
    let durations = numbers(&fields, "dur")?;
    let needs = rows(&fields, "sreq")?;
    let mastery = rows(&fields, "mastery")?;
    let (before, after) = (numbers(&fields, "pred")?, numbers(&fields, "succ")?);
    let skill_name = |index: usize| format!("S{}", index + 1);
    if needs.len() != durations.len() || before.len() != after.len() {
        return Err(ProblemError(format!(
            "expected as many rows in sreq as durations, and as many predecessors as successors; there are {}, {}, {} \
             and {}",
            needs.len(),
            durations.len(),
            before.len(),
            after.len()
        )));
    }
    let mut jobs = Vec::with_capacity(durations.len());
    for (index, (duration, row)) in durations.iter().zip(&needs).enumerate() {
        let mut crew = Vec::new();
        for (skill, field) in row.iter().enumerate() {
            let count = number(field, "sreq")?;
            if count > 0 {
                crew.push(Role { skills: BTreeMap::from([(skill_name(skill), 1)]), count });
            }
        }
        jobs.push(Job { name: (index + 1).to_string(), duration: *duration, crew, ..Job::default() });
    }
    for (first, second) in before.iter().zip(&after) {
        let later = (*second as usize).checked_sub(1).and_then(|index| jobs.get_mut(index));
        let later = later.ok_or_else(|| ProblemError(format!("succ: {second} is no number of an activity")))?;
        later.after.push(Dependency { job: first.to_string(), lag: 0 });
    }
    let technicians = mastery
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let has = row.iter().enumerate().filter(|(_, field)| **field == "true");
            Technician {
                name: (index + 1).to_string(),
                skills: has.map(|(skill, _)| (skill_name(skill), 1)).collect(),
                overtime_factor: 1.5,
                ..Technician::default()
            }
        })
        .collect();
    let horizon = durations.iter().sum::<u32>().max(1);
    Ok(Problem {
        slot_minutes: 60,
        horizon,
        objective: Objective::Makespan,
        jobs,
        technicians,
        machines: Vec::new(),
        tools: Vec::new(),
        parts: Vec::new(),
        travel: Vec::new(),
    })
}

/// The statements `name = value;` without comments.
fn fields(text: &str) -> BTreeMap<String, String> {
    let without_comments: Vec<&str> = text.lines().map(|line| line.split('%').next().unwrap_or("")).collect();
    without_comments
        .join("\n")
        .split(';')
        .filter_map(|statement| statement.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

fn field<'a>(fields: &'a BTreeMap<String, String>, name: &str) -> Result<&'a str, ProblemError> {
    fields
        .get(name)
        .map(String::as_str)
        .ok_or_else(|| ProblemError(format!("expected the statement `{name} = …;` of an MSPSP file; it is missing")))
}

/// `[1, 2, 3]`
fn numbers(fields: &BTreeMap<String, String>, name: &str) -> Result<Vec<u32>, ProblemError> {
    let list = field(fields, name)?.trim_matches(['[', ']']);
    list.split(',').map(str::trim).filter(|one| !one.is_empty()).map(|one| number(one, name)).collect()
}

/// `[| 1,2 | 3,4 |]`
fn rows<'a>(fields: &'a BTreeMap<String, String>, name: &str) -> Result<Vec<Vec<&'a str>>, ProblemError> {
    let table = field(fields, name)?.trim_matches(['[', ']']);
    let rows = table.split('|').map(str::trim).filter(|row| !row.is_empty());
    Ok(rows.map(|row| row.split(',').map(str::trim).filter(|one| !one.is_empty()).collect()).collect())
}
