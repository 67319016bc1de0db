//! A valid problem in the form in which the solver reads it: names are replaced by indices, windows are joined, and
//! longest paths are known.

use std::collections::HashMap;

use crate::{
    model::{Job, Objective, Problem, Role, Weights, Window},
    validate::{self, ProblemError},
};

/// A time in slots. Signed, because differences are computed.
pub(crate) type Time = i32;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) jobs: Vec<JobData>,
    pub(crate) technicians: Vec<TechnicianData>,
    /// Number of each tool. Limits of jobs at once on a machine are tools too.
    pub(crate) tools: Vec<u32>,
    pub(crate) parts: Vec<PartData>,
    pub(crate) machines: Vec<MachineData>,
    /// Travel times by site; site 0 is nowhere, from and to which no travel is needed.
    pub(crate) travel: Vec<Vec<Time>>,
    pub(crate) horizon: Time,
    pub(crate) objective: ObjectiveData,
    /// The jobs in an order in which each stands after its predecessors.
    pub(crate) topological: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct JobData {
    pub(crate) duration: Time,
    pub(crate) earliest: Time,
    pub(crate) deadline: Time,
    /// Predecessors with the lag after their end.
    pub(crate) before: Vec<(usize, Time)>,
    /// Successors with the lag after the end of this job.
    pub(crate) after: Vec<(usize, Time)>,
    pub(crate) roles: Vec<RoleData>,
    /// Technicians who can fill any of the roles, ascending.
    pub(crate) candidates: Vec<usize>,
    pub(crate) tools: Vec<(usize, u32)>,
    pub(crate) parts: Vec<(usize, u32)>,
    pub(crate) machine: Option<usize>,
    /// Windows of which one must contain the job. None: no restriction.
    pub(crate) windows: Option<Vec<(Time, Time)>>,
    /// The machine whose standstill the job causes.
    pub(crate) stops: Option<usize>,
    pub(crate) site: usize,
    pub(crate) pinned_start: Option<Time>,
    pub(crate) pinned_crew: Option<Vec<usize>>,
    pub(crate) postponement: Option<f64>,
    pub(crate) due: Option<Time>,
    pub(crate) lateness_per_slot: f64,
    pub(crate) parts_cost: f64,
    pub(crate) risk: Vec<(Time, f64)>,
    /// Earliest start by release times, pins and predecessors.
    pub(crate) head: Time,
    /// Least time between the end of this job and the end of the plan, by the successors that must be done.
    pub(crate) tail: Time,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RoleData {
    /// Technicians with the skills, ascending.
    pub(crate) candidates: Vec<usize>,
    pub(crate) count: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct TechnicianData {
    /// Working time; windows that touch are joined.
    pub(crate) windows: Vec<(Time, Time)>,
    pub(crate) overtime: Vec<(Time, Time)>,
    pub(crate) rate_per_slot: f64,
    pub(crate) overtime_factor: f64,
    pub(crate) home: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct PartData {
    pub(crate) stock: i64,
    pub(crate) deliveries: Vec<(Time, i64)>,
}

#[derive(Clone, Debug)]
pub(crate) struct MachineData {
    pub(crate) downtime_per_slot: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ObjectiveData {
    Makespan,
    Cost(Weights),
}

impl Instance {
    /// Compiles a problem. Fails if it is not valid.
    pub(crate) fn new(problem: &Problem) -> Result<Self, ProblemError> {
        validate::check(problem)?;
        let sites = Sites::new(problem);
        let index_of = |names: Vec<&str>| -> HashMap<String, usize> {
            names.into_iter().enumerate().map(|(index, name)| (name.to_owned(), index)).collect()
        };
        let job_index = index_of(problem.jobs.iter().map(|job| job.name.as_str()).collect());
        let technician_index = index_of(problem.technicians.iter().map(|one| one.name.as_str()).collect());
        let machine_index = index_of(problem.machines.iter().map(|machine| machine.name.as_str()).collect());
        let tool_index = index_of(problem.tools.iter().map(|tool| tool.name.as_str()).collect());
        let part_index = index_of(problem.parts.iter().map(|part| part.name.as_str()).collect());
        let mut tools: Vec<u32> = problem.tools.iter().map(|tool| tool.count).collect();
        let machine_tools: Vec<Option<usize>> = problem
            .machines
            .iter()
            .map(|machine| {
                machine.jobs_at_once.map(|count| {
                    tools.push(count);
                    tools.len() - 1
                })
            })
            .collect();
        let slot_hours = f64::from(problem.slot_minutes) / 60.0;
        let mut jobs: Vec<JobData> = Vec::with_capacity(problem.jobs.len());
        for job in &problem.jobs {
            let machine = job.machine.as_ref().and_then(|name| machine_index.get(name)).copied();
            let data = machine.map(|index| &problem.machines[index]);
            let mut job_tools: Vec<(usize, u32)> =
                job.tools.iter().filter(|(_, need)| **need > 0).map(|(name, need)| (tool_index[name], *need)).collect();
            job_tools.extend(machine.and_then(|index| machine_tools[index]).map(|tool| (tool, 1)));
            let stop_windows = data.filter(|machine| job.stops_machine && !machine.stop_windows.is_empty());
            let roles: Vec<RoleData> = job.crew.iter().map(|role| role_data(problem, role)).collect();
            let mut candidates: Vec<usize> = roles.iter().flat_map(|role| role.candidates.iter().copied()).collect();
            candidates.sort_unstable();
            candidates.dedup();
            jobs.push(JobData {
                duration: time(job.duration),
                earliest: time(job.earliest_start),
                deadline: time(job.deadline.unwrap_or(problem.horizon).min(problem.horizon)),
                before: job.after.iter().map(|first| (job_index[&first.job], time(first.lag))).collect(),
                after: Vec::new(),
                roles,
                candidates,
                tools: job_tools,
                parts: job
                    .parts
                    .iter()
                    .filter(|(_, need)| **need > 0)
                    .map(|(name, need)| (part_index[name], *need))
                    .collect(),
                machine,
                windows: stop_windows.map(|machine| joined(&machine.stop_windows)),
                stops: machine.filter(|_| job.stops_machine),
                site: sites.of(data.and_then(|machine| machine.site.as_ref()).or(job.site.as_ref())),
                pinned_start: job.pinned.as_ref().map(|pin| time(pin.start)),
                pinned_crew: pinned_crew(problem, job, &technician_index),
                postponement: job.postponement_cost.filter(|_| matches!(problem.objective, Objective::TotalCost(_))),
                due: job.due.map(time),
                lateness_per_slot: job.lateness_cost_per_hour * slot_hours,
                parts_cost: problem
                    .parts
                    .iter()
                    .map(|part| f64::from(job.parts.get(&part.name).copied().unwrap_or(0)) * part.unit_cost)
                    .sum(),
                risk: job.risk.iter().map(|point| (time(point.end), point.cost)).collect(),
                head: 0,
                tail: 0,
            });
        }
        let technicians = problem
            .technicians
            .iter()
            .map(|technician| {
                let both = [technician.shifts.as_slice(), technician.overtime.as_slice()].concat();
                let working = if both.is_empty() { vec![(0, time(problem.horizon))] } else { joined(&both) };
                TechnicianData {
                    windows: cut(working, &joined(&technician.absences)),
                    overtime: joined(&technician.overtime),
                    rate_per_slot: technician.hourly_rate * slot_hours,
                    overtime_factor: technician.overtime_factor,
                    home: sites.of(technician.home.as_ref()),
                }
            })
            .collect();
        let parts = problem
            .parts
            .iter()
            .map(|part| PartData {
                stock: i64::from(part.stock),
                deliveries: part.deliveries.iter().map(|one| (time(one.at), i64::from(one.quantity))).collect(),
            })
            .collect();
        let machines = problem
            .machines
            .iter()
            .map(|machine| MachineData { downtime_per_slot: machine.downtime_cost_per_hour * slot_hours })
            .collect();
        let mut instance = Self {
            jobs,
            technicians,
            tools,
            parts,
            machines,
            travel: sites.travel,
            horizon: time(problem.horizon),
            objective: objective(problem.objective.clone()),
            topological: Vec::new(),
        };
        instance.link();
        Ok(instance)
    }

    /// Fills in the successors, the topological order, the heads and the tails.
    fn link(&mut self) {
        for index in 0..self.jobs.len() {
            for (first, lag) in self.jobs[index].before.clone() {
                self.jobs[first].after.push((index, lag));
            }
        }
        let mut waits_for: Vec<usize> = self.jobs.iter().map(|job| job.before.len()).collect();
        let mut order: Vec<usize> = (0..self.jobs.len()).filter(|&index| waits_for[index] == 0).collect();
        let mut next = 0;
        while next < order.len() {
            for &(later, _) in &self.jobs[order[next]].after {
                waits_for[later] -= 1;
                if waits_for[later] == 0 {
                    order.push(later);
                }
            }
            next += 1;
        }
        for &index in &order {
            let job = &self.jobs[index];
            let ready = job.before.iter().map(|&(first, lag)| {
                self.jobs[first].head.saturating_add(self.jobs[first].duration).saturating_add(lag)
            });
            let earliest = job.pinned_start.map_or(job.earliest, |pinned| pinned.max(job.earliest));
            self.jobs[index].head = ready.fold(earliest, Time::max);
        }
        for &index in order.iter().rev() {
            let job = &self.jobs[index];
            // Nothing needs to follow a job if its successor may be left out.
            let needed = job.after.iter().filter(|&&(later, _)| self.jobs[later].postponement.is_none());
            let tails = needed.map(|&(later, lag)| {
                self.jobs[later].tail.saturating_add(self.jobs[later].duration).saturating_add(lag)
            });
            self.jobs[index].tail = tails.fold(0, Time::max);
        }
        self.topological = order;
    }

    /// Returns the problem backwards in time: what ends now starts then. None if something depends on the time.
    pub(crate) fn reversed(&self) -> Option<Self> {
        let is_symmetric = self.technicians.iter().all(|technician| technician.windows == [(0, self.horizon)])
            && self.jobs.iter().all(|job| {
                job.earliest == 0
                    && job.deadline == self.horizon
                    && job.parts.is_empty()
                    && job.windows.is_none()
                    && job.pinned_start.is_none()
            });
        if !is_symmetric {
            return None;
        }
        let mut reversed = self.clone();
        for job in &mut reversed.jobs {
            std::mem::swap(&mut job.before, &mut job.after);
            std::mem::swap(&mut job.head, &mut job.tail);
        }
        reversed.topological.reverse();
        Some(reversed)
    }

    /// Returns the travel time between two sites.
    pub(crate) fn travel(&self, from: usize, to: usize) -> Time {
        self.travel[from][to]
    }

    /// Whether a technician is always available, nobody travels, and nothing but technicians and predecessors limits
    /// the jobs.
    pub(crate) fn is_plain(&self) -> bool {
        let always = |one: &TechnicianData| one.windows == [(0, self.horizon)];
        self.travel.len() == 1
            && self.technicians.iter().all(always)
            && self.jobs.iter().all(|job| {
                job.tools.is_empty()
                    && job.parts.is_empty()
                    && job.windows.is_none()
                    && job.pinned_start.is_none()
                    && job.postponement.is_none()
            })
    }
}

fn objective(objective: Objective) -> ObjectiveData {
    match objective {
        Objective::Makespan => ObjectiveData::Makespan,
        Objective::LabourCost => ObjectiveData::Cost(Weights {
            downtime: 0.0,
            risk: 0.0,
            lateness: 0.0,
            parts: 0.0,
            postponement: 0.0,
            ..Weights::default()
        }),
        Objective::TotalCost(weights) => ObjectiveData::Cost(weights),
    }
}

fn role_data(problem: &Problem, role: &Role) -> RoleData {
    let suits = |technician: &crate::model::Technician| {
        role.skills.iter().all(|(skill, level)| technician.skills.get(skill).is_some_and(|has| has >= level))
    };
    let candidates = (0..problem.technicians.len()).filter(|&index| suits(&problem.technicians[index])).collect();
    RoleData { candidates, count: role.count as usize }
}

fn pinned_crew(problem: &Problem, job: &Job, technician_index: &HashMap<String, usize>) -> Option<Vec<usize>> {
    let pin = job.pinned.as_ref().filter(|pin| !pin.technicians.is_empty())?;
    let members: Vec<usize> = pin.technicians.iter().map(|name| technician_index[name]).collect();
    let roles: Vec<RoleData> = job.crew.iter().map(|role| role_data(problem, role)).collect();
    // A crew that cannot fill the roles stays as it is; then no plan exists.
    Some(crate::crew::fill(&roles, &members).unwrap_or(members))
}

/// Returns a valid time as signed; `validate` bounds all times.
fn time(slots: u32) -> Time {
    Time::try_from(slots).unwrap_or(Time::MAX)
}

fn joined(windows: &[Window]) -> Vec<(Time, Time)> {
    let mut sorted: Vec<(Time, Time)> = windows.iter().map(|window| (time(window.start), time(window.end))).collect();
    sorted.sort_unstable();
    let mut joined: Vec<(Time, Time)> = Vec::with_capacity(sorted.len());
    for (start, end) in sorted {
        match joined.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// Removes the absences from windows; both are ascending and disjoint.
fn cut(windows: Vec<(Time, Time)>, absences: &[(Time, Time)]) -> Vec<(Time, Time)> {
    let mut left = Vec::with_capacity(windows.len() + absences.len());
    for (open, end) in windows {
        let mut start = open;
        for &(from, to) in absences.iter().filter(|absence| absence.0 < end && absence.1 > open) {
            if from > start {
                left.push((start, from));
            }
            start = to;
        }
        if start < end {
            left.push((start, end));
        }
    }
    left
}

struct Sites {
    index: HashMap<String, usize>,
    travel: Vec<Vec<Time>>,
}

impl Sites {
    fn new(problem: &Problem) -> Self {
        let mut index = HashMap::new();
        for entry in &problem.travel {
            for site in [&entry.from, &entry.to] {
                let next = index.len() + 1;
                index.entry(site.clone()).or_insert(next);
            }
        }
        let mut travel = vec![vec![0; index.len() + 1]; index.len() + 1];
        // The first entry of a pair counts.
        for entry in problem.travel.iter().rev() {
            let (from, to) = (index[&entry.from], index[&entry.to]);
            if from != to {
                travel[from][to] = time(entry.slots);
                travel[to][from] = time(entry.slots);
            }
        }
        Self { index, travel }
    }

    /// Returns the index of a site. A site without travel times is like none.
    fn of(&self, site: Option<&String>) -> usize {
        site.and_then(|name| self.index.get(name)).copied().unwrap_or(0)
    }
}
