//! `cargo xtask`: what a developer does with this repository, in one word each.

mod components;
mod compose;
mod conformance;
mod fuzz;
mod package;
mod setup;
mod size;
mod up;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};

/// Builds, runs and tests Wheeltapper.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build everything and run it with a simulated fleet of 50 machines, of which some degrade
    Up(up::Up),
    /// Run all the tests; brokers and other peers that they need are installed first
    Test {
        /// Only the tests whose name has this in it
        filter: Option<String>,
    },
    /// Fuzz every parser of bytes from outside: --seconds N, names of targets
    Fuzz(fuzz::Fuzz),
    /// Measure: throughput, latency, bytes on disk, memory, cold start, calls of components; api beside `wasmtime serve`;
    /// pages at 10,000 sensors and 30 days
    Bench {
        /// What follows goes to the benchmark: --json FILE, --seconds N, names of measurements
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Score the built components on public benchmarks: --data DIR, --fleet 200, --json FILE (see `wheeltapper evaluate --help`)
    Evaluate {
        /// What follows goes to `wheeltapper evaluate`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Join the stages with the adapters of Spin and wasmCloud: target/composed/HOST/NAME.wasm and manifest.json
    Compose(compose::Compose),
    /// Run the same cases on any host: --host edge, spin-test-host, wasmcloud-test-host, spin or wash
    Conformance(conformance::Conformance),
    /// Tell how large the components are, and whether one is over its limit
    Size(size::Size),
    /// Pack every component as an OCI image with its bill of materials: target/oci/NAME
    Package(package::Package),
    /// Format and lints
    Check,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Up(task) => task.run(),
        Task::Test { filter } => test(filter.as_deref()),
        Task::Fuzz(task) => task.run(),
        Task::Bench { arguments } => bench(&arguments),
        Task::Evaluate { arguments } => evaluate(&arguments),
        Task::Compose(task) => task.run(),
        Task::Conformance(task) => task.run(),
        Task::Size(task) => task.run(),
        Task::Package(task) => task.run(),
        Task::Check => check(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where cargo builds to.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(cargo_command().args(arguments))
}

/// Cargo, as if called from a shell in the root: what `cargo run` told of xtask's own package would have some dependencies
/// (ring) built anew after each call from elsewhere, and all that stands on them.
fn cargo_command() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let own =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if own {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command that must succeed.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("starting {}", command.get_program().display()))?;
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    ensure!(status.success(), "{} failed ({status})", words.join(" "));
    Ok(())
}

fn evaluate(arguments: &[String]) -> anyhow::Result<()> {
    setup::target()?;
    binaries()?;
    // From where it was called, so that relative folders mean what they say.
    run(Command::new(target().join("release/wheeltapper")).arg("evaluate").args(arguments))
}

/// All programs at once, so that their dependencies are built with one set of features.
fn binaries() -> anyhow::Result<()> {
    cargo(&["build", "--release", "--workspace", "--bins"])
}

fn check() -> anyhow::Result<()> {
    setup::target()?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--release", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
}

fn test(filter: Option<&str>) -> anyhow::Result<()> {
    let mut phases = Phases::default();
    let (python, browser) = phases.run("install what the tests need", || {
        setup::target()?;
        setup::peers()?;
        Ok((setup::python()?, setup::browser()?))
    })?;
    phases.run("build the dashboard", setup::dashboard)?;
    if filter.is_none() {
        phases.run("check format and lints", check)?;
    }
    phases.run("join the components for other platforms", compose::all)?;
    // The binary that end-to-end tests run is built with the rest, as a test of its own package runs it too.
    let build = ["test", "--release", "--workspace", "--no-run"];
    phases.run("build the tests", || cargo(&build))?;
    let mut command = cargo_command();
    command.args(["test", "--release", "--workspace", "--no-fail-fast"]).args(filter);
    command.env("WHEELTAPPER_PYTHON", python).env("WHEELTAPPER_COMPOSED", std::path::absolute(compose::folder())?);
    if let Some((pages, browser)) = browser {
        command.env("WHEELTAPPER_PAGES", pages).env("WHEELTAPPER_CHROMIUM", browser);
    }
    let tested = phases.run("run the tests", || run(&mut command));
    // Also after a failed test: one run tells all that is wrong.
    let fuzzed = match filter {
        None => phases.run("fuzz the parsers", || fuzz::Fuzz::short().run()),
        Some(_) => Ok(()),
    };
    phases.print();
    tested.and(fuzzed)
}

/// The parts of a long task and how long each took.
#[derive(Debug, Default)]
struct Phases(Vec<(&'static str, Duration)>);

impl Phases {
    fn run<T>(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let result = work().context(name);
        self.0.push((name, started.elapsed()));
        if result.is_err() {
            eprintln!("== {name}: failed after {:.0} s", started.elapsed().as_secs_f64());
        }
        result
    }

    fn print(&self) {
        eprintln!("\nseconds  phase");
        for (name, took) in &self.0 {
            eprintln!("{:>7.0}  {name}", took.as_secs_f64());
        }
        let total: Duration = self.0.iter().map(|(_, took)| took).sum();
        eprintln!("{:>7.0}  in all", total.as_secs_f64());
    }
}

fn bench(arguments: &[String]) -> anyhow::Result<()> {
    setup::target()?;
    setup::dashboard()?;
    binaries()?;
    let mut command = Command::new(target().join("release/bench"));
    command.args(arguments).current_dir(root());
    if arguments.iter().any(|argument| argument == "api") {
        command.env("WHEELTAPPER_STAND_IN", std::path::absolute(compose::stand_in()?)?);
        command.env("WHEELTAPPER_WASMTIME", std::path::absolute(setup::wasmtime()?)?);
    }
    run(&mut command)
}
