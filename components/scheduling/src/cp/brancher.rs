//! The order of decisions: a known plan first, then activity (VSIDS), then the earliest start.

use pumpkin_core::{
    branching::{Brancher, BrancherEvent, SelectionContext, branchers::autonomous_search::AutonomousSearch},
    predicate,
    predicates::Predicate,
    results::SolutionReference,
    variables::{DomainId, Literal},
};

use super::model::Model;
use crate::plan::Plan;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Search {
    hint: Vec<Predicate>,
    next_hint: usize,
    activity: AutonomousSearch<EarliestStart>,
}

impl Search {
    pub(super) fn new(model: &Model) -> Self {
        let literals: Vec<Literal> = model.literals().collect();
        let mut starts = model.starts.clone();
        starts.push(model.makespan);
        let backup = EarliestStart { starts, literals };
        Self { hint: Vec::new(), next_hint: 0, activity: AutonomousSearch::new(backup) }
    }

    /// The search tries this plan first.
    pub(super) fn set_hint(&mut self, model: &Model, plan: &Plan) {
        self.hint = model.decisions(plan);
        self.next_hint = 0;
    }

    pub(super) fn clear_hint(&mut self) {
        self.hint.clear();
    }
}

impl Brancher for Search {
    fn next_decision(&mut self, context: &mut SelectionContext<'_>) -> Option<Predicate> {
        while let Some(&decision) = self.hint.get(self.next_hint) {
            self.next_hint += 1;
            if !context.is_predicate_assigned(decision) {
                return Some(decision);
            }
        }
        self.activity.next_decision(context)
    }

    fn on_conflict(&mut self) {
        self.activity.on_conflict();
    }

    fn on_backtrack(&mut self) {
        self.activity.on_backtrack();
    }

    fn on_solution(&mut self, solution: SolutionReference<'_>) {
        self.activity.on_solution(solution);
    }

    fn on_unassign_integer(&mut self, variable: DomainId, value: i32) {
        self.activity.on_unassign_integer(variable, value);
    }

    fn on_appearance_in_conflict_predicate(&mut self, predicate: Predicate) {
        self.activity.on_appearance_in_conflict_predicate(predicate);
    }

    fn on_restart(&mut self) {
        self.activity.on_restart();
    }

    fn synchronise(&mut self, context: &mut SelectionContext<'_>) {
        self.next_hint = 0;
        self.activity.synchronise(context);
    }

    fn is_restart_pointless(&mut self) -> bool {
        false
    }

    fn subscribe_to_events(&self) -> Vec<BrancherEvent> {
        let mut events = self.activity.subscribe_to_events();
        events.push(BrancherEvent::Synchronise);
        events.dedup();
        events
    }
}

/// Starts the job that can start first, then fixes the makespan, and decides who does what.
#[derive(Debug)]
struct EarliestStart {
    starts: Vec<DomainId>,
    literals: Vec<Literal>,
}

impl Brancher for EarliestStart {
    fn next_decision(&mut self, context: &mut SelectionContext<'_>) -> Option<Predicate> {
        let open = self.starts.iter().filter(|&&start| !context.is_integer_fixed(start));
        let earliest = open.min_by_key(|&&start| (context.lower_bound(start), context.upper_bound(start)));
        if let Some(&start) = earliest {
            let bound = context.lower_bound(start);
            return Some(predicate!(start <= bound));
        }
        let open = self.literals.iter().map(|literal| literal.get_true_predicate());
        open.into_iter().find(|&literal| !context.is_predicate_assigned(literal))
    }

    fn subscribe_to_events(&self) -> Vec<BrancherEvent> {
        Vec::new()
    }
}
