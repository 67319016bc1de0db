//! Solves files one after the other, and prints for each the objective, the bound, and the seconds of processor time.
//!
//! Usage: `measure SECONDS FILE...`; the limit is the processor time of a file, so that other work on the machine does
//! not matter.

#![allow(clippy::unwrap_used, reason = "a tool of developers fails by panicking")]

use std::{fs, time::Instant};

use wheeltapper_scheduling::{Solver, checker, formats};

/// Seconds that the processor has worked for this process, in steps of 0.01 s (Linux).
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().unwrap().parse().unwrap();
    for path in arguments {
        let text = fs::read_to_string(&path).unwrap();
        let problem = formats::read(&path, &text).unwrap();
        let (start, before) = (Instant::now(), processor_seconds());
        let mut solver = Solver::new(&problem, 1).unwrap();
        let mut history = Vec::new();
        solver.run(u64::MAX, &mut |progress| {
            let used = processor_seconds() - before;
            let state = (progress.objective, progress.bound);
            if history.last().is_none_or(|(_, last)| *last != state) {
                history.push((used, state));
            }
            used < seconds
        });
        let outcome = solver.outcome();
        let violations = outcome.plan.as_ref().map(|plan| checker::violations(&problem, plan));
        let last = history.len().saturating_sub(4);
        let times: Vec<String> = history[last..]
            .iter()
            .map(|(at, (objective, bound))| format!("{at:.2}s:{:.1}/{bound:.1}", objective.unwrap_or(f64::NAN)))
            .collect();
        println!(
            "{} {:?} {:.3} bound {:.3} {:.2}s ({:.0} s of wall clock) steps {} {:?} {}",
            path.rsplit('/').next().unwrap(),
            outcome.status,
            outcome.objective.unwrap_or(f64::NAN),
            outcome.bound,
            processor_seconds() - before,
            start.elapsed().as_secs_f64(),
            outcome.steps,
            violations.unwrap_or_default(),
            times.join(" ")
        );
    }
}
