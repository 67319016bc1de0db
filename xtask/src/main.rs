//! `cargo xtask`: the developer commands of this repository.

mod conformance;
mod fuzz;
mod test;
mod up;

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use clap::{Parser, Subcommand};
use xtask::{cargo, cargo_command, composed_folder, root, run, setup, target};

/// The arguments of cargo that check the lints.
const CLIPPY: [&str; 7] = ["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];

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
    Compose {
        /// Only for this host (spin, wasmcloud), only this component
        arguments: Vec<String>,
    },
    /// Run the conformance cases on a host: --host edge, spin-test-host, wasmcloud-test-host, spin or wash
    Conformance(conformance::Conformance),
    /// Print the sizes of the components; fail if one exceeds its limit
    Size,
    /// Package every component as an OCI image with a bill of materials: target/oci/NAME
    Package {
        /// --source URL: the URL of the source code, for the images' annotations
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build and test the packages for users: a static binary, a .deb with a systemd unit and an OCI image, in target/dist
    Dist {
        /// Options of `xtask-artifacts dist`, such as --no-smoke
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check format and lints
    Check,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Up(task) => task.run(),
        Task::Test { filter } => test::run(filter.as_deref()),
        Task::Fuzz(task) => task.run(),
        Task::Bench { arguments } => bench(&arguments),
        Task::Evaluate { arguments } => evaluate(&arguments),
        Task::Compose { arguments } => forward("compose", &arguments),
        Task::Conformance(task) => task.run(),
        Task::Size => artifacts(&["size"]),
        Task::Package { arguments } => forward("package", &arguments),
        Task::Dist { arguments } => forward("dist", &arguments),
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

/// Runs a command of xtask-artifacts.
fn artifacts(arguments: &[&str]) -> anyhow::Result<()> {
    setup::wasm_target()?;
    setup::dashboard()?;
    run(Command::new(artifacts_program()?).args(arguments))
}

/// Passes a command with its arguments to xtask-artifacts.
fn forward(task: &str, arguments: &[String]) -> anyhow::Result<()> {
    let arguments: Vec<&str> = [task].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    artifacts(&arguments)
}

/// Builds xtask-artifacts, with the features of the whole workspace, so that its dependencies are built once. Returns
/// the path of the program.
fn artifacts_program() -> anyhow::Result<PathBuf> {
    cargo(&["build", "--release", "--workspace", "--bin", "xtask-artifacts"])?;
    Ok(target().join("release/xtask-artifacts"))
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
    cargo(&CLIPPY)
}

fn bench(arguments: &[String]) -> anyhow::Result<()> {
    setup::wasm_target()?;
    setup::dashboard()?;
    binaries()?;
    let mut command = Command::new(target().join("release/bench"));
    command.args(arguments).current_dir(root());
    if arguments.iter().any(|argument| argument == "api") {
        artifacts(&["compose", "bench"])?;
        command.env("WHEELTAPPER_BENCH_API", std::path::absolute(composed_folder().join("bench/api.wasm"))?);
        command.env("WHEELTAPPER_WASMTIME", std::path::absolute(setup::wasmtime()?)?);
    }
    run(&mut command)
}
