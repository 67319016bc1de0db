//! iMOPSE `.def`: a technician who has the skill at the level does a task alone.

use std::collections::BTreeMap;

use super::number;
use crate::{
    model::{Dependency, Job, Problem, Role, Technician},
    validate::ProblemError,
};

pub(super) fn read(text: &str) -> Result<Problem, ProblemError> {
    #[derive(PartialEq)]
    enum Section {
        Head,
        Technicians,
        Tasks,
    }
    let mut section = Section::Head;
    let mut technicians = Vec::new();
    let mut jobs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.first() {
            Some(&"ResourceID") => section = Section::Technicians,
            Some(&"TaskID") => section = Section::Tasks,
            Some(first) if first.starts_with(|char: char| char.is_ascii_digit()) => match section {
                Section::Head => {}
                Section::Technicians => technicians.push(technician(&fields, index + 1)?),
                Section::Tasks => jobs.push(task(&fields, index + 1)?),
            },
            _ => {}
        }
    }
    if section != Section::Tasks || jobs.is_empty() {
        return Err(ProblemError("expected the tables ResourceID and TaskID of an iMOPSE file".to_owned()));
    }
    let horizon = jobs.iter().map(|job: &Job| job.duration).sum::<u32>().max(1);
    Ok(Problem {
        slot_minutes: 60,
        horizon,
        objective: crate::model::Objective::Makespan,
        jobs,
        technicians,
        machines: Vec::new(),
        tools: Vec::new(),
        parts: Vec::new(),
        travel: Vec::new(),
    })
}

/// `1 56.2 Q4: 1 Q0: 0`
fn technician(fields: &[&str], line: usize) -> Result<Technician, ProblemError> {
    let salary = fields.get(1).and_then(|field| field.parse().ok());
    let hourly_rate = salary
        .ok_or_else(|| ProblemError(format!("line {line}: expected a salary after the number of the resource")))?;
    Ok(Technician {
        name: fields[0].to_owned(),
        hourly_rate,
        skills: skills(&fields[2..], line)?.0,
        overtime_factor: 1.5,
        ..Technician::default()
    })
}

/// `12 30 Q13: 2 6 9`
fn task(fields: &[&str], line: usize) -> Result<Job, ProblemError> {
    let what = format!("line {line}: task");
    let duration = number(fields.get(1).copied().unwrap_or(""), &format!("{what}: duration"))?;
    let (skills, rest) = skills(&fields[2..], line)?;
    let mut after = Vec::new();
    for field in rest {
        after.push(Dependency { job: number(field, &format!("{what}: predecessor"))?.to_string(), lag: 0 });
    }
    Ok(Job { name: fields[0].to_owned(), duration, crew: vec![Role { skills, count: 1 }], after, ..Job::default() })
}

/// Reads pairs of `Q1:` and a level; returns the fields after them, too.
fn skills<'a>(fields: &'a [&'a str], line: usize) -> Result<(BTreeMap<String, u32>, &'a [&'a str]), ProblemError> {
    let mut skills = BTreeMap::new();
    let mut rest = fields;
    while let [name, level, tail @ ..] = rest
        && let Some(name) = name.strip_suffix(':')
    {
        skills.insert(name.to_owned(), number(level, &format!("line {line}: level of {name}"))?);
        rest = tail;
    }
    Ok((skills, rest))
}
