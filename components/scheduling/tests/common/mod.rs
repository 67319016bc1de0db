//! Small random plants, and the best plan by trying them all.
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use wheeltapper_scheduling::{
    Delivery, Dependency, Job, Machine, Objective, Part, Pin, Place, Plan, Problem, RiskPoint, Role, Technician, Tool,
    Travel, Weights, Window, checker,
};

/// Which features a random plant has.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    pub cost: bool,
    pub calendars: bool,
    pub travel: bool,
}

/// Numbers from which a plant is made.
pub fn numbers() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0_u32..1000, 120)
}

struct Source<'a>(std::iter::Cycle<std::slice::Iter<'a, u32>>);

impl Source<'_> {
    /// From `low` to `high`, both included.
    fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.0.next().map_or(0, |number| number % (high - low + 1))
    }
    fn one_in(&mut self, chances: u32) -> bool {
        self.between(1, chances) == 1
    }
}

/// Makes a plant of at most four jobs, three technicians and twelve slots.
pub fn plant(numbers: &[u32], features: Features) -> Problem {
    let mut source = Source(numbers.iter().cycle());
    let horizon = source.between(5, 12);
    let skill_names = ["electrician", "mechanic"];
    let sites = ["north", "south"];
    let technicians =
        (0..source.between(1, 3)).map(|index| technician(&mut source, index, horizon, features)).collect();
    let machines: Vec<Machine> = (0..2)
        .map(|index| Machine {
            name: format!("m{index}"),
            site: features.travel.then(|| sites[source.between(0, 1) as usize].to_owned()),
            downtime_cost_per_hour: f64::from(source.between(0, 3)),
            stop_windows: if features.calendars && source.one_in(3) {
                let start = source.between(0, 3);
                vec![Window { start, end: source.between(start + 2, horizon.max(start + 2)).min(horizon) }]
            } else {
                Vec::new()
            },
            jobs_at_once: source.one_in(3).then_some(1),
        })
        .collect();
    let job_count = source.between(1, 4);
    let jobs = (0..job_count)
        .map(|index| {
            let mut job = Job {
                name: format!("j{index}"),
                duration: source.between(1, 3),
                earliest_start: if source.one_in(3) { source.between(0, 3) } else { 0 },
                deadline: source.one_in(4).then(|| source.between(4, 12)),
                ..Job::default()
            };
            for skill in skill_names.iter().take(source.between(0, 2) as usize) {
                let skills = BTreeMap::from([((*skill).to_owned(), source.between(1, 2))]);
                job.crew.push(Role { skills, count: if source.one_in(5) { 2 } else { 1 } });
            }
            if index > 0 && source.one_in(3) {
                let lag = if source.one_in(3) { 1 } else { 0 };
                job.after.push(Dependency { job: format!("j{}", source.between(0, index - 1)), lag });
            }
            if source.one_in(2) {
                job.machine = Some(format!("m{}", source.between(0, 1)));
                job.stops_machine = source.one_in(2);
            } else if features.travel {
                job.site = Some(sites[source.between(0, 1) as usize].to_owned());
            }
            if source.one_in(4) {
                job.tools.insert("crane".to_owned(), 1);
            }
            if source.one_in(4) {
                job.parts.insert("bearing".to_owned(), 1);
            }
            if features.cost {
                job.due = source.one_in(2).then(|| source.between(2, 8));
                job.lateness_cost_per_hour = f64::from(source.between(0, 4));
                if source.one_in(2) {
                    let low = f64::from(source.between(0, 5));
                    let high = low + f64::from(source.between(0, 20));
                    job.risk = vec![RiskPoint { end: 2, cost: low }, RiskPoint { end: 9, cost: high }];
                }
                job.postponement_cost = source.one_in(4).then(|| f64::from(source.between(0, 30)));
            }
            if source.one_in(8) {
                job.pinned = Some(Pin { start: source.between(0, 5), technicians: Vec::new() });
            }
            job
        })
        .collect();
    Problem {
        slot_minutes: 60,
        horizon,
        objective: if features.cost { Objective::TotalCost(Weights::default()) } else { Objective::Makespan },
        jobs,
        technicians,
        machines,
        tools: vec![Tool { name: "crane".to_owned(), count: 1 }],
        parts: vec![Part {
            name: "bearing".to_owned(),
            stock: source.between(0, 2),
            unit_cost: 3.0,
            deliveries: vec![Delivery { at: source.between(1, 6), quantity: source.between(0, 2) }],
        }],
        travel: if features.travel {
            vec![Travel { from: "north".to_owned(), to: "south".to_owned(), slots: source.between(1, 2) }]
        } else {
            Vec::new()
        },
    }
}

fn technician(source: &mut Source<'_>, index: u32, horizon: u32, features: Features) -> Technician {
    let mut technician = Technician {
        name: format!("t{index}"),
        skills: BTreeMap::from([
            ("electrician".to_owned(), source.between(0, 2)),
            ("mechanic".to_owned(), source.between(0, 2)),
        ]),
        hourly_rate: f64::from(source.between(1, 5)),
        overtime_factor: 2.0,
        ..Technician::default()
    };
    if features.calendars && source.one_in(2) {
        let start = source.between(0, 2);
        let end = source.between(start + 2, horizon.max(start + 2)).min(horizon);
        technician.shifts = vec![Window { start, end }];
        if end + 2 <= horizon && source.one_in(2) {
            technician.overtime = vec![Window { start: end, end: end + 2 }];
        } else if end + 3 <= horizon {
            technician.shifts.push(Window { start: end + 1, end: end + 3 });
        }
    }
    if features.calendars && source.one_in(4) {
        let start = source.between(0, 4);
        technician.absences = vec![Window { start, end: (start + source.between(1, 2)).min(horizon) }];
    }
    if features.travel && source.one_in(2) {
        technician.home = Some("north".to_owned());
    }
    technician
}

/// Returns the lowest objective of all plans that satisfy the checker; None if there is none.
pub fn best_by_trying_all(problem: &Problem) -> Option<f64> {
    let mut plan = Plan { places: vec![None; problem.jobs.len()] };
    let mut best = None;
    try_job(problem, 0, &mut plan, &mut best);
    best
}

fn try_job(problem: &Problem, job: usize, plan: &mut Plan, best: &mut Option<f64>) {
    if job == problem.jobs.len() {
        if checker::violations(problem, plan).is_empty() {
            let objective = checker::objective(problem, plan);
            *best = Some(best.map_or(objective, |other: f64| other.min(objective)));
        }
        return;
    }
    let data = &problem.jobs[job];
    let needed: usize = data.crew.iter().map(|role| role.count as usize).sum();
    let mut crews = Vec::new();
    all_crews(problem, job, needed, &mut Vec::new(), &mut crews);
    let starts = match &data.pinned {
        Some(pin) => pin.start..pin.start + 1,
        None => data.earliest_start..problem.horizon.saturating_sub(data.duration) + 1,
    };
    for start in starts {
        for crew in &crews {
            plan.places[job] = Some(Place { start, technicians: crew.clone() });
            // What is wrong with the first jobs stays wrong, except for what is missing.
            let part = Problem { jobs: problem.jobs[..=job].to_vec(), ..problem.clone() };
            let part_plan = Plan { places: plan.places[..=job].to_vec() };
            // A job in between may make a detour no longer than a direct way (the travel times are symmetric).
            if checker::violations(&part, &part_plan).is_empty() {
                try_job(problem, job + 1, plan, best);
            }
        }
    }
    plan.places[job] = None;
    if data.postponement_cost.is_some() {
        try_job(problem, job + 1, plan, best);
    }
}

fn all_crews(problem: &Problem, job: usize, needed: usize, crew: &mut Vec<usize>, crews: &mut Vec<Vec<usize>>) {
    if crew.len() == needed {
        crews.push(crew.clone());
        return;
    }
    let mut before = 0;
    let role = problem.jobs[job].crew.iter().find(|role| {
        before += role.count as usize;
        before > crew.len()
    });
    for technician in 0..problem.technicians.len() {
        let suits = role.is_some_and(|role| {
            let has = &problem.technicians[technician].skills;
            role.skills.iter().all(|(skill, level)| has.get(skill).is_some_and(|has| has >= level))
        });
        if suits && !crew.contains(&technician) {
            crew.push(technician);
            all_crews(problem, job, needed, crew, crews);
            crew.pop();
        }
    }
}
