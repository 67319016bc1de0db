//! Exact search for the shortest plan by constraint programming with lazy clause generation (Ohrimenko, Stuckey,
//! Codish 2009; Schutt et al. 2011), on Pumpkin.

mod assign;
mod brancher;
mod disjoint;
mod model;

use pumpkin_conflict_resolvers::resolvers::ResolutionResolver;
use pumpkin_core::{
    Solver, predicate,
    predicates::Predicate,
    results::{ProblemSolution, SatisfactionResultUnderAssumptions, SolutionReference},
    termination::TerminationCondition,
    variables::DomainId,
};

use self::{brancher::Search, model::Model};
use crate::{
    instance::{Instance, Time},
    plan::{Place, Plan},
    random::Random,
};

/// Most jobs for which pairs of them are examined.
const MAX_JOBS_OF_PAIRS: usize = 400;
/// Cliques from which the bound is taken.
const CLIQUES_OF_BOUND: usize = 100;

/// Returns a lower bound of the makespan: the length of jobs of which no two can run at the same time.
pub(crate) fn clique_bound(instance: &Instance) -> Time {
    if instance.jobs.len() > MAX_JOBS_OF_PAIRS {
        return 0;
    }
    let disjoint = disjoint::Disjoint::new(instance);
    disjoint::bound(instance, &disjoint.cliques(instance, CLIQUES_OF_BOUND))
}

/// Exact search; see the module documentation.
#[derive(Debug)]
pub(crate) struct ExactSearch {
    solver: Solver,
    model: Model,
    search: Search,
    resolver: ResolutionResolver,
    random: Random,
    /// No plan is shorter.
    pub(crate) lower: Time,
    /// Only shorter plans are searched.
    pub(crate) upper: Time,
    seeded: bool,
}

/// What a model contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Who does what. Every constraint holds.
    Crews,
    /// At each time there are enough technicians for the jobs that run (Hall's condition for each group of them), but
    /// not who does what. That is a relaxation: crews are searched for the starts that it finds, and may not exist.
    Groups,
}

/// What a call has found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A plan that is shorter than all before.
    Plan(Plan),
    /// The bounds meet, or the lower bound has risen.
    Bound,
    /// Nothing within the limit.
    Nothing,
    /// Starts without crews: the relaxation is of no further use.
    Unassigned,
}

/// Limits the work of a call.
pub(crate) struct Limit<'a> {
    /// Propagations that are left.
    pub(crate) steps: u64,
    /// Asked now and then; false stops the search.
    pub(crate) keep_going: &'a mut dyn FnMut() -> bool,
}

impl TerminationCondition for Limit<'_> {
    fn should_stop(&mut self) -> bool {
        if self.steps == 0 || (self.steps.is_multiple_of(64) && !(self.keep_going)()) {
            return true;
        }
        self.steps -= 1;
        false
    }
}

impl ExactSearch {
    /// Builds the model for plans that are not longer than `upper` and the horizon. None if the problem has something
    /// that the model does not express, or is too large.
    pub(crate) fn new(instance: &Instance, detail: Detail, lower: Time, upper: Time, seed: u64) -> Option<Self> {
        let mut solver = model::new_solver(seed);
        let model = Model::post(&mut solver, instance, detail, lower, upper.min(instance.horizon))?;
        let search = Search::new(&model);
        let resolver = ResolutionResolver::default();
        Some(Self { solver, model, search, resolver, random: Random::new(seed), lower, upper, seeded: false })
    }

    /// Whether the shortest plan is known.
    pub(crate) fn is_finished(&self) -> bool {
        self.lower >= self.upper
    }

    /// Whether the search knows a plan.
    pub(crate) fn is_seeded(&self) -> bool {
        self.seeded
    }

    /// Tells the search of a plan of length `upper` or less: it searches near it, and for shorter ones only.
    pub(crate) fn seed(&mut self, instance: &Instance, plan: &Plan, makespan: Time) {
        if !self.seeded && makespan <= self.upper {
            self.search.set_hint(&self.model, plan);
            let mut limit = Limit { steps: 4 * self.model.size() + 1_000, keep_going: &mut || true };
            let found = self.solve(instance, &[], &mut limit);
            self.seeded = true;
            self.search.clear_hint();
            if matches!(found, Outcome::Infeasible) {
                self.lower = self.upper;
                return;
            }
        }
        if makespan <= self.upper {
            self.upper = makespan;
            self.forbid_longer();
        }
    }

    fn forbid_longer(&mut self) {
        let makespan = self.model.makespan;
        let tag = self.solver.new_constraint_tag();
        self.solver.add_clause([predicate!(makespan <= self.upper - 1)], tag);
    }

    /// Searches for a plan that is shorter than the best.
    pub(crate) fn improve(&mut self, instance: &Instance, limit: &mut Limit<'_>) -> Found {
        if self.is_finished() {
            return Found::Bound;
        }
        match self.solve(instance, &[], limit) {
            Outcome::Plan(Some(plan), makespan) => {
                self.upper = makespan;
                self.forbid_longer();
                Found::Plan(plan)
            }
            Outcome::Plan(None, _) => Found::Unassigned,
            Outcome::Infeasible => {
                self.lower = self.upper;
                Found::Bound
            }
            Outcome::Unknown => Found::Nothing,
        }
    }

    /// Tries to show that no plan has a length of the lower bound; then the bound rises.
    pub(crate) fn raise_bound(&mut self, instance: &Instance, limit: &mut Limit<'_>) -> Found {
        if self.is_finished() {
            return Found::Bound;
        }
        let makespan = self.model.makespan;
        let assumption = predicate!(makespan <= self.lower);
        match self.solve(instance, &[assumption], limit) {
            Outcome::Plan(Some(plan), length) => {
                self.upper = length;
                self.lower = length;
                Found::Plan(plan)
            }
            Outcome::Plan(None, _) => Found::Unassigned,
            Outcome::Infeasible => {
                self.lower += 1;
                if !self.is_finished() {
                    let tag = self.solver.new_constraint_tag();
                    self.solver.add_clause([predicate!(makespan >= self.lower)], tag);
                    self.lower = self.lower.max(self.solver.lower_bound(&makespan)).min(self.upper);
                }
                Found::Bound
            }
            Outcome::Unknown => Found::Nothing,
        }
    }

    fn solve(&mut self, instance: &Instance, assumptions: &[Predicate], limit: &mut Limit<'_>) -> Outcome {
        let result = self.solver.satisfy_under_assumptions(&mut self.search, limit, &mut self.resolver, assumptions);
        match result {
            SatisfactionResultUnderAssumptions::Satisfiable(found) => {
                let solution = found.solution();
                let makespan = value(&solution, self.model.makespan);
                let plan = match self.model.detail {
                    Detail::Crews => Some(self.model.plan(instance, &solution)),
                    Detail::Groups => {
                        let starts: Vec<Time> =
                            self.model.starts.iter().map(|&start| value(&solution, start)).collect();
                        assign::assign(instance, &starts, &mut self.random)
                    }
                };
                Outcome::Plan(plan, makespan)
            }
            SatisfactionResultUnderAssumptions::UnsatisfiableUnderAssumptions(_)
            | SatisfactionResultUnderAssumptions::Unsatisfiable(_) => Outcome::Infeasible,
            SatisfactionResultUnderAssumptions::Unknown(_) => Outcome::Unknown,
        }
    }
}

enum Outcome {
    /// Without a plan, the starts that were found have no crews.
    Plan(Option<Plan>, Time),
    Infeasible,
    Unknown,
}

fn value(solution: &SolutionReference<'_>, variable: DomainId) -> Time {
    solution.get_integer_value(variable)
}

/// Returns a place with a start that the model has made non-negative.
fn place(start: Time, technicians: Vec<usize>) -> Option<Place> {
    Some(Place { start: u32::try_from(start).unwrap_or(0), technicians })
}
