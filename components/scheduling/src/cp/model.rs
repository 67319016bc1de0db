//! The variables and constraints of the exact search.

use pumpkin_constraints as constraints;
use pumpkin_core::{
    Solver,
    options::SolverOptions,
    predicate,
    predicates::Predicate,
    proof::ConstraintTag,
    rand::{SeedableRng, rngs::SmallRng},
    results::ProblemSolution,
    results::SolutionReference,
    variables::{AffineView, DomainId, Literal, TransformableVariable},
};
use pumpkin_propagators::{
    cumulative::{
        ArgTask, options::CumulativePropagatorOptions, time_table::TimeTableOverIntervalIncrementalPropagator,
    },
    disjunctive::ArgDisjunctiveTask,
};

use super::{Detail, disjoint::Disjoint, place, value};
use crate::{
    bounds,
    instance::{Instance, JobData, Time},
    plan::Plan,
};

/// Most pairs of jobs that may share a technician.
const MAX_PAIRS: usize = 8_000;
/// Most redundant constraints of groups of technicians, and of cliques.
const MAX_GROUPS: usize = 40;
const MAX_CLIQUES: usize = 30;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) detail: Detail,
    pub(super) starts: Vec<DomainId>,
    pub(super) makespan: DomainId,
    /// For each job and each of its roles, the technicians that may fill it, with the literal that says so.
    roles: Vec<Vec<Vec<(usize, Literal)>>>,
    orders: Vec<Literal>,
}

pub(super) fn new_solver(seed: u64) -> Solver {
    Solver::with_options(SolverOptions {
        random_generator: SmallRng::seed_from_u64(seed),
        memory_preallocated: 1,
        ..SolverOptions::default()
    })
}

impl Model {
    /// Adds the problem to the solver. None if the problem has something that is not expressed here, or is too large.
    pub(super) fn post(
        solver: &mut Solver,
        instance: &Instance,
        detail: Detail,
        lower: Time,
        upper: Time,
    ) -> Option<Self> {
        if lower > upper || !is_expressible(instance) {
            return None;
        }
        let disjoint = Disjoint::new(instance);
        let pairs = shared_pairs(instance, detail, &disjoint);
        if pairs.len() > MAX_PAIRS {
            return None;
        }
        let tag = solver.new_constraint_tag();
        let makespan = solver.new_bounded_integer(lower, upper);
        let mut starts = Vec::with_capacity(instance.jobs.len());
        for job in &instance.jobs {
            let latest = (upper - job.tail).min(job.deadline) - job.duration;
            let latest = job.pinned_start.map_or(latest, |pinned| pinned.min(latest));
            if latest < job.head {
                return None;
            }
            let start = solver.new_bounded_integer(job.head, latest);
            not_after(solver, tag, start, job.duration + job.tail, makespan);
            starts.push(start);
        }
        for (job, &start) in instance.jobs.iter().zip(&starts) {
            for &(first, lag) in &job.before {
                not_after(solver, tag, starts[first], instance.jobs[first].duration + lag, start);
            }
        }
        for (tool, &count) in instance.tools.iter().enumerate() {
            let need = |job: &JobData| job.tools.iter().find(|(index, _)| *index == tool).map_or(0, |(_, need)| *need);
            let demands = instance.jobs.iter().map(need).collect::<Vec<_>>();
            cumulative(solver, tag, instance, &starts, &demands, count);
        }
        let roles = match detail {
            Detail::Crews => instance.jobs.iter().map(|job| crew(solver, tag, job)).collect(),
            Detail::Groups => vec![Vec::new(); instance.jobs.len()],
        };
        let mut model = Self { detail, starts, makespan, roles, orders: Vec::new() };
        model.separate(solver, tag, instance, &disjoint, &pairs);
        model.strengthen(solver, tag, instance, &disjoint);
        Some(model)
    }

    /// Two jobs with a technician in common do not overlap.
    fn separate(
        &mut self,
        solver: &mut Solver,
        tag: ConstraintTag,
        instance: &Instance,
        disjoint: &Disjoint,
        pairs: &[(usize, usize)],
    ) {
        for &(one, other) in pairs {
            let (first, second) = (solver.new_literal(), solver.new_literal());
            for (order, from, to) in [(first, one, other), (second, other, one)] {
                let terms = [self.starts[from].scaled(1), self.starts[to].scaled(-1)];
                let duration = instance.jobs[from].duration;
                solver.add_constraint(constraints::less_than_or_equals(terms, -duration, tag)).implied_by(order);
            }
            self.orders.extend([first, second]);
            let ordered = [first.get_true_predicate(), second.get_true_predicate()];
            if disjoint.exclusive(one, other) {
                solver.add_clause(ordered, tag);
                continue;
            }
            for (technician, does) in self.roles[one].iter().flatten() {
                for (_, also) in self.roles[other].iter().flatten().filter(|(index, _)| index == technician) {
                    let clause = [does.get_false_predicate(), also.get_false_predicate(), ordered[0], ordered[1]];
                    solver.add_clause(clause, tag);
                }
            }
        }
    }

    /// Adds what follows from the other constraints and lets the solver see it sooner.
    fn strengthen(&self, solver: &mut Solver, tag: ConstraintTag, instance: &Instance, disjoint: &Disjoint) {
        for clique in disjoint.cliques(instance, MAX_CLIQUES) {
            let tasks: Vec<ArgDisjunctiveTask<AffineView<DomainId>>> = clique
                .iter()
                .map(|&job| ArgDisjunctiveTask {
                    start_time: self.starts[job].scaled(1),
                    processing_time: instance.jobs[job].duration,
                })
                .collect();
            if tasks.len() > 2 {
                solver.add_constraint(constraints::disjunctive_strict(tasks, tag)).post();
            }
        }
        let most = if self.detail == Detail::Crews { MAX_GROUPS } else { usize::MAX };
        for group in bounds::groups(instance).into_iter().take(most) {
            let demands: Vec<u32> = (0..instance.jobs.len())
                .map(|job| u32::try_from(bounds::work_of(instance, job, &group)).unwrap_or(0))
                .collect();
            cumulative(solver, tag, instance, &self.starts, &demands, u32::try_from(group.len()).unwrap_or(u32::MAX));
        }
    }

    /// Returns the literals of crews and orders.
    pub(super) fn literals(&self) -> impl Iterator<Item = Literal> + '_ {
        let crews = self.roles.iter().flatten().flatten().map(|(_, literal)| *literal);
        crews.chain(self.orders.iter().copied())
    }

    /// Number of variables.
    pub(super) fn size(&self) -> u64 {
        (self.starts.len() + self.literals().count()) as u64
    }

    /// Returns the decisions that lead to a plan.
    pub(super) fn decisions(&self, plan: &Plan) -> Vec<Predicate> {
        let mut decisions = Vec::new();
        for (index, place) in plan.places.iter().enumerate() {
            let Some(place) = place else { continue };
            let (variable, start) = (self.starts[index], Time::try_from(place.start).unwrap_or(Time::MAX));
            decisions.push(predicate!(variable == start));
            for (technician, literal) in self.roles[index].iter().flatten() {
                if place.technicians.contains(technician) {
                    decisions.push(literal.get_true_predicate());
                }
            }
        }
        decisions
    }

    pub(super) fn plan(&self, instance: &Instance, solution: &SolutionReference<'_>) -> Plan {
        let places = (0..instance.jobs.len()).map(|job| {
            let chosen = self.roles[job].iter().flatten();
            let chosen = chosen.filter(|(_, literal)| solution.get_literal_value(*literal)).map(|(index, _)| *index);
            place(value(solution, self.starts[job]), chosen.collect())
        });
        Plan { places: places.collect() }
    }
}

fn is_expressible(instance: &Instance) -> bool {
    let always = |windows: &[(Time, Time)]| windows == [(0, instance.horizon)];
    instance.travel.len() == 1
        && instance.technicians.iter().all(|technician| always(&technician.windows))
        && instance.jobs.iter().all(|job| job.parts.is_empty() && job.windows.is_none() && job.postponement.is_none())
}

/// Pairs of jobs that the dependencies do not separate, and that are exclusive or may have a technician in common.
fn shared_pairs(instance: &Instance, detail: Detail, disjoint: &Disjoint) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for one in 0..instance.jobs.len() {
        for other in 0..one {
            let (first, second) = (&instance.jobs[one], &instance.jobs[other]);
            if disjoint.related(one, other) || first.duration == 0 || second.duration == 0 {
                continue;
            }
            let share = || members(first).iter().any(|technician| members(second).contains(technician));
            if disjoint.exclusive(one, other) || (detail == Detail::Crews && share()) {
                pairs.push((one, other));
            }
        }
    }
    pairs
}

fn members(job: &JobData) -> &[usize] {
    job.pinned_crew.as_deref().unwrap_or(&job.candidates)
}

/// `first + offset <= second`
fn not_after(solver: &mut Solver, tag: ConstraintTag, first: DomainId, offset: Time, second: DomainId) {
    let terms = [first.scaled(1), second.scaled(-1)];
    solver.add_constraint(constraints::less_than_or_equals(terms, -offset, tag)).post();
}

fn cumulative(
    solver: &mut Solver,
    tag: ConstraintTag,
    instance: &Instance,
    starts: &[DomainId],
    demands: &[u32],
    capacity: u32,
) {
    let needs = |job: usize| demands[job] > 0 && instance.jobs[job].duration > 0;
    let jobs: Vec<usize> = (0..demands.len()).filter(|&job| needs(job)).collect();
    let total: u64 = jobs.iter().map(|&job| u64::from(demands[job])).sum();
    if total <= u64::from(capacity) {
        return;
    }
    let int = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let tasks: Vec<ArgTask<DomainId>> = jobs
        .iter()
        .map(|&job| ArgTask {
            start_time: starts[job],
            processing_time: instance.jobs[job].duration,
            resource_usage: int(demands[job]),
        })
        .collect();
    // `constraints::cumulative` would compile six propagators, of which one is used.
    let options = CumulativePropagatorOptions::default();
    let propagator =
        TimeTableOverIntervalIncrementalPropagator::<DomainId, false>::new(&tasks, int(capacity), options, tag);
    let _ = solver.add_propagator(propagator);
}

/// Adds literals for who fills which role: as many as the role needs, and nobody in two roles.
fn crew(solver: &mut Solver, tag: ConstraintTag, job: &JobData) -> Vec<Vec<(usize, Literal)>> {
    let mut roles: Vec<Vec<(usize, Literal)>> = Vec::with_capacity(job.roles.len());
    let mut pinned = job.pinned_crew.as_ref().map(|crew| crew.iter().copied());
    for role in &job.roles {
        let candidates = match &mut pinned {
            Some(crew) => crew.by_ref().take(role.count).collect(),
            None => role.candidates.clone(),
        };
        let literals: Vec<(usize, Literal)> = candidates.into_iter().map(|one| (one, solver.new_literal())).collect();
        exactly(solver, tag, &literals.iter().map(|(_, literal)| *literal).collect::<Vec<_>>(), role.count);
        roles.push(literals);
    }
    for &technician in &job.candidates {
        let all = roles.iter().flatten().filter(|(index, _)| *index == technician).map(|(_, literal)| *literal);
        let all: Vec<Literal> = all.collect();
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                solver.add_clause([one.get_false_predicate(), other.get_false_predicate()], tag);
            }
        }
    }
    roles
}

fn exactly(solver: &mut Solver, tag: ConstraintTag, literals: &[Literal], count: usize) {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    if count == 1 {
        solver.add_clause(literals.iter().map(Literal::get_true_predicate), tag);
    }
    let terms: Vec<AffineView<DomainId>> = literals.iter().map(Literal::get_integer_variable).collect();
    if count > 1 {
        solver.add_constraint(constraints::greater_than_or_equals(terms.clone(), count, tag)).post();
    }
    if terms.len() > 1 {
        solver.add_constraint(constraints::less_than_or_equals(terms, count, tag)).post();
    }
}
