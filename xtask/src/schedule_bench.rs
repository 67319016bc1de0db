//! `cargo xtask bench schedule`: our schedules beside those of OR-Tools CP-SAT, file by file, on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use serde::Deserialize;

use xtask::{root, setup, target};

/// Solves iMOPSE files with `wheeltapper schedule solve` and with CP-SAT, and prints the length of the plan and the gap
/// to the bound after each time limit.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench schedule")]
pub(crate) struct ScheduleBench {
    /// Folder with `.def` files
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Time limits in seconds
    #[arg(long, value_delimiter = ',', default_value = "10,60", value_name = "N,N")]
    seconds: Vec<u32>,
}

/// A result of either solver.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(alias = "objective")]
    makespan: Option<f64>,
    bound: f64,
}

impl Row {
    fn text(&self) -> String {
        match self.makespan {
            Some(makespan) if makespan > 0.0 => {
                format!("{makespan:>8.0} {:>6.1} %", 100.0 * (makespan - self.bound) / makespan)
            }
            _ => format!("{:>8} {:>8}", "none", ""),
        }
    }
}

impl ScheduleBench {
    /// `arguments` are those after `bench schedule`.
    pub(crate) fn parse_from_arguments(arguments: &[String]) -> Self {
        Self::parse_from(std::iter::once("cargo xtask bench schedule").chain(arguments.iter().map(String::as_str)))
    }

    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let requirements = root().join("tests/schedule/requirements.txt");
        let python = setup::python_with(&requirements, "python-schedule")?;
        let mut files: Vec<PathBuf> = fs::read_dir(&self.data)
            .with_context(|| format!("reading {}", self.data.display()))?
            .map(|entry| Ok(entry?.path()))
            .collect::<anyhow::Result<_>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "def"));
        files.sort();
        ensure!(!files.is_empty(), "expected .def files in {}; there are none", self.data.display());
        let threads = thread::available_parallelism().map_or(1, usize::from);
        println!("CP-SAT with {threads} workers, ours with one thread; the gap is that of each solver to its bound");
        println!("{:<24} {:>4}  {:>17}  {:>17}", "file", "s", "ours, gap", "CP-SAT, gap");
        for &seconds in &self.seconds {
            let (mut near, mut not_worse) = (0, 0);
            for file in &files {
                let ours = ours(file, seconds)?;
                let theirs = theirs(&python, file, seconds, threads)?;
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                println!("{name:<24} {seconds:>4}  {}  {}", ours.text(), theirs.text());
                let makespan = |row: &Row| row.makespan.unwrap_or(f64::INFINITY);
                near += usize::from(makespan(&ours) <= 1.02 * makespan(&theirs));
                not_worse += usize::from(makespan(&ours) <= makespan(&theirs));
            }
            println!(
                "after {seconds} s: within 2 % of CP-SAT on {near} of {0} files, equal or better on {not_worse} of {0}",
                files.len()
            );
        }
        Ok(())
    }
}

fn ours(file: &Path, seconds: u32) -> anyhow::Result<Row> {
    let mut command = Command::new(target().join("release/wheeltapper"));
    command.args(["schedule", "solve", "--json", "--seconds", &seconds.to_string()]).arg(file);
    row(command)
}

fn theirs(python: &Path, file: &Path, seconds: u32, threads: usize) -> anyhow::Result<Row> {
    let mut command = Command::new(python);
    command.arg(root().join("tests/schedule/cp_sat.py")).args([seconds.to_string(), threads.to_string()]).arg(file);
    row(command)
}

fn row(mut command: Command) -> anyhow::Result<Row> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).with_context(|| format!("the output of {command:?}"))
}
