//! PSPLIB `.sm`: jobs with one mode that occupy renewable resources, which become tools.

use super::number;
use crate::{
    model::{Dependency, Job, Objective, Problem, Tool},
    validate::ProblemError,
};

pub(super) fn read(text: &str) -> Result<Problem, ProblemError> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut tools: Vec<Tool> = Vec::new();
    let mut section = "";
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        for title in ["PRECEDENCE RELATIONS", "REQUESTS/DURATIONS", "RESOURCEAVAILABILITIES"] {
            if line.starts_with(title) {
                section = title;
            }
        }
        let mut numbers = Vec::new();
        for field in line.split_whitespace() {
            match number(field, "field") {
                Ok(value) => numbers.push(value),
                Err(_) => break,
            }
        }
        let [first, second, rest @ ..] = numbers.as_slice() else { continue };
        match section {
            // jobnr, modes, successors, their numbers
            "PRECEDENCE RELATIONS" => {
                let successors = rest.get(1..).unwrap_or(&[]);
                for successor in successors {
                    let place = *successor as usize;
                    if place == 0 || place > crate::validate::MAX_JOBS {
                        return Err(ProblemError(format!("line {line_number}: {place} is no number of a job")));
                    }
                    jobs_resize(&mut jobs, place);
                    jobs[place - 1].after.push(Dependency { job: first.to_string(), lag: 0 });
                }
            }
            // jobnr, mode, duration, demands
            "REQUESTS/DURATIONS" => {
                let place = *first as usize;
                if place == 0 || place > crate::validate::MAX_JOBS || rest.is_empty() || *second != 1 {
                    return Err(ProblemError(format!(
                        "line {line_number}: expected job, mode 1, duration and demands of a file with one mode"
                    )));
                }
                jobs_resize(&mut jobs, place);
                let job = &mut jobs[place - 1];
                job.duration = rest[0];
                job.tools = (1..).map(|resource| format!("R{resource}")).zip(rest[1..].iter().copied()).collect();
            }
            "RESOURCEAVAILABILITIES" => {
                let counts = numbers.iter().enumerate();
                tools = counts.map(|(index, &count)| Tool { name: format!("R{}", index + 1), count }).collect();
            }
            _ => {}
        }
    }
    if jobs.is_empty() || tools.is_empty() {
        return Err(ProblemError(
            "expected the sections PRECEDENCE RELATIONS, REQUESTS/DURATIONS and RESOURCEAVAILABILITIES of a PSPLIB \
             file"
                .to_owned(),
        ));
    }
    let horizon = jobs.iter().map(|job| job.duration).sum::<u32>().max(1);
    Ok(Problem {
        slot_minutes: 60,
        horizon,
        objective: Objective::Makespan,
        jobs,
        technicians: Vec::new(),
        machines: Vec::new(),
        tools,
        parts: Vec::new(),
        travel: Vec::new(),
    })
}

/// Adds empty jobs until there are `count`.
fn jobs_resize(jobs: &mut Vec<Job>, count: usize) {
    while jobs.len() < count {
        jobs.push(Job { name: (jobs.len() + 1).to_string(), ..Job::default() });
    }
}
