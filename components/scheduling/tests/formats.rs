//! Readers of problem files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wheeltapper_scheduling::{Problem, Solver, formats};

const IMOPSE: &str = "\
General characteristics:
Tasks: 3
====
ResourceID \t Salary \t Skills
1\t\t40.5\t Q1: 1 \t Q0: 2
2\t\t20.0\t Q1: 0
====
TaskID \t Duration \t Skill \t Predecessor IDs
1\t\t4\t Q1: 0\t
2\t\t3\t Q1: 1\t\t1
3\t\t5\t Q0: 2\t\t1 2
";

const MSPSP: &str = "\
% seed = 0
nActs = 4;
dur = [0,2,3,0];
sreq = [| 0,0,
\t| 1,1,
\t| 2,0,
\t| 0,0, |];
mastery = [| true,false,
\t| true,true,
\t| false,true, |];
pred = [1,1,2,3];
succ = [2,3,4,4];
USEFUL_RES = [{},{1,2,3},{1,2},{}];
";

const PSPLIB: &str = "\
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          2           2   3
   2        1          1           4
   3        1          1           4
   4        1          0
************
REQUESTS/DURATIONS:
jobnr. mode duration  R 1  R 2
------------------------------
  1      1     0       0    0
  2      1     4       3    0
  3      1     5       2    1
  4      1     0       0    0
************
RESOURCEAVAILABILITIES:
  R 1  R 2
    4    1
************
";

fn makespan(problem: &Problem) -> Option<f64> {
    let mut solver = Solver::new(problem, 1).unwrap();
    solver.run(2_000, &mut |_| true);
    solver.outcome().objective
}

#[test]
fn imopse() {
    let problem = formats::read("a.def", IMOPSE).unwrap();
    assert_eq!((problem.jobs.len(), problem.technicians.len()), (3, 2));
    assert_eq!(problem.technicians[0].hourly_rate, 40.5);
    assert_eq!(problem.jobs[2].after.len(), 2);
    assert_eq!(makespan(&problem), Some(12.0));
}

#[test]
fn mspsp() {
    let problem = formats::read("folder.x/a.dzn", MSPSP).unwrap();
    assert_eq!((problem.jobs.len(), problem.technicians.len()), (4, 3));
    // The second activity needs both masters of the first skill.
    assert_eq!((problem.jobs[2].crew[0].count, problem.jobs[2].after[0].job.as_str()), (2, "1"));
    assert_eq!(makespan(&problem), Some(5.0));
}

#[test]
fn psplib() {
    let problem = formats::read("a.sm", PSPLIB).unwrap();
    assert_eq!((problem.jobs.len(), problem.tools.len()), (4, 2));
    assert_eq!(problem.jobs[2].tools["R2"], 1);
    // Together they would need five of the four.
    assert_eq!(makespan(&problem), Some(9.0));
}

#[test]
fn json_in_and_out() {
    let problem = formats::read("a.sm", PSPLIB).unwrap();
    let text = serde_json::to_string(&problem).unwrap();
    assert_eq!(formats::read("a.json", &text).unwrap(), problem);
}

#[test]
fn an_error_says_where_and_what_was_expected() {
    let cases = [
        ("a.txt", "", "ends in .json, .def, .dzn or .sm"),
        ("a.json", "{\"jobs\": [{\"name\": \"a\", \"durations\": 3}]}", "unknown field `durations`"),
        ("a.json", "{\"jobs\": [{\"name\": \"a\", \"duration\": 3, \"machine\": \"p\"}]}", "machine p is unknown"),
        ("a.def", "Tasks: 3", "expected the tables ResourceID and TaskID"),
        ("a.def", "TaskID\n1 x Q1: 1", "line 2: task: duration: expected a whole number; it is \"x\""),
        ("a.dzn", "dur = [1];", "`sreq = …;`"),
        ("a.sm", "RESOURCEAVAILABILITIES:\n 1 2", "expected the sections"),
    ];
    for (name, text, expected) in cases {
        let error = formats::read(name, text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_the_solver_relies_on_is_checked() {
    let cases = [
        (r#"{"jobs": [{"name": "a", "duration": 1}, {"name": "a", "duration": 1}]}"#, "occurs twice"),
        (r#"{"jobs": [{"name": "a", "duration": 1, "after": [{"job": "a"}]}]}"#, "wait for each other"),
        (r#"{"jobs": [], "horizon": 0}"#, "horizon: expected 1 to"),
        (
            r#"{"jobs": [], "technicians": [{"name": "t", "shifts": [{"start": 5, "end": 9}, {"start": 8, "end": 12}]}]}"#,
            "ascending, disjoint windows",
        ),
        (
            r#"{"jobs": [], "technicians": [{"name": "t", "shifts": [{"start": 5, "end": 9}],
                "overtime": [{"start": 8, "end": 12}]}]}"#,
            "shifts and overtime together",
        ),
        (r#"{"jobs": [{"name": "a", "duration": 1, "postponement_cost": -1}]}"#, "postponement_cost: expected 0 to"),
        (r#"{"jobs": [{"name": "a", "duration": 1, "stops_machine": true}]}"#, "stops_machine needs a machine"),
    ];
    for (text, expected) in cases {
        let error = formats::read("a.json", text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
