//! `cargo xtask`: the developer commands of this repository.

mod components;
mod compose;
mod conformance;
mod dist;
mod fuzz;
mod package;
mod setup;
mod size;
mod up;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
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
    /// Build everything and run it with a simulated fleet of 50 assets, ten of which degrade
    Up(up::Up),
    /// Run all tests; first install the programs that they need, such as brokers
    Test {
        /// Only tests whose name contains this text
        filter: Option<String>,
    },
    /// Fuzz every parser of external input: --seconds N, names of targets
    Fuzz(fuzz::Fuzz),
    /// Measure throughput, latency, bytes on disk, memory, cold start and component calls; the API compared with
    /// `wasmtime serve`; pages with 10,000 sensors and 30 days of data
    Bench {
        /// Arguments of the benchmark: --json FILE, --seconds N, names of measurements
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Score the components on public benchmarks: --data DIR, --fleet 200, --json FILE (see
    /// `wheeltapper evaluate --help`)
    Evaluate {
        /// Arguments of `wheeltapper evaluate`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Compose the stages with the adapters of Spin and wasmCloud: target/composed/HOST/NAME.wasm and manifest.json
    Compose(compose::Compose),
    /// Run the conformance cases on a host: --host edge, spin-test-host, wasmcloud-test-host, spin or wash
    Conformance(conformance::Conformance),
    /// Print the sizes of the components; fail if one exceeds its limit
    Size(size::Size),
    /// Package every component as an OCI image with a bill of materials: target/oci/NAME
    Package(package::Package),
    /// Build and test the packages for users: a static binary, a .deb with a systemd unit and an OCI image, in target/dist
    Dist(dist::Dist),
    /// Check format and lints
    Check,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Up(task) => task.run(),
        Task::Test { filter } => test(filter.as_deref()),
        Task::Fuzz(task) => task.run(),
        Task::Bench { arguments } => bench(&arguments),
        Task::Evaluate { arguments } => evaluate(&arguments),
        Task::Compose(task) => task.run(),
        Task::Conformance(task) => task.run(),
        Task::Size(task) => task.run(),
        Task::Package(task) => task.run(),
        Task::Dist(task) => task.run(),
        Task::Check => check(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns cargo's target folder.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(cargo_command().args(arguments))
}

/// Returns cargo as if called from a shell in the repository's folder. The variables that `cargo run` sets for xtask's
/// own package are removed, because they would cause rebuilds of some dependencies (ring) and of everything that
/// depends on them.
fn cargo_command() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let is_of_package =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if is_of_package {
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
    setup::wasm_target()?;
    binaries()?;
    // Runs in the caller's current folder, so that relative paths are resolved from there.
    run(Command::new(target().join("release/wheeltapper")).arg("evaluate").args(arguments))
}

/// Builds all programs at once, so that their dependencies are built with one set of features.
fn binaries() -> anyhow::Result<()> {
    cargo(&["build", "--release", "--workspace", "--bins"])
}

fn check() -> anyhow::Result<()> {
    setup::wasm_target()?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// Both at once, because the components are optimised on one core.
fn check_and_compose() -> anyhow::Result<()> {
    let (checked, composed) = thread::scope(|scope| {
        let composing = scope.spawn(compose::all);
        (check(), composing.join())
    });
    checked?;
    composed.unwrap_or_else(|_| bail!("composing the components panicked; its message is above"))
}

fn test(filter: Option<&str>) -> anyhow::Result<()> {
    let mut phases = Phases::default();
    let (python, browser) = phases.run("install what the tests need", || {
        setup::wasm_target()?;
        setup::programs()?;
        Ok((setup::python()?, setup::browser()?))
    })?;
    phases.run("build the dashboard", setup::dashboard)?;
    if filter.is_none() {
        phases.run("check format and lints, compose the components for other platforms", check_and_compose)?;
    } else {
        phases.run("compose the components for other platforms", compose::all)?;
    }
    // This also builds the binary that the end-to-end tests run, because a test of its own package runs it too.
    let build = ["test", "--release", "--workspace", "--no-run"];
    phases.run("build the tests", || cargo(&build))?;
    let mut command = cargo_command();
    command.args(["test", "--release", "--workspace", "--no-fail-fast"]).args(filter);
    command.env("WHEELTAPPER_PYTHON", python).env("WHEELTAPPER_COMPOSED", std::path::absolute(compose::folder())?);
    if let Some((pages, browser)) = browser {
        command.env("WHEELTAPPER_PAGES", pages).env("WHEELTAPPER_CHROMIUM", browser);
    }
    let tested = phases.run("run the tests", || run(&mut command));
    // Also after a failed test, so that one run reports all failures.
    let fuzzed = match filter {
        None => phases.run("fuzz the parsers", || fuzz::Fuzz::short().run()),
        Some(_) => Ok(()),
    };
    phases.print();
    tested.and(fuzzed)
}

/// The phases of a long task and their durations.
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
        for (name, duration) in &self.0 {
            eprintln!("{:>7.0}  {name}", duration.as_secs_f64());
        }
        let total: Duration = self.0.iter().map(|(_, duration)| duration).sum();
        eprintln!("{:>7.0}  total", total.as_secs_f64());
    }
}

fn bench(arguments: &[String]) -> anyhow::Result<()> {
    setup::wasm_target()?;
    setup::dashboard()?;
    binaries()?;
    let mut command = Command::new(target().join("release/bench"));
    command.args(arguments).current_dir(root());
    if arguments.iter().any(|argument| argument == "api") {
        command.env("WHEELTAPPER_STAND_IN", std::path::absolute(compose::api_with_mock_line()?)?);
        command.env("WHEELTAPPER_WASMTIME", std::path::absolute(setup::wasmtime()?)?);
    }
    run(&mut command)
}
