//! `wheeltapper schedule`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use serde_json::json;
use wheeltapper_scheduling::{Objective, Outcome, Problem, Solver, Status, checker, conflict, formats, reasons};

/// Largest file that is read.
const MAX_FILE: u64 = 64 << 20;
/// Steps of the search for the jobs in conflict, for each set of jobs that is tried.
const CONFLICT_STEPS: u64 = 400;

/// Maintenance schedules: who does which job when.
#[derive(Debug, clap::Args)]
pub(super) struct ScheduleCommand {
    #[command(subcommand)]
    action: ScheduleAction,
}

#[derive(Debug, Subcommand)]
enum ScheduleAction {
    /// Find the best schedule of a problem file
    ///
    /// The file is the project's JSON (.json), or of a public benchmark: iMOPSE (.def), MSPSP (.dzn) or PSPLIB (.sm).
    /// The objective of the benchmarks is the length of the plan, in slots.
    ///
    /// A problem in JSON; times are slots of 15 minutes since the start of the plan:
    ///
    ///   {
    ///     "objective": {"total-cost": {}},
    ///     "jobs": [
    ///       {"name": "replace bearing", "duration": 16, "machine": "pump-07", "stops_machine": true,
    ///        "crew": [{"skills": {"mechanic": 2}}], "parts": {"bearing 6205": 1},
    ///        "risk": [{"end": 96, "cost": 200}, {"end": 672, "cost": 9000}]},
    ///       {"name": "align", "duration": 8, "machine": "pump-07", "stops_machine": true,
    ///        "crew": [{"skills": {"mechanic": 1}, "count": 2}], "after": [{"job": "replace bearing"}]}
    ///     ],
    ///     "technicians": [
    ///       {"name": "Ann", "skills": {"mechanic": 3}, "hourly_rate": 60, "shifts": [{"start": 24, "end": 56}]},
    ///       {"name": "Ben", "skills": {"mechanic": 1}, "hourly_rate": 45, "shifts": [{"start": 24, "end": 56}]}
    ///     ],
    ///     "machines": [{"name": "pump-07", "downtime_cost_per_hour": 400}],
    ///     "parts": [{"name": "bearing 6205", "stock": 0, "unit_cost": 80,
    ///                "deliveries": [{"at": 30, "quantity": 2}]}]
    ///   }
    ///
    /// "objective" is "makespan" (the default), "labour-cost" or {"total-cost": {}} with weights such as "risk": 2.
    /// Each job says in the output what keeps it from an earlier start. The bound is the objective that no plan can
    /// fall below; the gap is the distance to it. If there is no plan, the output names the jobs in conflict and what
    /// would help.
    Solve(Solve),
}

#[derive(Debug, clap::Args)]
struct Solve {
    /// The problem
    file: PathBuf,
    /// Stop after this time, if the plan is not proved optimal before
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    seconds: f64,
    /// Stop after this number of steps; with it, the same seed gives the same plan on each machine
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Seed of the search
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl ScheduleCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let ScheduleAction::Solve(solve) = self.action;
        solve.run()
    }
}

impl Solve {
    fn run(&self) -> anyhow::Result<()> {
        ensure!(
            self.seconds > 0.0 && self.seconds <= 86_400.0,
            "--seconds: expected more than 0 and at most 86400; it is {}",
            self.seconds
        );
        let problem = read(&self.file)?;
        let start = Instant::now();
        let limit = Duration::from_secs_f64(self.seconds);
        let mut solver = Solver::new(&problem, self.seed)?;
        // With a number of steps the clock has no say.
        let keep_going = |_| self.steps.is_some() || start.elapsed() < limit;
        solver.run(self.steps.unwrap_or(u64::MAX), &mut { keep_going });
        let outcome = solver.outcome();
        let seconds = start.elapsed().as_secs_f64();
        let Some(plan) = &outcome.plan else {
            let sentences = conflict(&problem, CONFLICT_STEPS)?;
            if self.json {
                println!("{}", json!({ "status": outcome.status, "conflict": sentences, "seconds": seconds }));
            }
            bail!("{}: {}", no_plan(outcome.status), sentences.join("; "));
        };
        let violations = checker::violations(&problem, plan);
        ensure!(violations.is_empty(), "the plan violates constraints, which is a defect: {}", violations.join("; "));
        let reasons = reasons(&problem, plan)?;
        if self.json {
            let jobs: Vec<serde_json::Value> = jobs(&problem, &outcome, &reasons).collect();
            println!(
                "{}",
                json!({
                    "status": outcome.status,
                    "objective": outcome.objective,
                    "bound": outcome.bound,
                    "gap": outcome.gap,
                    "costs": outcome.costs,
                    "steps": outcome.steps,
                    "seconds": seconds,
                    "jobs": jobs,
                })
            );
            return Ok(());
        }
        for (index, job) in problem.jobs.iter().enumerate() {
            match &plan.places[index] {
                Some(place) => {
                    let crew: Vec<&str> =
                        place.technicians.iter().map(|&member| problem.technicians[member].name.as_str()).collect();
                    let end = place.start + job.duration;
                    let (name, crew, reason) = (&job.name, crew.join(", "), &reasons[index]);
                    println!("{:>6} to {end:>6}  {name:<20} {crew:<20} {reason}", place.start);
                }
                None => println!("       postponed   {:<20} {:<20} {}", job.name, "", reasons[index]),
            }
        }
        print_summary(&problem, &outcome, seconds)
    }
}

fn no_plan(status: Status) -> &'static str {
    if status == Status::Infeasible { "there is no plan" } else { "no plan was found within the limit" }
}

fn read(file: &Path) -> anyhow::Result<Problem> {
    let context = || format!("reading {}", file.display());
    let size = fs::metadata(file).with_context(context)?.len();
    ensure!(size <= MAX_FILE, "{}: expected at most {MAX_FILE} bytes; it has {size}", file.display());
    let text = fs::read_to_string(file).with_context(context)?;
    Ok(formats::read(&file.display().to_string(), &text)?)
}

fn jobs<'a>(
    problem: &'a Problem,
    outcome: &'a Outcome,
    reasons: &'a [String],
) -> impl Iterator<Item = serde_json::Value> + 'a {
    let places = outcome.plan.iter().flat_map(|plan| &plan.places);
    problem.jobs.iter().zip(places).zip(reasons).map(|((job, place), reason)| {
        let crew = place.as_ref().map(|place| {
            place.technicians.iter().map(|&member| problem.technicians[member].name.as_str()).collect::<Vec<_>>()
        });
        json!({
            "job": job.name,
            "start": place.as_ref().map(|place| place.start),
            "end": place.as_ref().map(|place| place.start + job.duration),
            "technicians": crew,
            "reason": reason,
        })
    })
}

fn print_summary(problem: &Problem, outcome: &Outcome, seconds: f64) -> anyhow::Result<()> {
    let status = if outcome.status == Status::Optimal { "optimal" } else { "feasible" };
    let objective = outcome.objective.unwrap_or(f64::NAN);
    let unit = if problem.objective == Objective::Makespan { "slots" } else { "in all" };
    let gap = 100.0 * outcome.gap.unwrap_or(0.0);
    println!("{status}: {objective:.2} {unit}, bound {:.2}, gap {gap:.2} %, {seconds:.2} s", outcome.bound);
    if let Some(costs) = outcome.costs.filter(|_| problem.objective != Objective::Makespan) {
        println!(
            "labour {:.2}, overtime {:.2}, travel {:.2}, downtime {:.2}, risk {:.2}, lateness {:.2}, parts {:.2}, \
             postponement {:.2}; {} slots",
            costs.labour,
            costs.overtime,
            costs.travel,
            costs.downtime,
            costs.risk,
            costs.lateness,
            costs.parts,
            costs.postponement,
            costs.makespan
        );
    }
    Ok(())
}
