//! Random small plants: the solver finds what trying all plans finds, and every plan passes the independent checker.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Features, best_by_trying_all, numbers, plant};
use proptest::prelude::*;
use wheeltapper_scheduling::{Problem, Solver, Status, checker};

/// Plants per property; `PROPTEST_CASES` overrides it.
const CASES: u32 = 1000;

fn agrees(problem: &Problem, steps: u64) -> Result<(), TestCaseError> {
    let expected = best_by_trying_all(problem);
    let mut solver = Solver::new(problem, 7).unwrap();
    solver.run(steps, &mut |_| true);
    let outcome = solver.outcome();
    if let Some(plan) = &outcome.plan {
        prop_assert_eq!(checker::violations(problem, plan), Vec::<String>::new());
        let objective = checker::objective(problem, plan);
        prop_assert!((objective - outcome.objective.unwrap()).abs() < 1e-6, "{} {:?}", objective, outcome);
    }
    match expected {
        Some(best) => {
            prop_assert!(outcome.bound <= best + 1e-6, "the bound is above {best}: {outcome:?}");
            let found = outcome.objective;
            prop_assert!(found.is_some_and(|found| (found - best).abs() < 1e-6), "best {best}: {outcome:?}");
            prop_assert!(matches!(outcome.status, Status::Optimal | Status::Feasible));
        }
        None => prop_assert!(matches!(outcome.status, Status::Infeasible | Status::Unknown), "{outcome:?}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shortest_plans(numbers in numbers()) {
        agrees(&plant(&numbers, Features { cost: false, calendars: false, travel: false }), 2_000)?;
    }

    #[test]
    fn shortest_plans_with_shifts_and_travel(numbers in numbers()) {
        agrees(&plant(&numbers, Features { cost: false, calendars: true, travel: true }), 2_000)?;
    }

    #[test]
    fn cheapest_plans(numbers in numbers()) {
        agrees(&plant(&numbers, Features { cost: true, calendars: true, travel: false }), 1_000)?;
    }

    #[test]
    fn cheapest_plans_with_travel(numbers in numbers()) {
        agrees(&plant(&numbers, Features { cost: true, calendars: true, travel: true }), 1_000)?;
    }
}
