//! Each constraint has a small plant in which it decides: with it the best plan differs from the one without it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use wheeltapper_scheduling::{Outcome, Problem, Solver, Status, checker, conflict, reasons};

fn solve(problem: &Problem) -> Outcome {
    let mut solver = Solver::new(problem, 3).unwrap();
    solver.run(2_000, &mut |_| true);
    let outcome = solver.outcome();
    if let Some(plan) = &outcome.plan {
        assert_eq!(checker::violations(problem, plan), Vec::<String>::new());
    }
    outcome
}

fn problem(value: Value) -> Problem {
    serde_json::from_value(value).unwrap()
}

/// Two jobs of 4 slots for mechanics, and two mechanics.
fn base() -> Value {
    json!({
        "slot_minutes": 60,
        "horizon": 40,
        "jobs": [
            {"name": "a", "duration": 4, "crew": [{"skills": {"mechanic": 1}}]},
            {"name": "b", "duration": 4, "crew": [{"skills": {"mechanic": 1}}]},
        ],
        "technicians": [
            {"name": "Ann", "skills": {"mechanic": 2}, "hourly_rate": 60.0},
            {"name": "Ben", "skills": {"mechanic": 1}, "hourly_rate": 40.0},
        ],
        "machines": [{"name": "pump", "downtime_cost_per_hour": 100.0}],
        "tools": [{"name": "crane", "count": 1}],
        "parts": [{"name": "seal", "stock": 1, "deliveries": [{"at": 10, "quantity": 1}]}],
    })
}

/// The makespan after changes of `base`: pairs of a JSON pointer to an object, and fields that are added to it.
fn makespan_with(changes: &[(&str, Value)]) -> Option<f64> {
    let mut value = base();
    for (pointer, fields) in changes {
        let object = value.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        object.extend(fields.as_object().unwrap().clone());
    }
    solve(&problem(value)).objective
}

#[test]
fn without_further_limits_both_jobs_run_at_once() {
    assert_eq!(makespan_with(&[]), Some(4.0));
}

#[test]
fn a_technician_does_one_job_at_a_time() {
    assert_eq!(makespan_with(&[("/technicians/1", json!({"skills": {}}))]), Some(8.0));
}

#[test]
fn the_level_of_a_skill_counts() {
    let two = json!({"crew": [{"skills": {"mechanic": 2}}]});
    assert_eq!(makespan_with(&[("/jobs/0", two.clone()), ("/jobs/1", two)]), Some(8.0));
}

#[test]
fn a_crew_of_two_occupies_two() {
    let two = json!({"crew": [{"skills": {"mechanic": 1}, "count": 2}]});
    assert_eq!(makespan_with(&[("/jobs/0", two)]), Some(8.0));
}

#[test]
fn the_earliest_start_is_kept() {
    assert_eq!(makespan_with(&[("/jobs/0", json!({"earliest_start": 3}))]), Some(7.0));
}

#[test]
fn a_deadline_decides_who_goes_first() {
    let crew = json!({"crew": [{"skills": {"mechanic": 2}}], "deadline": 4});
    let later = json!({"crew": [{"skills": {"mechanic": 2}}]});
    let mut value = base();
    value["jobs"][1].as_object_mut().unwrap().extend(crew.as_object().unwrap().clone());
    value["jobs"][0].as_object_mut().unwrap().extend(later.as_object().unwrap().clone());
    let plan = solve(&problem(value)).plan.unwrap();
    let starts: Vec<u32> = plan.places.iter().map(|place| place.as_ref().unwrap().start).collect();
    assert_eq!(starts, [4, 0]);
}

#[test]
fn a_job_waits_for_another_and_for_its_lag() {
    assert_eq!(makespan_with(&[("/jobs/1", json!({"after": [{"job": "a", "lag": 2}]}))]), Some(10.0));
}

#[test]
fn a_tool_is_used_by_one_job_at_a_time() {
    let crane = json!({"tools": {"crane": 1}});
    assert_eq!(makespan_with(&[("/jobs/0", crane.clone()), ("/jobs/1", crane)]), Some(8.0));
}

#[test]
fn a_part_is_taken_once_and_the_next_job_waits_for_the_delivery() {
    let seal = json!({"parts": {"seal": 1}});
    assert_eq!(makespan_with(&[("/jobs/0", seal.clone()), ("/jobs/1", seal)]), Some(14.0));
}

#[test]
fn a_shift_limits_the_work_and_overtime_prolongs_it() {
    let late = json!({"shifts": [{"start": 2, "end": 5}, {"start": 8, "end": 16}]});
    let none = json!({"skills": {}});
    assert_eq!(makespan_with(&[("/technicians/0", late.clone()), ("/technicians/1", none.clone())]), Some(16.0));
    let overtime = json!({"shifts": [{"start": 2, "end": 5}, {"start": 8, "end": 16}],
                          "overtime": [{"start": 5, "end": 6}]});
    assert_eq!(makespan_with(&[("/technicians/0", overtime), ("/technicians/1", none)]), Some(12.0));
}

#[test]
fn an_absence_interrupts_a_shift() {
    let away = json!({"absences": [{"start": 3, "end": 5}]});
    let none = json!({"skills": {}});
    assert_eq!(makespan_with(&[("/technicians/0", away), ("/technicians/1", none)]), Some(13.0));
}

#[test]
fn a_machine_is_stopped_in_its_windows_only() {
    let stop = json!({"machine": "pump", "stops_machine": true});
    let windows = json!({"stop_windows": [{"start": 6, "end": 9}, {"start": 20, "end": 24}]});
    assert_eq!(makespan_with(&[("/jobs/0", stop), ("/machines/0", windows)]), Some(24.0));
}

#[test]
fn a_machine_takes_a_number_of_jobs() {
    let on_it = json!({"machine": "pump"});
    let changes = [("/jobs/0", on_it.clone()), ("/jobs/1", on_it), ("/machines/0", json!({"jobs_at_once": 1}))];
    assert_eq!(makespan_with(&changes), Some(8.0));
}

#[test]
fn a_technician_travels_between_sites_and_home() {
    let mut value = base();
    value["travel"] = json!([{"from": "north", "to": "south", "slots": 3}]);
    value["technicians"][1]["skills"] = json!({});
    value["jobs"][0]["site"] = json!("north");
    value["jobs"][1]["site"] = json!("south");
    assert_eq!(solve(&problem(value.clone())).objective, Some(11.0));
    value["technicians"][0]["home"] = json!("north");
    value["horizon"] = json!(13);
    let outcome = solve(&problem(value));
    // Either way the technician is home at 14.
    assert_eq!((outcome.status, outcome.plan), (Status::Unknown, None));
}

#[test]
fn a_pinned_job_stays_and_others_make_room() {
    let pin = json!({"pinned": {"start": 2, "technicians": ["Ann"]}});
    let needs = json!({"crew": [{"skills": {"mechanic": 2}}]});
    assert_eq!(makespan_with(&[("/jobs/0", pin), ("/jobs/1", needs)]), Some(10.0));
}

fn costs_of(mut value: Value) -> (Outcome, Problem) {
    value["objective"] = json!({"total-cost": {}});
    let problem = problem(value);
    (solve(&problem), problem)
}

#[test]
fn the_cheaper_technician_is_preferred_until_lateness_costs_more() {
    let (outcome, _) = costs_of(base());
    assert_eq!(outcome.objective, Some(320.0));
    let mut value = base();
    for job in 0..2 {
        value["jobs"][job]["due"] = json!(4);
        value["jobs"][job]["lateness_cost_per_hour"] = json!(30.0);
    }
    // Ben does one and Ann the other: 160 + 240; Ben alone would be late by four hours: 320 + 120.
    assert_eq!(costs_of(value).0.objective, Some(400.0));
}

#[test]
fn jobs_share_a_stop_of_the_machine() {
    let mut value = base();
    for job in 0..2 {
        value["jobs"][job]["machine"] = json!("pump");
        value["jobs"][job]["stops_machine"] = json!(true);
    }
    // Both at once stop it for 4 h; one after the other would be 80 cheaper in labour and cost 400 more.
    let (outcome, _) = costs_of(value);
    assert_eq!((outcome.objective, outcome.costs.unwrap().downtime), (Some(800.0), 400.0));
}

#[test]
fn early_repair_is_traded_against_risk() {
    let mut value = base();
    value["technicians"][0]["skills"] = json!({});
    value["technicians"][1]["overtime"] = json!([{"start": 0, "end": 4}]);
    value["technicians"][1]["shifts"] = json!([{"start": 8, "end": 16}]);
    value["jobs"][0]["risk"] = json!([{"end": 4, "cost": 0.0}, {"end": 12, "cost": 70.0}]);
    // In overtime the labour costs 80 more than in the shift: the risk of waiting, 70, is lower.
    assert_eq!(costs_of(value.clone()).0.costs.unwrap().overtime, 0.0);
    value["jobs"][0]["risk"] = json!([{"end": 4, "cost": 0.0}, {"end": 12, "cost": 90.0}]);
    assert_eq!(costs_of(value).0.costs.unwrap().overtime, 240.0);
}

#[test]
fn a_job_is_postponed_if_that_is_cheaper() {
    let mut value = base();
    value["jobs"][0]["postponement_cost"] = json!(150.0);
    let (outcome, problem) = costs_of(value);
    assert_eq!((outcome.objective, outcome.costs.unwrap().postponement), (Some(310.0), 150.0));
    let plan = outcome.plan.unwrap();
    assert_eq!(plan.places[0], None);
    assert!(reasons(&problem, &plan).unwrap()[0].contains("postponement"));
}

#[test]
fn the_optimum_is_proved() {
    let (outcome, _) = costs_of(base());
    assert_eq!((outcome.status, outcome.gap), (Status::Optimal, Some(0.0)));
}

#[test]
fn each_job_says_why_it_is_where_it_is() {
    let mut value = base();
    value["technicians"][1]["skills"] = json!({});
    value["technicians"][0]["shifts"] = json!([{"start": 6, "end": 30}]);
    value["jobs"][1]["after"] = json!([{"job": "a"}]);
    let problem = problem(value);
    let plan = solve(&problem).plan.unwrap();
    assert_eq!(reasons(&problem, &plan).unwrap(), ["the shift of Ann begins at 6", "waits for job a"]);
}

#[test]
fn a_conflict_names_the_jobs_and_what_would_help() {
    let mut value = base();
    value["jobs"].as_array_mut().unwrap().push(json!({"name": "c", "duration": 1}));
    for job in 0..2 {
        value["jobs"][job]["crew"] = json!([{"skills": {"mechanic": 2}}]);
        value["jobs"][job]["deadline"] = json!(7);
    }
    let problem = problem(value);
    assert_eq!(solve(&problem).status, Status::Infeasible);
    let sentences = conflict(&problem, 400).unwrap();
    assert_eq!(sentences[0], "the jobs a, b do not fit together");
    assert!(sentences.contains(&"they would fit without the deadline of job a".to_owned()), "{sentences:?}");
}

#[test]
fn a_missing_skill_is_named() {
    let mut value = base();
    value["jobs"][0]["crew"] = json!([{"skills": {"electrician": 2}}]);
    let sentences = conflict(&problem(value), 400).unwrap();
    assert_eq!(sentences, ["job a needs 1 with electrician at level 2 or above; there are 0"]);
}

#[test]
fn the_same_seed_and_steps_give_the_same_plan() {
    let problem = problem(base());
    let run = |pieces: &[u64]| {
        let mut solver = Solver::new(&problem, 5).unwrap();
        for &steps in pieces {
            solver.run(steps, &mut |_| true);
        }
        solver.outcome()
    };
    assert_eq!(run(&[1_000]), run(&[1_000]));
}
