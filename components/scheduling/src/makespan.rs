//! The search for the shortest plan: lists for good plans, and exact search for the bound and the proof.

use crate::{
    bounds,
    cp::{self, Detail, ExactSearch, Found, Limit},
    instance::{Instance, JobData, Time},
    list_search::{self, ListSearch},
    order_search::OrderSearch,
    plan::{Place, Plan},
};

/// Changes of a list that count as one step.
const MOVES_PER_STEP: u64 = 100;
/// Propagations of an exact search that count as one step.
const PROPAGATIONS_PER_STEP: u64 = 5;
/// Steps of a slice of each method.
const SLICE: u64 = 200;
/// Slices of the heuristics before the first one of the exact searches.
const HEAD_START: u64 = 4;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct MakespanSearch {
    pub(crate) best: Option<(Time, Plan)>,
    pub(crate) bound: Time,
    pub(crate) infeasible: bool,
    seed: u64,
    list: Option<ListSearch>,
    order: OrderSearch,
    /// The relaxation without crews, and the whole problem.
    exact: [Exact; 2],
    slices: u64,
}

#[derive(Debug)]
enum Exact {
    Waiting(Detail),
    Running(Box<ExactSearch>),
    None,
}

impl MakespanSearch {
    pub(crate) fn new(instance: &Instance, seed: u64) -> Self {
        let bound = bounds::makespan(instance).max(cp::clique_bound(instance));
        let list = if instance.is_plain() {
            list_search::first_crews(instance)
                .map(|crews| ListSearch::new(instance, instance.topological.clone(), crews, seed))
        } else {
            None
        };
        let has_crews = instance.jobs.iter().any(|job| !job.roles.is_empty());
        let relaxation = if has_crews { Exact::Waiting(Detail::Groups) } else { Exact::None };
        Self {
            best: None,
            bound,
            infeasible: bound > instance.horizon || instance.jobs.iter().any(|job| is_impossible(instance, job)),
            seed,
            list,
            order: OrderSearch::new(instance, seed),
            exact: [relaxation, Exact::Waiting(Detail::Crews)],
            slices: 0,
        }
    }

    /// Whether the best plan is optimal, or there is none.
    pub(crate) fn is_finished(&self) -> bool {
        self.infeasible || self.best.as_ref().is_some_and(|best| best.0 <= self.bound)
    }

    /// Starts from a plan that satisfies every constraint.
    pub(crate) fn start_from(&mut self, instance: &Instance, plan: &Plan) {
        let end = |(job, place): (usize, &Option<Place>)| {
            place
                .as_ref()
                .map_or(0, |place| Time::try_from(place.start).unwrap_or(Time::MAX) + instance.jobs[job].duration)
        };
        let makespan = plan.places.iter().enumerate().map(end).max().unwrap_or(0);
        self.offer(makespan, || Some(plan.clone()));
    }

    fn offer(&mut self, makespan: Time, plan: impl FnOnce() -> Option<Plan>) {
        if self.best.as_ref().is_none_or(|best| makespan < best.0)
            && let Some(plan) = plan()
        {
            self.best = Some((makespan, plan));
        }
    }

    /// Searches for `steps` steps at most; returns those that were used.
    pub(crate) fn run(&mut self, instance: &Instance, steps: u64, keep_going: &mut dyn FnMut() -> bool) -> u64 {
        let mut left = steps;
        while left > 0 && !self.is_finished() && keep_going() {
            let slice = SLICE.min(left);
            left -= slice;
            self.slices += 1;
            let open: Vec<usize> = (0..2).filter(|&index| !matches!(self.exact[index], Exact::None)).collect();
            if self.slices <= HEAD_START || open.is_empty() || self.slices.is_multiple_of(3) {
                self.run_heuristic(instance, slice);
            } else {
                let turn = usize::try_from(self.slices).unwrap_or(0);
                self.run_exact(instance, open[(turn - turn / 3) % open.len()], slice, keep_going);
            }
        }
        steps - left
    }

    fn run_heuristic(&mut self, instance: &Instance, slice: u64) {
        if let Some(list) = &mut self.list {
            if let Some((makespan, plan)) = &self.best
                && list.best_makespan().is_none_or(|best| *makespan < best)
            {
                list.adopt(instance, plan);
            }
            list.run(instance, slice * MOVES_PER_STEP, self.bound);
            if let Some(makespan) = list.best_makespan() {
                let plan = list.best_plan(instance);
                self.offer(makespan, || plan);
            }
            return;
        }
        let best = self.best.as_ref().map(|best| best.0);
        if let Some((makespan, plan)) = self.order.run(instance, slice, best, self.bound) {
            self.offer(makespan, || Some(plan));
        }
    }

    fn run_exact(&mut self, instance: &Instance, index: usize, slice: u64, keep_going: &mut dyn FnMut() -> bool) {
        if let Exact::Waiting(detail) = self.exact[index] {
            let upper = self.best.as_ref().map_or(instance.horizon.saturating_add(1), |best| best.0);
            let exact = ExactSearch::new(instance, detail, self.bound, upper, self.seed);
            self.exact[index] = exact.map_or(Exact::None, |exact| Exact::Running(Box::new(exact)));
        }
        let Exact::Running(exact) = &mut self.exact[index] else { return };
        if let Some((makespan, plan)) = &self.best
            && (*makespan < exact.upper || !exact.is_seeded())
        {
            exact.seed(instance, plan, *makespan);
        }
        let mut limit = Limit { steps: slice * PROPAGATIONS_PER_STEP, keep_going };
        // The bound is tried now and then, as long as that is not the same as the search for a better plan.
        let found = if self.slices % 8 < 2 && exact.upper - exact.lower > 1 {
            exact.raise_bound(instance, &mut limit)
        } else {
            exact.improve(instance, &mut limit)
        };
        self.bound = self.bound.max(exact.lower);
        let (upper, finished) = (exact.upper, exact.is_finished());
        match found {
            Found::Plan(plan) => self.offer(upper, || Some(plan)),
            Found::Bound if finished && self.best.is_none() => self.infeasible = true,
            Found::Unassigned => self.exact[index] = Exact::None,
            Found::Bound | Found::Nothing => {}
        }
    }
}

/// Whether a job has no place even alone.
fn is_impossible(instance: &Instance, job: &JobData) -> bool {
    let end = job.deadline.min(instance.horizon.saturating_sub(job.tail));
    let has_crew = job.pinned_crew.is_some() || crate::crew::fill(&job.roles, &job.candidates).is_some();
    let breaks_pin = job.pinned_start.is_some_and(|pinned| pinned < job.head);
    !has_crew || breaks_pin || job.head.saturating_add(job.duration) > end
}
