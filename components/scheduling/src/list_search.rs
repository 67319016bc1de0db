//! Simulated annealing (Kirkpatrick, Gelatt, Vecchi 1983) over lists of jobs with their crews, for problems that only
//! technicians and predecessors limit.
//!
//! A list is decoded by appending: a job starts when its predecessors have ended and its crew is free. Each plan in
//! which no job can start earlier without a change of the order is the decoding of some list, so the search can reach
//! an optimum. Decoding takes time linear in the number of jobs, about a microsecond for a hundred jobs.

use crate::{
    crew,
    instance::{Instance, Time},
    plan::{Place, Plan},
    random::Random,
};

/// Iterations of the first cooling; each next one is longer by half.
const FIRST_ROUND: u64 = 60_000;
/// Iterations of the longest cooling.
const LONGEST_ROUND: u64 = 20_000_000;
/// Temperatures at the start and the end of a cooling, divided by the makespan.
const HOT: f64 = 0.012;
const COLD: f64 = 0.0004;
/// Weight of the technicians' mean end in the objective: among plans of the same makespan, one with room is better.
const BALANCE: f64 = 0.05;
/// Changes after which the critical chain is found anew, at least.
const CRITICAL_INTERVAL: u64 = 32;
/// Cost in slots of a slot of lateness beyond a deadline.
const LATENESS: f64 = 20.0;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct ListSearch {
    random: Random,
    order: Vec<usize>,
    /// Place of each job in `order`.
    position: Vec<usize>,
    crews: Vec<Vec<usize>>,
    decoder: Decoder,
    energy: f64,
    best: Option<(Time, Vec<usize>, Vec<Vec<usize>>)>,
    best_energy: f64,
    best_list: (Vec<usize>, Vec<Vec<usize>>),
    round: u64,
    iteration: u64,
    /// Jobs of which the crew can change.
    flexible: Vec<usize>,
    /// A chain of jobs without gaps that ends with the plan; those of them of which the crew can change.
    critical: Vec<usize>,
    critical_flexible: Vec<usize>,
}

/// Times of the jobs of a list.
#[derive(Clone, Debug, Default)]
struct Decoder {
    end: Vec<Time>,
    free: Vec<Time>,
    makespan: Time,
    lateness: i64,
}

impl Decoder {
    fn decode(&mut self, instance: &Instance, order: &[usize], crews: &[Vec<usize>]) {
        self.free.fill(0);
        self.makespan = 0;
        self.lateness = 0;
        for &index in order {
            let job = &instance.jobs[index];
            let mut start = job.earliest;
            for &(first, lag) in &job.before {
                start = start.max(self.end[first] + lag);
            }
            for &member in &crews[index] {
                start = start.max(self.free[member]);
            }
            let end = start + job.duration;
            for &member in &crews[index] {
                self.free[member] = end;
            }
            self.end[index] = end;
            self.makespan = self.makespan.max(end);
            self.lateness += i64::from((end - job.deadline).max(0));
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "times are far below 2^52")]
    fn energy(&self) -> f64 {
        let squares: i64 = self.free.iter().map(|&free| i64::from(free) * i64::from(free)).sum();
        let mean = (squares as f64 / self.free.len().max(1) as f64).sqrt();
        f64::from(self.makespan) + BALANCE * mean + LATENESS * self.lateness as f64
    }
}

/// A change of a list, which can be taken back.
enum Move {
    None,
    Shift { from: usize, to: usize },
    Replace { job: usize, member: usize, old: usize },
    Exchange { first: usize, second: usize },
}

impl ListSearch {
    /// Starts from a list in which each job stands after its predecessors, with a crew for each job.
    pub(crate) fn new(instance: &Instance, order: Vec<usize>, crews: Vec<Vec<usize>>, seed: u64) -> Self {
        let mut position = vec![0; order.len()];
        for (place, &job) in order.iter().enumerate() {
            position[job] = place;
        }
        let mut decoder =
            Decoder { end: vec![0; order.len()], free: vec![0; instance.technicians.len()], ..Decoder::default() };
        decoder.decode(instance, &order, &crews);
        let energy = decoder.energy();
        let flexible = (0..instance.jobs.len())
            .filter(|&job| {
                let data = &instance.jobs[job];
                data.pinned_crew.is_none() && data.candidates.len() > crews[job].len()
            })
            .collect();
        let mut search = Self {
            random: Random::new(seed),
            best_list: (order.clone(), crews.clone()),
            order,
            position,
            crews,
            decoder,
            energy,
            best: None,
            best_energy: energy,
            round: FIRST_ROUND,
            iteration: 0,
            flexible,
            critical: Vec::new(),
            critical_flexible: Vec::new(),
        };
        search.keep_best();
        search
    }

    /// Returns the makespan of the best plan that keeps the deadlines.
    pub(crate) fn best_makespan(&self) -> Option<Time> {
        self.best.as_ref().map(|best| best.0)
    }

    /// Returns the best plan.
    pub(crate) fn best_plan(&self, instance: &Instance) -> Option<Plan> {
        let (_, order, crews) = self.best.as_ref()?;
        let mut decoder = self.decoder.clone();
        decoder.decode(instance, order, crews);
        let places = (0..instance.jobs.len()).map(|job| {
            let start = decoder.end[job] - instance.jobs[job].duration;
            Some(Place { start: u32::try_from(start).unwrap_or(0), technicians: crews[job].clone() })
        });
        Some(Plan { places: places.collect() })
    }

    /// Continues from a plan that another method has found.
    pub(crate) fn adopt(&mut self, instance: &Instance, plan: &Plan) {
        let start = |job: usize| plan.places[job].as_ref().map_or(0, |place| place.start);
        let mut rank = vec![0; self.order.len()];
        for (place, &job) in instance.topological.iter().enumerate() {
            rank[job] = place;
        }
        self.order.sort_by_key(|&job| (start(job), instance.jobs[job].duration > 0, rank[job]));
        for (place, &job) in self.order.iter().enumerate() {
            self.position[job] = place;
        }
        for (crew, place) in self.crews.iter_mut().zip(&plan.places) {
            *crew = place.as_ref().map_or_else(Vec::new, |place| place.technicians.clone());
        }
        self.decoder.decode(instance, &self.order, &self.crews);
        self.energy = self.decoder.energy();
        self.keep_best();
    }

    /// Tries `iterations` changes. Stops early when the makespan is at most `target`.
    pub(crate) fn run(&mut self, instance: &Instance, iterations: u64, target: Time) {
        for _ in 0..iterations {
            if self.best_makespan().is_some_and(|makespan| makespan <= target) {
                return;
            }
            if self.iteration >= self.round {
                self.iteration = 0;
                self.round = (self.round + self.round / 2).min(LONGEST_ROUND);
                self.order.clone_from(&self.best_list.0);
                self.crews.clone_from(&self.best_list.1);
                for (place, &job) in self.order.iter().enumerate() {
                    self.position[job] = place;
                }
                self.energy = self.best_energy;
            }
            self.iteration += 1;
            if self.iteration % CRITICAL_INTERVAL.max(self.order.len() as u64) == 1 {
                self.find_critical(instance);
            }
            self.try_move(instance);
        }
    }

    /// Finds the chain of jobs that decides the makespan of the current list.
    fn find_critical(&mut self, instance: &Instance) {
        self.decoder.decode(instance, &self.order, &self.crews);
        let end = &self.decoder.end;
        self.critical.clear();
        let mut next = (0..self.order.len()).max_by_key(|&job| end[job]);
        while let Some(job) = next.filter(|_| self.critical.len() < self.order.len()) {
            self.critical.push(job);
            let start = end[job] - instance.jobs[job].duration;
            let before = &instance.jobs[job].before;
            let waits = before.iter().find(|&&(first, lag)| end[first] + lag == start).map(|&(first, _)| first);
            let place = self.position[job];
            next = waits.or_else(|| {
                let earlier = self.order[..place].iter().rev().copied();
                let shares = |&other: &usize| self.crews[other].iter().any(|one| self.crews[job].contains(one));
                earlier.filter(|&other| end[other] == start).find(shares)
            });
        }
        let flexible = self.critical.iter().copied().filter(|job| self.flexible.binary_search(job).is_ok());
        self.critical_flexible = flexible.collect();
    }

    /// One of the jobs of which the crew can change; every second time one of the critical chain.
    fn pick_flexible(&mut self) -> usize {
        let is_critical = !self.critical_flexible.is_empty() && self.random.below(2) == 0;
        let jobs = if is_critical { &self.critical_flexible } else { &self.flexible };
        jobs[self.random.below(jobs.len())]
    }

    #[allow(clippy::cast_precision_loss, reason = "a round is far below 2^52 iterations")]
    fn temperature(&self) -> f64 {
        let share = self.iteration as f64 / self.round as f64;
        f64::from(self.decoder.makespan.max(1)) * HOT * (COLD / HOT).powf(share)
    }

    fn try_move(&mut self, instance: &Instance) {
        let change = self.change(instance);
        if matches!(change, Move::None) {
            return;
        }
        self.decoder.decode(instance, &self.order, &self.crews);
        let energy = self.decoder.energy();
        let worse = energy - self.energy;
        if worse <= 0.0 || self.random.uniform() < (-worse / self.temperature()).exp() {
            self.energy = energy;
            if energy < self.best_energy {
                self.keep_best();
            }
        } else {
            self.undo(&change);
        }
    }

    fn keep_best(&mut self) {
        if self.energy <= self.best_energy {
            self.best_energy = self.energy;
            self.best_list.0.clone_from(&self.order);
            self.best_list.1.clone_from(&self.crews);
        }
        if self.decoder.lateness == 0 && self.best.as_ref().is_none_or(|best| self.decoder.makespan < best.0) {
            self.best = Some((self.decoder.makespan, self.order.clone(), self.crews.clone()));
        }
    }

    fn change(&mut self, instance: &Instance) -> Move {
        let kind = self.random.below(10);
        if kind < 5 && !self.flexible.is_empty() {
            return if kind < 4 { self.replace(instance) } else { self.exchange(instance) };
        }
        self.shift(instance)
    }

    /// Replaces a member of a crew by another technician who can fill the role.
    fn replace(&mut self, instance: &Instance) -> Move {
        let job = self.pick_flexible();
        let member = self.random.below(self.crews[job].len());
        let role = role_of(instance, job, member);
        let candidates = &instance.jobs[job].roles[role].candidates;
        let other = candidates[self.random.below(candidates.len())];
        if self.crews[job].contains(&other) {
            return Move::None;
        }
        let old = std::mem::replace(&mut self.crews[job][member], other);
        Move::Replace { job, member, old }
    }

    /// Exchanges the crews of two jobs with one role, if each can do the work of the other.
    fn exchange(&mut self, instance: &Instance) -> Move {
        let first = self.pick_flexible();
        let second = self.flexible[self.random.below(self.flexible.len())];
        let (one, two) = (&self.crews[first], &self.crews[second]);
        let suits = |job: usize, crew: &[usize]| {
            let roles = &instance.jobs[job].roles;
            crew.len() == 1 && roles.len() == 1 && roles[0].candidates.binary_search(&crew[0]).is_ok()
        };
        if first == second || one == two || !suits(first, two) || !suits(second, one) {
            return Move::None;
        }
        let crew = std::mem::take(&mut self.crews[first]);
        self.crews[first] = std::mem::replace(&mut self.crews[second], crew);
        Move::Exchange { first, second }
    }

    /// Moves a job to another place between its predecessors and its successors.
    fn shift(&mut self, instance: &Instance) -> Move {
        let is_critical = !self.critical.is_empty() && self.random.below(2) == 0;
        let from = if is_critical {
            self.position[self.critical[self.random.below(self.critical.len())]]
        } else {
            self.random.below(self.order.len())
        };
        let job = &instance.jobs[self.order[from]];
        let low = job.before.iter().map(|&(first, _)| self.position[first] + 1).max().unwrap_or(0);
        let high = job.after.iter().map(|&(later, _)| self.position[later]).min().unwrap_or(self.order.len()) - 1;
        if low >= high {
            return Move::None;
        }
        let to = low + self.random.below(high - low + 1);
        if to == from {
            return Move::None;
        }
        self.rotate(from, to);
        Move::Shift { from, to }
    }

    fn rotate(&mut self, from: usize, to: usize) {
        let (low, high) = (from.min(to), from.max(to));
        if from < to {
            self.order[low..=high].rotate_left(1);
        } else {
            self.order[low..=high].rotate_right(1);
        }
        for place in low..=high {
            self.position[self.order[place]] = place;
        }
    }

    fn undo(&mut self, change: &Move) {
        match *change {
            Move::None => {}
            Move::Shift { from, to } => self.rotate(to, from),
            Move::Replace { job, member, old } => self.crews[job][member] = old,
            Move::Exchange { first, second } => {
                let crew = std::mem::take(&mut self.crews[first]);
                self.crews[first] = std::mem::replace(&mut self.crews[second], crew);
            }
        }
    }
}

/// Returns the role that a member of a crew fills.
fn role_of(instance: &Instance, job: usize, mut member: usize) -> usize {
    for (role, data) in instance.jobs[job].roles.iter().enumerate() {
        if member < data.count {
            return role;
        }
        member -= data.count;
    }
    0
}

/// Returns a crew for each job: the least versatile technicians who can fill the roles. None if a job has no crew.
pub(crate) fn first_crews(instance: &Instance) -> Option<Vec<Vec<usize>>> {
    let mut load = vec![0_i64; instance.technicians.len()];
    instance
        .jobs
        .iter()
        .map(|job| {
            let crew = match &job.pinned_crew {
                Some(crew) => crew.clone(),
                None => {
                    let mut available = job.candidates.clone();
                    available.sort_by_key(|&technician| load[technician]);
                    crew::fill(&job.roles, &available)?
                }
            };
            for &member in &crew {
                load[member] += i64::from(job.duration);
            }
            Some(crew)
        })
        .collect()
}
