//! Large-neighbourhood search for the cheapest plan (Shaw 1998; removal of neighbours and insertion with blinks after
//! Christiaens and Vanden Berghe 2020; acceptance by simulated annealing).

use crate::{
    evaluate::CostTable,
    insertion::{Chance, cheapest},
    instance::{Instance, Time},
    plan::Plan,
    random::Random,
    timetable::Timetable,
};

/// Cost of a job without a place that may not be postponed, relative to everything else.
const MISSING: f64 = 1e9;
/// Iterations of a cooling.
const ROUND: u64 = 20_000;
/// Most jobs that are removed at once.
const MOST_REMOVED: usize = 14;
/// How much of an insertion is left to chance: in complete plans, and as long as a job has no place.
const COMPLETE: Chance = Chance { blink: 0.02, part: 0.05 };
const INCOMPLETE: Chance = Chance { blink: 0.1, part: 0.4 };

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct CostSearch {
    table: CostTable,
    random: Random,
    current: Plan,
    current_cost: f64,
    /// The best plan with its cost; it may miss jobs.
    best: Option<(f64, Plan)>,
    iteration: u64,
}

impl CostSearch {
    /// None if the objective is not a cost.
    pub(crate) fn new(instance: &Instance, seed: u64) -> Option<Self> {
        Some(Self {
            table: CostTable::new(instance)?,
            random: Random::new(seed),
            current: Plan::default(),
            current_cost: f64::INFINITY,
            best: None,
            iteration: 0,
        })
    }

    /// Returns the cheapest complete plan.
    pub(crate) fn best(&self) -> Option<&(f64, Plan)> {
        self.best.as_ref().filter(|best| best.0 < MISSING)
    }

    /// Starts from a plan, such as the one that is followed now.
    pub(crate) fn start_from(&mut self, instance: &Instance, plan: &Plan) {
        let timetable = restore(instance, plan);
        self.accept(instance, &timetable);
    }

    /// Tries `iterations` removals.
    pub(crate) fn run(&mut self, instance: &Instance, iterations: u64, keep_going: &mut dyn FnMut() -> bool) -> u64 {
        let mut used = 0;
        let mut timetable = restore(instance, &self.current);
        if self.current.places.is_empty() {
            let order = first_order(instance);
            self.insert_all(instance, &mut timetable, &order, Chance::NONE);
            self.accept(instance, &timetable);
            used += 1;
        }
        while used < iterations && keep_going() {
            used += 1;
            self.iteration += 1;
            if self.iteration.is_multiple_of(ROUND)
                && let Some((cost, plan)) = self.best.clone()
            {
                timetable = restore(instance, &plan);
                self.current_cost = cost;
                self.current = plan;
            }
            self.try_removal(instance, &mut timetable);
        }
        used
    }

    #[allow(clippy::cast_precision_loss, reason = "a round is short")]
    fn temperature(&self, jobs: usize) -> f64 {
        let share = (self.iteration % ROUND) as f64 / ROUND as f64;
        let scale = if self.current_cost < MISSING { self.current_cost } else { 1.0 };
        scale / jobs.max(1) as f64 * 0.2 * (0.005_f64).powf(share)
    }

    fn try_removal(&mut self, instance: &Instance, timetable: &mut Timetable<'_>) {
        let removed = self.choose(instance, timetable);
        let old: Vec<(usize, Option<Time>, Vec<usize>)> =
            removed.iter().map(|&job| (job, timetable.starts[job], timetable.crews[job].clone())).collect();
        for &job in &removed {
            timetable.remove(job);
        }
        let order = self.order_of(instance, removed);
        let chance = if self.current_cost < MISSING { COMPLETE } else { INCOMPLETE };
        self.insert_all(instance, timetable, &order, chance);
        let cost = total(instance, &self.table, timetable);
        let worse = cost - self.current_cost;
        if worse <= 0.0 || self.random.uniform() < (-worse / self.temperature(instance.jobs.len())).exp() {
            self.accept_cost(cost, timetable);
            return;
        }
        for &(job, ..) in &old {
            timetable.remove(job);
        }
        for (job, start, crew) in old {
            if let Some(start) = start {
                timetable.insert(job, start, crew);
            }
        }
    }

    fn accept(&mut self, instance: &Instance, timetable: &Timetable<'_>) {
        let cost = total(instance, &self.table, timetable);
        self.accept_cost(cost, timetable);
    }

    fn accept_cost(&mut self, cost: f64, timetable: &Timetable<'_>) {
        self.current = timetable.plan();
        self.current_cost = cost;
        if self.best.as_ref().is_none_or(|best| cost < best.0 - 1e-9) {
            self.best = Some((cost, self.current.clone()));
        }
    }

    /// Jobs near each other: at about the same time with the same people, on one machine, or any; and all without a
    /// place.
    fn choose(&mut self, instance: &Instance, timetable: &Timetable<'_>) -> Vec<usize> {
        let count = instance.jobs.len();
        let seed = self.random.below(count);
        let most = 1 + self.random.below(MOST_REMOVED.min(count));
        let kind = self.random.below(4);
        let mut chosen: Vec<usize> = match (kind, timetable.starts[seed]) {
            (0, _) | (_, None) => (0..most).map(|_| self.random.below(count)).collect(),
            (_, Some(start)) => {
                let near = |job: usize| {
                    let other = timetable.starts[job]?;
                    let shares = match kind {
                        1 => instance.jobs[job].candidates.iter().any(|one| timetable.crews[seed].contains(one)),
                        2 => instance.jobs[job].machine == instance.jobs[seed].machine,
                        _ => true,
                    };
                    shares.then_some(((other - start).abs(), job))
                };
                let mut near: Vec<(Time, usize)> = (0..count).filter_map(near).collect();
                near.sort_unstable();
                near.into_iter().take(most).map(|(_, job)| job).collect()
            }
        };
        chosen.push(seed);
        let missing: Vec<usize> = (0..count).filter(|&job| timetable.starts[job].is_none()).collect();
        for _ in 0..missing.len().min(MOST_REMOVED) {
            chosen.push(missing[self.random.below(missing.len())]);
        }
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn order_of(&mut self, instance: &Instance, mut jobs: Vec<usize>) -> Vec<usize> {
        self.random.shuffle(&mut jobs);
        match self.random.below(4) {
            0 => jobs.sort_by_key(|&job| std::cmp::Reverse(instance.jobs[job].duration)),
            1 => jobs.sort_by_key(|&job| instance.jobs[job].candidates.len()),
            2 => jobs.sort_by_key(|&job| instance.jobs[job].deadline - instance.jobs[job].tail),
            _ => {}
        }
        jobs
    }

    fn insert_all(&mut self, instance: &Instance, timetable: &mut Timetable<'_>, order: &[usize], chance: Chance) {
        for &job in order {
            let data = &instance.jobs[job];
            // A job does not run without those before it. If they are inserted later in this round, the list search
            // of a later round tries again.
            let waits = |&(first, _): &(usize, Time)| timetable.starts[first].is_none() && !order.contains(&first);
            if data.before.iter().any(waits) {
                continue;
            }
            let place = cheapest(instance, &self.table, timetable, job, chance, &mut self.random);
            let Some(place) = place else { continue };
            let is_needed = data.after.iter().any(|&(later, _)| timetable.starts[later].is_some());
            let postponed = self.table.postponed(instance, job).filter(|_| !is_needed);
            if postponed.is_none_or(|cost| place.cost + self.table.parts(instance, job) < cost) {
                timetable.insert(job, place.start, place.crew);
            }
        }
        drop_orphans(instance, timetable);
    }
}

/// Removes jobs whose predecessors are not in the plan.
fn drop_orphans(instance: &Instance, timetable: &mut Timetable<'_>) {
    for &job in &instance.topological {
        let orphan = instance.jobs[job].before.iter().any(|&(first, _)| timetable.starts[first].is_none());
        if orphan && timetable.starts[job].is_some() {
            timetable.remove(job);
        }
    }
}

/// Pinned jobs first, then those with the least room.
fn first_order(instance: &Instance) -> Vec<usize> {
    let mut order = instance.topological.clone();
    order.sort_by_key(|&job| {
        let data = &instance.jobs[job];
        (data.pinned_start.is_none(), data.deadline - data.tail - data.head - data.duration, data.candidates.len())
    });
    crate::order_search::topological(instance, &order)
}

fn restore<'a>(instance: &'a Instance, plan: &Plan) -> Timetable<'a> {
    let mut timetable = Timetable::new(instance);
    for (job, place) in plan.places.iter().enumerate() {
        if let Some(place) = place {
            timetable.insert(job, Time::try_from(place.start).unwrap_or(Time::MAX), place.technicians.clone());
        }
    }
    timetable
}

/// Returns the objective of a partial plan.
fn total(instance: &Instance, table: &CostTable, timetable: &Timetable<'_>) -> f64 {
    let mut sum = 0.0;
    for (job, data) in instance.jobs.iter().enumerate() {
        match timetable.starts[job] {
            Some(start) => {
                let end = start + data.duration;
                sum += table.by_end(job, end) + table.parts(instance, job);
                for &member in &timetable.crews[job] {
                    sum += table.labour(instance, member, start, end);
                }
            }
            None => sum += table.postponed(instance, job).unwrap_or(MISSING),
        }
    }
    if instance.travel.len() > 1 {
        for technician in 0..instance.technicians.len() {
            sum += table.travel(instance, technician, timetable.travel_of(technician));
        }
    }
    for machine in 0..instance.machines.len() {
        if instance.machines[machine].downtime_per_slot > 0.0 {
            sum += table.downtime(instance, machine, timetable.stopped_slots(machine));
        }
    }
    sum
}
