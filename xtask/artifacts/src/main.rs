//! The commands of `cargo xtask` that make files of components and programs: compose, size, package and dist.
//!
//! They are a program of their own, because the libraries that join components take a minute to build, and most
//! commands of `cargo xtask` do not need them.

mod components;
mod compose;
mod dist;
mod package;
mod size;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{cargo_command, composed_folder, root, run, setup, target};

/// Composes, measures and packages the components.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Compose the stages with the adapters of Spin and wasmCloud: target/composed/HOST/NAME.wasm and manifest.json
    Compose(compose::Compose),
    /// Print the sizes of the components; fail if one exceeds its limit
    Size(size::Size),
    /// Package every component as an OCI image with a bill of materials: target/oci/NAME
    Package(package::Package),
    /// Build and test the packages for users: a static binary, a .deb with a systemd unit and an OCI image, in target/dist
    Dist(dist::Dist),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Compose(task) => task.run(),
        Task::Size(task) => task.run(),
        Task::Package(task) => task.run(),
        Task::Dist(task) => task.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
