//! Annealing over the order of serial schedule generation, for problems with tools, shifts, travel or parts.

use crate::{
    instance::{Instance, Time},
    plan::Plan,
    random::Random,
    timetable::{Timetable, insert_all},
};

/// Farthest move of a job in the list.
const REACH: usize = 12;
/// Temperatures at the start and the end of a cooling, divided by the makespan, and the factor of an iteration.
const HOT: f64 = 0.01;
const COLD: f64 = 0.0005;
const COOLING: f64 = 0.999;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct OrderSearch {
    random: Random,
    order: Vec<usize>,
    /// From which the preferences of technicians are drawn.
    noise: u64,
    energy: Option<f64>,
    temperature: f64,
    /// The problem backwards in time, if it is the same kind of problem.
    reverse: Option<Box<Instance>>,
}

impl OrderSearch {
    pub(crate) fn new(instance: &Instance, seed: u64) -> Self {
        // Jobs with a long way to the end go first.
        let mut order = instance.topological.clone();
        order.sort_by_key(|&job| {
            let data = &instance.jobs[job];
            data.deadline.min(instance.horizon.saturating_sub(data.tail)) - data.duration
        });
        let order = topological(instance, &order);
        let reverse = instance.reversed().map(Box::new);
        Self { random: Random::new(seed), order, noise: 0, energy: None, temperature: 0.0, reverse }
    }

    /// Decodes `iterations` orders; returns the best plan that is shorter than `best`.
    pub(crate) fn run(
        &mut self,
        instance: &Instance,
        iterations: u64,
        best: Option<Time>,
        bound: Time,
    ) -> Option<(Time, Plan)> {
        let mut found: Option<(Time, Plan)> = None;
        for _ in 0..iterations {
            let shortest = found.as_ref().map(|found| found.0).or(best);
            if shortest.is_some_and(|shortest| shortest <= bound) {
                break;
            }
            let (mut order, noise) = self.neighbour(instance);
            let prefer = |job: usize, one: usize| preference(instance, noise, job, one);
            let mut timetable = Timetable::new(instance);
            let mut all = insert_all(&mut timetable, &order, &prefer);
            if let Some(reverse) = self.reverse.as_deref().filter(|_| all) {
                order = justified(instance, reverse, &timetable);
                timetable = Timetable::new(instance);
                all = insert_all(&mut timetable, &order, &prefer);
            }
            let (makespan, missing) = length(instance, &timetable);
            #[allow(clippy::cast_precision_loss, reason = "there are at most 10,000 jobs")]
            let energy = f64::from(makespan) + missing as f64 * f64::from(instance.horizon);
            let worse = self.energy.map_or(0.0, |current| energy - current);
            if worse <= 0.0 || self.random.uniform() < (-worse / self.temperature.max(1e-9)).exp() {
                self.order = order;
                self.noise = noise;
                self.energy = Some(energy);
            }
            let scale = f64::from(makespan.max(1));
            self.temperature = if self.temperature < COLD * scale { HOT * scale } else { self.temperature * COOLING };
            if all && shortest.is_none_or(|shortest| makespan < shortest) {
                found = Some((makespan, timetable.plan()));
            }
        }
        found
    }

    fn neighbour(&mut self, instance: &Instance) -> (Vec<usize>, u64) {
        if self.energy.is_none() || self.order.is_empty() {
            return (self.order.clone(), self.noise);
        }
        let noise = if self.random.below(3) == 0 { self.random.below(1 << 30) as u64 } else { self.noise };
        let mut order = self.order.clone();
        for _ in 0..=self.random.below(3) {
            let from = self.random.below(order.len());
            let job = order.remove(from);
            let low = from.saturating_sub(REACH);
            let to = low + self.random.below((from + REACH).min(order.len()) - low + 1);
            order.insert(to, job);
        }
        (topological(instance, &order), noise)
    }
}

/// Returns the end of the last job, and the number of jobs without a place.
fn length(instance: &Instance, timetable: &Timetable<'_>) -> (Time, usize) {
    let ends = timetable.starts.iter().zip(&instance.jobs).filter_map(|(start, job)| Some((*start)? + job.duration));
    (ends.max().unwrap_or(0), timetable.starts.iter().filter(|start| start.is_none()).count())
}

/// Shifts the jobs of a plan to the right as far as they go, the last first, and returns their order by start; inserting
/// them in this order is never longer than the plan by much, and often shorter (double justification; Valls, Ballestín,
/// Quintanilla 2005).
fn justified(instance: &Instance, reverse: &Instance, timetable: &Timetable<'_>) -> Vec<usize> {
    let end = |timetable: &Timetable<'_>, job: usize| {
        timetable.starts[job].map_or(0, |start| start + instance.jobs[job].duration)
    };
    let mut order: Vec<usize> = (0..instance.jobs.len()).collect();
    order.sort_by_key(|&job| std::cmp::Reverse(end(timetable, job)));
    let order = topological(reverse, &order);
    let mut shifted = Timetable::new(reverse);
    let prefer = |job: usize, one: usize| if timetable.crews[job].contains(&one) { 0.0 } else { 1.0 };
    insert_all(&mut shifted, &order, &prefer);
    let mut order: Vec<usize> = (0..instance.jobs.len()).collect();
    order.sort_by_key(|&job| std::cmp::Reverse(end(&shifted, job)));
    topological(instance, &order)
}

/// A pseudorandom value by job and technician (the finaliser of SplitMix64; Steele, Lea, Flood 2014).
#[allow(clippy::cast_precision_loss, reason = "only the order matters")]
fn preference(instance: &Instance, noise: u64, job: usize, technician: usize) -> f64 {
    let mut bits = noise ^ ((job * instance.technicians.len() + technician) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits ^ (bits >> 31)) as f64
}

/// Returns the jobs in an order near the given one in which each stands after its predecessors.
pub(crate) fn topological(instance: &Instance, order: &[usize]) -> Vec<usize> {
    let mut result = Vec::with_capacity(order.len());
    let mut placed = vec![false; order.len()];
    let mut stack = Vec::new();
    for &job in order {
        stack.push(job);
        while let Some(&top) = stack.last() {
            let missing = instance.jobs[top].before.iter().find(|(first, _)| !placed[*first]);
            match missing {
                Some(&(first, _)) => stack.push(first),
                None => {
                    stack.pop();
                    if !placed[top] {
                        placed[top] = true;
                        result.push(top);
                    }
                }
            }
        }
    }
    result
}
