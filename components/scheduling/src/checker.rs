//! Checks a plan against a problem, and computes its costs, straight from their definitions.
//!
//! This module shares no code with the solver: it reads the problem by name, and tests each constraint slot by slot
//! or pair by pair. It is slow and simple on purpose.

use crate::{
    model::{Job, Objective, Problem, Slots, Technician, Window},
    plan::{Costs, Place, Plan},
};

/// Returns what is wrong with a plan, each in a sentence. An empty list means that every constraint holds.
///
/// The problem must be valid (see [`crate::validate`]).
pub fn violations(problem: &Problem, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    if plan.places.len() != problem.jobs.len() {
        found.push(format!("expected a place for {} jobs; the plan has {}", problem.jobs.len(), plan.places.len()));
        return found;
    }
    for (job, place) in problem.jobs.iter().zip(&plan.places) {
        match place {
            Some(place) => check_job(problem, plan, job, place, &mut found),
            None if job.postponement_cost.is_none() || !matches!(problem.objective, Objective::TotalCost(_)) => {
                found.push(format!("job {} is left out and may not be postponed", job.name));
            }
            None => {}
        }
    }
    for technician in 0..problem.technicians.len() {
        check_technician(problem, plan, technician, &mut found);
    }
    check_shared(problem, plan, &mut found);
    found
}

fn check_job(problem: &Problem, plan: &Plan, job: &Job, place: &Place, found: &mut Vec<String>) {
    let name = &job.name;
    let end = place.start + job.duration;
    if place.start < job.earliest_start {
        found.push(format!("job {name} starts at {}, before its earliest start {}", place.start, job.earliest_start));
    }
    let deadline = job.deadline.unwrap_or(problem.horizon).min(problem.horizon);
    if end > deadline {
        found.push(format!("job {name} ends at {end}, after its deadline {deadline}"));
    }
    for dependency in &job.after {
        let Some((index, first)) = problem.jobs.iter().enumerate().find(|(_, job)| job.name == dependency.job) else {
            found.push(format!("job {name} waits for the unknown job {}", dependency.job));
            continue;
        };
        match &plan.places[index] {
            Some(first_place) if first_place.start + first.duration + dependency.lag > place.start => {
                found
                    .push(format!("job {name} starts at {} before {} and its lag have ended", place.start, first.name));
            }
            Some(_) => {}
            None => found.push(format!("job {name} is planned, and {} before it is not", first.name)),
        }
    }
    if let Some(pin) = &job.pinned {
        let crew: Vec<&str> = place.technicians.iter().map(|&index| problem.technicians[index].name.as_str()).collect();
        let same_crew = pin.technicians.len() == crew.len() && pin.technicians.iter().all(|one| crew.contains(&&**one));
        if pin.start != place.start || !(pin.technicians.is_empty() || same_crew) {
            found.push(format!("job {name} is not where it is pinned"));
        }
    }
    check_crew(problem, job, place, found);
    if let Some(machine) = problem.machines.iter().find(|machine| Some(&machine.name) == job.machine.as_ref())
        && job.stops_machine
        && !machine.stop_windows.is_empty()
        && !(place.start..end).all(|slot| contains(&machine.stop_windows, slot))
    {
        found.push(format!("job {name} stops machine {} outside of its stop windows", machine.name));
    }
}

fn check_crew(problem: &Problem, job: &Job, place: &Place, found: &mut Vec<String>) {
    let name = &job.name;
    let needed: usize = job.crew.iter().map(|role| role.count as usize).sum();
    if place.technicians.len() != needed {
        found.push(format!("job {name} needs {needed} technicians and has {}", place.technicians.len()));
        return;
    }
    let mut members = place.technicians.iter();
    for role in &job.crew {
        for &member in members.by_ref().take(role.count as usize) {
            let Some(technician) = problem.technicians.get(member) else {
                found.push(format!("job {name} has the unknown technician number {member}"));
                return;
            };
            for (skill, level) in &role.skills {
                if technician.skills.get(skill).is_none_or(|has| has < level) {
                    found.push(format!("job {name}: {} lacks {skill} at level {level}", technician.name));
                }
            }
        }
    }
    for (index, member) in place.technicians.iter().enumerate() {
        if place.technicians[..index].contains(member) {
            found.push(format!("job {name} has {} twice", problem.technicians[*member].name));
        }
    }
}

/// The jobs of a technician in the order of their starts: start, end, site.
fn visits<'a>(problem: &'a Problem, plan: &Plan, technician: usize) -> Vec<(Slots, Slots, Option<&'a str>, &'a str)> {
    let mut visits = Vec::new();
    for (job, place) in problem.jobs.iter().zip(&plan.places) {
        if let Some(place) = place
            && place.technicians.contains(&technician)
        {
            visits.push((place.start, place.start + job.duration, site_of(problem, job), job.name.as_str()));
        }
    }
    visits.sort_unstable();
    visits
}

fn site_of<'a>(problem: &'a Problem, job: &'a Job) -> Option<&'a str> {
    let machine = problem.machines.iter().find(|machine| Some(&machine.name) == job.machine.as_ref());
    machine.and_then(|machine| machine.site.as_deref()).or(job.site.as_deref())
}

fn travel(problem: &Problem, from: Option<&str>, to: Option<&str>) -> Slots {
    let (Some(from), Some(to)) = (from, to) else { return 0 };
    if from == to {
        return 0;
    }
    let entry = problem
        .travel
        .iter()
        .find(|entry| (entry.from == from && entry.to == to) || (entry.from == to && entry.to == from));
    entry.map_or(0, |entry| entry.slots)
}

/// Maximal runs of slots of shifts or overtime without absence; all slots count if there are neither shifts nor overtime.
fn working_time(problem: &Problem, technician: &Technician) -> Vec<Window> {
    let always = technician.shifts.is_empty() && technician.overtime.is_empty();
    let works = |slot: Slots| {
        (always || contains(&technician.shifts, slot) || contains(&technician.overtime, slot))
            && !contains(&technician.absences, slot)
    };
    let mut runs: Vec<Window> = Vec::new();
    for slot in (0..problem.horizon).filter(|&slot| works(slot)) {
        match runs.last_mut() {
            Some(last) if last.end == slot => last.end = slot + 1,
            _ => runs.push(Window { start: slot, end: slot + 1 }),
        }
    }
    runs
}

fn check_technician(problem: &Problem, plan: &Plan, index: usize, found: &mut Vec<String>) {
    let technician = &problem.technicians[index];
    let visits = visits(problem, plan, index);
    let working_time = working_time(problem, technician);
    let mut before: Option<(Window, Slots, Option<&str>)> = None;
    for (position, &(start, end, site, name)) in visits.iter().enumerate() {
        let holds = |window: &Window| window.start <= start && end <= window.end;
        let Some(window) = working_time.iter().copied().find(holds) else {
            found.push(format!("{} does job {name} outside of the working time", technician.name));
            continue;
        };
        let ready = match before {
            Some((last_window, last_end, last_site)) if last_window == window => {
                last_end + travel(problem, last_site, site)
            }
            _ => window.start + travel(problem, technician.home.as_deref(), site),
        };
        if start < ready {
            found.push(format!("{} cannot start job {name} at {start}, but at {ready}", technician.name));
        }
        let is_last = visits.get(position + 1).is_none_or(|next| next.0 >= window.end);
        if is_last && end + travel(problem, site, technician.home.as_deref()) > window.end {
            found.push(format!("{} is not home at the end of the shift after job {name}", technician.name));
        }
        before = Some((window, end, site));
    }
}

fn check_shared(problem: &Problem, plan: &Plan, found: &mut Vec<String>) {
    let placed = || problem.jobs.iter().zip(&plan.places).filter_map(|(job, place)| Some((job, place.as_ref()?.start)));
    // The most is needed where a job starts.
    let starts: Vec<Slots> = placed().map(|(_, start)| start).collect();
    for &slot in &starts {
        let running = || placed().filter(|(job, start)| *start <= slot && slot < start + job.duration);
        for tool in &problem.tools {
            let used: u64 = running().map(|(job, _)| u64::from(job.tools.get(&tool.name).copied().unwrap_or(0))).sum();
            if used > u64::from(tool.count) {
                found.push(format!("{used} of tool {} are used at {slot}; there are {}", tool.name, tool.count));
            }
        }
        for machine in &problem.machines {
            let jobs = running().filter(|(job, _)| job.machine.as_ref() == Some(&machine.name)).count();
            if machine.jobs_at_once.is_some_and(|limit| jobs > limit as usize) {
                found.push(format!("{jobs} jobs are done on machine {} at {slot}", machine.name));
            }
        }
        for part in &problem.parts {
            let taken: u64 = placed()
                .filter(|(_, start)| *start <= slot)
                .map(|(job, _)| u64::from(job.parts.get(&part.name).copied().unwrap_or(0)))
                .sum();
            let arrived = part.deliveries.iter().filter(|delivery| delivery.at <= slot);
            let there = u64::from(part.stock) + arrived.map(|delivery| u64::from(delivery.quantity)).sum::<u64>();
            if taken > there {
                found.push(format!("{taken} of part {} are taken until {slot}; there are {there}", part.name));
            }
        }
    }
}

fn contains(windows: &[Window], slot: Slots) -> bool {
    windows.iter().any(|window| window.start <= slot && slot < window.end)
}

/// Returns the costs of a plan without weights.
pub fn costs(problem: &Problem, plan: &Plan) -> Costs {
    let hours = |slots: Slots| f64::from(slots) * f64::from(problem.slot_minutes) / 60.0;
    let mut costs = Costs::default();
    for (job, place) in problem.jobs.iter().zip(&plan.places) {
        let Some(place) = place else {
            costs.postponement += job.postponement_cost.unwrap_or(0.0);
            costs.risk += risk_at(job, problem.horizon);
            continue;
        };
        let end = place.start + job.duration;
        costs.makespan = costs.makespan.max(end);
        costs.risk += risk_at(job, end);
        costs.lateness += job.due.map_or(0.0, |due| job.lateness_cost_per_hour * hours(end.saturating_sub(due)));
        for part in &problem.parts {
            costs.parts += f64::from(job.parts.get(&part.name).copied().unwrap_or(0)) * part.unit_cost;
        }
        for &member in &place.technicians {
            let technician = &problem.technicians[member];
            let slots = (place.start..end).filter(|&slot| contains(&technician.overtime, slot)).count();
            let overtime = Slots::try_from(slots).unwrap_or(Slots::MAX);
            costs.labour += hours(job.duration - overtime) * technician.hourly_rate;
            costs.overtime += hours(overtime) * technician.hourly_rate * technician.overtime_factor;
        }
    }
    for (index, technician) in problem.technicians.iter().enumerate() {
        let mut slots = 0;
        let visits = visits(problem, plan, index);
        if problem.travel.is_empty() {
            continue;
        }
        for window in working_time(problem, technician) {
            let mut at = technician.home.as_deref();
            let mut any = false;
            for &(_, _, site, _) in visits.iter().filter(|visit| window.start <= visit.0 && visit.0 < window.end) {
                slots += travel(problem, at, site);
                at = site;
                any = true;
            }
            slots += if any { travel(problem, at, technician.home.as_deref()) } else { 0 };
        }
        costs.travel += hours(slots) * technician.hourly_rate;
    }
    for machine in &problem.machines {
        let stops = |slot: &Slots| {
            problem.jobs.iter().zip(&plan.places).any(|(job, place)| {
                let running = |place: &Place| place.start <= *slot && *slot < place.start + job.duration;
                job.stops_machine && job.machine.as_ref() == Some(&machine.name) && place.as_ref().is_some_and(running)
            })
        };
        let slots = if machine.downtime_cost_per_hour > 0.0 { (0..problem.horizon).filter(stops).count() } else { 0 };
        costs.downtime += hours(Slots::try_from(slots).unwrap_or(Slots::MAX)) * machine.downtime_cost_per_hour;
    }
    costs
}

fn risk_at(job: &Job, end: Slots) -> f64 {
    let Some(first) = job.risk.first() else { return 0.0 };
    if end <= first.end {
        return first.cost;
    }
    for pair in job.risk.windows(2) {
        if end <= pair[1].end {
            let share = f64::from(end - pair[0].end) / f64::from(pair[1].end - pair[0].end);
            return pair[0].cost + share * (pair[1].cost - pair[0].cost);
        }
    }
    job.risk.last().map_or(0.0, |last| last.cost)
}

/// Returns the objective of a plan: slots for the makespan, otherwise currency.
pub fn objective(problem: &Problem, plan: &Plan) -> f64 {
    let costs = costs(problem, plan);
    match problem.objective {
        Objective::Makespan => f64::from(costs.makespan),
        Objective::LabourCost => costs.labour + costs.overtime + costs.travel,
        Objective::TotalCost(weights) => {
            weights.labour * costs.labour
                + weights.overtime * costs.overtime
                + weights.travel * costs.travel
                + weights.downtime * costs.downtime
                + weights.risk * costs.risk
                + weights.lateness * costs.lateness
                + weights.parts * costs.parts
                + weights.postponement * costs.postponement
        }
    }
}
