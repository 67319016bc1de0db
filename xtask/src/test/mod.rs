//! `cargo xtask test`: builds and runs all tests, checks the lints and fuzzes the parsers.
//!
//! Whatever computes only runs beside the tests that mostly wait for hosts and brokers; see [`Lane`].

mod jobs;
mod phases;
mod programs;

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::bail;

use crate::{artifacts_program, cargo, cargo_command, composed_folder, run as run_command, setup};
use jobs::{Job, Lane};
use phases::Phases;
use programs::{Built, TestProgram};

/// Seconds for which each fuzz target searches for new inputs; the run of its corpus comes first.
const FUZZ_SECONDS: &str = "5";
/// Seed of that search: the tests of one commit should have one result. `cargo xtask fuzz` explores.
const FUZZ_SEED: &str = "1";
/// The simulation of the line under faults, in the tests of the edge host's library: it computes for minutes.
const SIMULATION: &str = "line::simulation::";

/// Runs the tests whose name contains `filter`. `None`: all tests, and the checks.
pub(crate) fn run(filter: Option<&str>) -> anyhow::Result<()> {
    let mut phases = Phases::default();
    phases.run("install what the tests need", || {
        setup::wasm_target()?;
        setup::programs()
    })?;
    if filter.is_none() {
        phases.run("check the format", || cargo(&["fmt", "--all", "--check"]))?;
    }
    phases.run("build the dashboard", setup::dashboard)?;
    let artifacts = phases.run("build the program that composes components", artifacts_program)?;
    let (built, tools) =
        phases.run("build the tests, compose the components for other platforms", || build(&artifacts))?;
    let mut jobs = if filter.is_none() { check_jobs()? } else { Vec::new() };
    jobs.extend(test_jobs(&built, filter, &tools)?);
    let tested = phases.run("run the tests, check the lints, fuzz the parsers", || jobs::run_all(jobs));
    phases.print();
    tested
}

/// What the tests of other programs' clients need.
struct Tools {
    /// Python's interpreter, with the clients' packages.
    python: PathBuf,
    /// The folder of the package that drives the browser, and the browser. `None`: Node.js is not installed.
    browser: Option<(PathBuf, PathBuf)>,
}

/// Builds all tests. Meanwhile it composes the components, which keeps one processor busy, and installs packages, which
/// waits for the network.
fn build(artifacts: &Path) -> anyhow::Result<(Built, Tools)> {
    thread::scope(|scope| {
        let composing = scope.spawn(|| run_command(Command::new(artifacts).arg("compose")));
        let installing = scope.spawn(|| Ok(Tools { python: setup::python()?, browser: setup::browser()? }));
        // This also builds the binary that the end-to-end tests run, because a test of its own package runs it too.
        let built = programs::build()?;
        composing.join().unwrap_or_else(|_| bail!("composing the components panicked; its message is above"))?;
        let tools = installing.join().unwrap_or_else(|_| bail!("an installation panicked; its message is above"))?;
        Ok((built, tools))
    })
}

/// Returns the test programs as jobs.
fn test_jobs(built: &Built, filter: Option<&str>, tools: &Tools) -> anyhow::Result<Vec<Job>> {
    let composed = std::path::absolute(composed_folder())?;
    let command = |program: &TestProgram, arguments: &[&str]| {
        let mut command = program.command();
        command.args(arguments).args(filter);
        command.env("WHEELTAPPER_PYTHON", &tools.python).env("WHEELTAPPER_COMPOSED", &composed);
        if let Some((pages, browser)) = &tools.browser {
            command.env("WHEELTAPPER_PAGES", pages).env("WHEELTAPPER_CHROMIUM", browser);
        }
        command
    };
    let mut jobs = Vec::new();
    for program in &built.programs {
        let name = program.name();
        if filter.is_none() && program.is_library_of("edge") {
            let simulation = command(program, &[SIMULATION]);
            jobs.push(Job::new(format!("{name} ({SIMULATION})"), Lane::Background, simulation));
            jobs.push(Job::new(name, Lane::Servers, command(program, &["--skip", SIMULATION])));
        } else {
            jobs.push(Job::new(name, program.lane(), command(program, &[])));
        }
    }
    if built.has_doc_tests {
        let mut doc_tests = cargo_command();
        doc_tests.args(["test", "--release", "--workspace", "--doc"]).args(filter);
        jobs.push(Job::new("doc tests".to_owned(), Lane::Background, doc_tests));
    }
    Ok(jobs)
}

/// Returns the jobs that test no behaviour: lints, and fuzzing, mainly to run the corpus.
fn check_jobs() -> anyhow::Result<Vec<Job>> {
    let mut lints = cargo_command();
    lints.args(crate::CLIPPY);
    let mut fuzzing = Command::new(std::env::current_exe()?);
    fuzzing.args(["fuzz", "--seconds", FUZZ_SECONDS, "--seed", FUZZ_SEED]);
    Ok(vec![
        Job::new("lints".to_owned(), Lane::Background, lints),
        Job::new("fuzz targets".to_owned(), Lane::Background, fuzzing),
    ])
}
