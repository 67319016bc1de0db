//! Why each job of a plan is where it is, in words.

use crate::{
    evaluate::CostTable,
    instance::{Instance, Time},
    model::Problem,
    plan::{Place, Plan},
    timetable::Timetable,
    validate::ProblemError,
};

/// Returns for each job of a plan a sentence that says what keeps it from an earlier start. The plan must satisfy every
/// constraint. Fails if the problem is not valid.
pub fn reasons(problem: &Problem, plan: &Plan) -> Result<Vec<String>, ProblemError> {
    let instance = Instance::new(problem)?;
    let table = CostTable::new(&instance);
    let mut timetable = Timetable::new(&instance);
    for (job, place) in plan.places.iter().enumerate() {
        if let Some(place) = place {
            timetable.insert(job, start_of(place), place.technicians.clone());
        }
    }
    let explain = |(job, place): (usize, &Option<Place>)| {
        let Some(place) = place else {
            return "left out: doing it would cost more than its postponement".to_owned();
        };
        let mut without = timetable.clone();
        without.remove(job);
        Explanation { problem, instance: &instance, table: table.as_ref(), timetable: &without, job, place }.text()
    };
    Ok(plan.places.iter().enumerate().map(explain).collect())
}

fn start_of(place: &Place) -> Time {
    Time::try_from(place.start).unwrap_or(Time::MAX)
}

struct Explanation<'a> {
    problem: &'a Problem,
    instance: &'a Instance,
    table: Option<&'a CostTable>,
    timetable: &'a Timetable<'a>,
    job: usize,
    place: &'a Place,
}

impl Explanation<'_> {
    fn text(&self) -> String {
        let start = start_of(self.place);
        let data = &self.instance.jobs[self.job];
        if data.pinned_start.is_some() {
            return format!("pinned at {start}");
        }
        if start == 0 {
            return "starts with the plan".to_owned();
        }
        let (first, _) = self.timetable.range(self.job);
        let mut causes = Vec::new();
        if first >= start {
            for &(before, lag) in &data.before {
                let ready = self.timetable.starts[before].map(|at| at + self.instance.jobs[before].duration + lag);
                if ready == Some(start) {
                    causes.push(format!("waits for job {}", self.problem.jobs[before].name));
                }
            }
            if data.earliest == start {
                causes.push(format!("may not start before {start}"));
            }
            return causes.join("; ");
        }
        let end = start + data.duration;
        if self.timetable.next_shared(data, start - 1, end) == Some(start) {
            causes.extend(self.shared_causes(start));
        }
        for &member in &self.place.technicians {
            if self.timetable.next_free(member, data, start - 1, end) == Some(start) {
                causes.push(self.technician_cause(member, start));
            }
        }
        if causes.is_empty() { self.cost_cause(first, start) } else { causes.join("; ") }
    }

    fn shared_causes(&self, start: Time) -> Vec<String> {
        let data = &self.instance.jobs[self.job];
        let mut causes = Vec::new();
        if data.windows.as_ref().is_some_and(|windows| windows.iter().any(|window| window.0 == start)) {
            causes.push(format!("the machine may be stopped from {start} on"));
        }
        let job = &self.problem.jobs[self.job];
        for part in self.problem.parts.iter().filter(|part| job.parts.contains_key(&part.name)) {
            if part.deliveries.iter().any(|delivery| Time::try_from(delivery.at) == Ok(start)) {
                causes.push(format!("part {} arrives at {start}", part.name));
            }
        }
        for (index, tool) in self.problem.tools.iter().enumerate() {
            let uses = |&(tool, _): &(usize, u32)| tool == index;
            let ends = |other: usize| {
                let data = &self.instance.jobs[other];
                self.timetable.starts[other].is_some_and(|at| at + data.duration == start)
                    && data.tools.iter().any(uses)
            };
            if data.tools.iter().any(uses) && (0..self.instance.jobs.len()).any(ends) {
                causes.push(format!("tool {} is in use until {start}", tool.name));
            }
        }
        if causes.is_empty() {
            causes.push(format!("its machine, tools and parts are free from {start} on"));
        }
        causes
    }

    fn technician_cause(&self, member: usize, start: Time) -> String {
        let name = &self.problem.technicians[member].name;
        let before = self.timetable.bookings(member).iter().rev().find(|booking| booking.end <= start);
        let windows = &self.instance.technicians[member].windows;
        let window = windows.iter().rev().find(|window| window.0 <= start);
        match (before, window) {
            (Some(booking), Some(window)) if booking.start >= window.0 => {
                let other = &self.problem.jobs[booking.job].name;
                let travels = if booking.end < start { ", and travels then" } else { "" };
                format!("{name} does job {other} until {}{travels}", booking.end)
            }
            (_, Some(window)) if window.0 < start => format!("{name} travels after the shift begins at {}", window.0),
            (_, window) => format!("the shift of {name} begins at {}", window.map_or(start, |window| window.0)),
        }
    }

    fn cost_cause(&self, first: Time, start: Time) -> String {
        let Some(table) = self.table else {
            return "an earlier start would not shorten the plan".to_owned();
        };
        let data = &self.instance.jobs[self.job];
        let cost = |at: Time| {
            let end = at + data.duration;
            let labour: f64 =
                self.place.technicians.iter().map(|&member| table.labour(self.instance, member, at, end)).sum();
            let stop = data.stops.map_or(0.0, |machine| {
                table.downtime(self.instance, machine, self.timetable.running_slots(machine, at, end))
            });
            labour + stop + table.by_end(self.job, end)
        };
        let earlier = (first..start).filter(|&at| {
            let free = |&member: &usize| self.timetable.next_free(member, data, at, at + data.duration) == Some(at);
            self.timetable.is_shared_free(self.job, at, at + data.duration) && self.place.technicians.iter().all(free)
        });
        let least = earlier.map(|at| (cost(at) - cost(start), at)).min_by(|one, other| one.0.total_cmp(&other.0));
        match least {
            Some((more, at)) if more > 1e-9 => {
                format!("is cheapest at this time: a start at {at} would cost {more:.2} more")
            }
            Some(_) => "an earlier start would cost the same".to_owned(),
            None => "its technicians are not free together earlier".to_owned(),
        }
    }
}
