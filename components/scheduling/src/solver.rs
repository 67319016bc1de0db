//! The solver: the entry to all searches.

use serde::Serialize;

use crate::{
    checker,
    cost_search::CostSearch,
    instance::{Instance, ObjectiveData},
    lagrange::LagrangeBound,
    makespan::MakespanSearch,
    model::Problem,
    plan::{Costs, Plan, Status},
    validate::ProblemError,
};

/// A gap below which a plan counts as optimal, relative to its objective.
const PROVED: f64 = 1e-6;
/// Steps of the makespan search, removals of the cost search, and steps of its bound, between two reports.
const SLICE: u64 = 200;
const REMOVALS: u64 = 100;
const BOUND_STEPS: usize = 5;

/// Searches for the best plan of a problem. The search can be continued: each call of [`Solver::run`] goes on where the
/// last one stopped. The same problem, seed and steps give the same plan on every platform.
///
/// ```
/// use wheeltapper_scheduling::{Problem, Solver, Status};
///
/// let problem: Problem = serde_json::from_str(r#"{
///     "jobs": [{"name": "replace bearing", "duration": 16, "crew": [{"skills": {"mechanic": 2}}]}],
///     "technicians": [{"name": "Ann", "skills": {"mechanic": 3}}]
/// }"#)?;
/// let mut solver = Solver::new(&problem, 1)?;
/// solver.run(1_000, &mut |_| true);
/// let outcome = solver.outcome();
/// assert_eq!((outcome.status, outcome.objective), (Status::Optimal, Some(16.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Solver<'a> {
    problem: &'a Problem,
    instance: Instance,
    search: Search,
    steps: u64,
}

#[derive(Debug)]
enum Search {
    Makespan(Box<MakespanSearch>),
    Cost(Box<CostSearch>, Option<Box<LagrangeBound>>),
}

/// The state of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps so far.
    pub steps: u64,
    /// Objective of the best plan: slots for the makespan, otherwise currency.
    pub objective: Option<f64>,
    /// No plan has a lower objective.
    pub bound: f64,
}

/// What a search has found so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// What is known about the plan.
    pub status: Status,
    /// The best plan.
    pub plan: Option<Plan>,
    /// Its objective: slots for the makespan, otherwise currency.
    pub objective: Option<f64>,
    /// No plan has a lower objective.
    pub bound: f64,
    /// `(objective - bound) / objective`, 0 if the objective is 0.
    pub gap: Option<f64>,
    /// The costs of the plan without weights.
    pub costs: Option<Costs>,
    /// Steps of the search.
    pub steps: u64,
}

impl<'a> Solver<'a> {
    /// Prepares a search. Fails if the problem is not valid.
    pub fn new(problem: &'a Problem, seed: u64) -> Result<Self, ProblemError> {
        let instance = Instance::new(problem)?;
        let search = match instance.objective {
            ObjectiveData::Makespan => None,
            ObjectiveData::Cost(_) => CostSearch::new(&instance, seed),
        };
        let search = match search {
            None => Search::Makespan(Box::new(MakespanSearch::new(&instance, seed))),
            Some(search) => Search::Cost(Box::new(search), LagrangeBound::new(&instance).map(Box::new)),
        };
        Ok(Self { problem, instance, search, steps: 0 })
    }

    /// Tells the search of a plan that satisfies every constraint, such as the one that is followed now. A plan that
    /// violates a constraint is ignored; returns whether it was accepted.
    pub fn start_from(&mut self, plan: &Plan) -> bool {
        let is_valid = checker::violations(self.problem, plan).is_empty();
        if is_valid {
            match &mut self.search {
                Search::Makespan(search) => search.start_from(&self.instance, plan),
                Search::Cost(search, _) => search.start_from(&self.instance, plan),
            }
        }
        is_valid
    }

    /// Searches for at most `steps` steps, until the best plan is proved, or until `keep_going` returns false. It is
    /// asked about a thousand times a second.
    pub fn run(&mut self, steps: u64, keep_going: &mut dyn FnMut(Progress) -> bool) {
        let end = self.steps.saturating_add(steps);
        while self.steps < end && !self.is_finished() {
            let progress = self.progress();
            let mut asked = || keep_going(progress);
            if !asked() {
                break;
            }
            let left = end - self.steps;
            let used = match &mut self.search {
                Search::Makespan(search) => search.run(&self.instance, left.min(SLICE), &mut asked),
                Search::Cost(search, bound) => {
                    if let Some(bound) = bound {
                        let best = search.best().map(|best| best.0);
                        for _ in 0..BOUND_STEPS {
                            if !bound.is_converged() && asked() {
                                bound.step(&self.instance, best);
                            }
                        }
                    }
                    search.run(&self.instance, left.min(REMOVALS), &mut asked)
                }
            };
            self.steps += used.max(1);
        }
    }

    fn is_finished(&self) -> bool {
        match &self.search {
            Search::Makespan(search) => search.is_finished(),
            Search::Cost(search, bound) => bound.as_deref().is_some_and(|bound| {
                bound.is_infeasible() || is_proved(search.best().map(|best| best.0), Some(bound.bound))
            }),
        }
    }

    /// Returns the state of the search.
    pub fn progress(&self) -> Progress {
        let (objective, bound) = match &self.search {
            Search::Makespan(search) => (search.best.as_ref().map(|best| f64::from(best.0)), f64::from(search.bound)),
            Search::Cost(search, bound) => {
                let bound = bound.as_deref().map_or(0.0, |bound| bound.bound.max(0.0));
                (search.best().map(|best| best.0), bound)
            }
        };
        let bound = objective.map_or(bound, |objective| bound.min(objective));
        Progress { steps: self.steps, objective, bound }
    }

    /// Returns the best plan and what is known about it.
    pub fn outcome(&self) -> Outcome {
        let Progress { steps, objective, bound } = self.progress();
        let (plan, is_infeasible) = match &self.search {
            Search::Makespan(search) => (search.best.as_ref().map(|best| best.1.clone()), search.infeasible),
            Search::Cost(search, bound) => {
                let is_infeasible = bound.as_deref().is_some_and(LagrangeBound::is_infeasible);
                (search.best().map(|best| best.1.clone()), is_infeasible)
            }
        };
        let status = match (&plan, is_infeasible) {
            (Some(_), _) if is_proved(objective, Some(bound)) => Status::Optimal,
            (Some(_), _) => Status::Feasible,
            (None, true) => Status::Infeasible,
            (None, false) => Status::Unknown,
        };
        let gap = |objective: f64| if objective > 0.0 { (objective - bound) / objective } else { 0.0 };
        let costs = plan.as_ref().map(|plan| checker::costs(self.problem, plan));
        Outcome { status, plan, objective, bound, gap: objective.map(gap), costs, steps }
    }
}

fn is_proved(objective: Option<f64>, bound: Option<f64>) -> bool {
    matches!((objective, bound), (Some(objective), Some(bound)) if objective - bound <= PROVED * objective.abs())
}
