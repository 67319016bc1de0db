//! `cargo xtask fuzz`: coverage-guided fuzzing of every parser of bytes from outside.
//!
//! The targets and their corpus are in `fuzz/`. cargo-fuzz runs them on the stable toolchain, as they are built without a
//! sanitizer: the code is safe Rust, and what a target checks are promises, not memory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context as _, bail, ensure};

use crate::{cargo_command, root, run, setup, target};

/// Where the compiler puts the targets, below the target folder.
const BUILD: &str = "fuzz";
/// Inputs above this size are left out, in bytes: parsers are small, and long inputs are made by repeating short ones.
const LONGEST: u32 = 4096;
/// One input may take so long, in seconds; the targets themselves hold CPU time to much less.
const TIMEOUT: u32 = 30;
/// Memory of one target, in MiB.
const MEMORY: u32 = 2048;

/// Fuzzes the parsers: replays the corpus of each target in fuzz/, then looks for new inputs for a while
#[derive(Debug, clap::Args)]
pub(crate) struct Fuzz {
    /// Look for new inputs for so long, each target
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Keep what is new and worth keeping in the corpus, and leave out what has become superfluous
    #[arg(long)]
    minimise: bool,
    /// Only these targets: names of files in fuzz/fuzz_targets [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

impl Fuzz {
    /// All targets, each for a few seconds: what was found once stays found.
    pub(crate) fn short() -> Self {
        Self { seconds: 5, minimise: false, targets: Vec::new() }
    }

    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let known = targets()?;
        for named in &self.targets {
            ensure!(known.contains(named), "there is no target {named:?}; expected one of {}", known.join(", "));
        }
        let chosen = if self.targets.is_empty() { known } else { self.targets.clone() };
        let tool = setup::cargo_fuzz()?;
        let mut build = cargo_fuzz(&tool, "build");
        // One target is built alone, as all need more time to link.
        if let [one] = chosen.as_slice() {
            build.arg(one);
        }
        run(&mut build).context("building the fuzz targets")?;
        let programs = programs()?;
        self.all(&chosen, &programs)?;
        if self.minimise {
            for target in &chosen {
                minimise(target, &programs)?;
            }
        }
        Ok(())
    }

    /// Runs the targets, as many at once as there are processors.
    fn all(&self, chosen: &[String], programs: &Path) -> anyhow::Result<()> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..processors.min(chosen.len()) {
                scope.spawn(|| {
                    while let Some(target) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.one(target, programs) {
                            eprintln!("{target}: {error:#}");
                            failed.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
                        }
                    }
                });
            }
        });
        let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort();
        ensure!(
            failed.is_empty(),
            "found by fuzzing: {}; the inputs are in fuzz/artifacts, `cargo xtask fuzz TARGET` runs one again: copy its input into fuzz/corpus/TARGET",
            failed.join(", ")
        );
        Ok(())
    }

    /// Runs one target: its corpus first, then what libFuzzer makes of it, which is put aside.
    fn one(&self, name: &str, programs: &Path) -> anyhow::Result<()> {
        let (fresh, artifacts) = (folder().join("found").join(name), folder().join("artifacts").join(name));
        for folder in [&fresh, &artifacts] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let corpus = folder().join("corpus").join(name);
        let program = programs.join(name);
        let mut command = Command::new(&program);
        // The first folder is the one that new inputs are written to.
        command.arg(&fresh).arg(&corpus).args(dictionary(name));
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.arg(format!("-max_total_time={}", self.seconds)).arg(format!("-max_len={LONGEST}"));
        command.arg(format!("-timeout={TIMEOUT}")).arg(format!("-rss_limit_mb={MEMORY}"));
        command.args(["-print_final_stats=1", "-use_value_profile=0"]);
        let output = command.output().with_context(|| format!("starting {}", program.display()))?;
        let told = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            // The end tells what broke, and on which input.
            let lines: Vec<&str> = told.lines().collect();
            bail!("{}", lines.get(lines.len().saturating_sub(80)..).unwrap_or_default().join("\n"));
        }
        let stat =
            |key: &str| told.lines().rev().find_map(|line| line.strip_prefix(key)).unwrap_or("?").trim().to_owned();
        println!(
            "{name:<24} {:>10} inputs, {} new",
            stat("stat::number_of_executed_units:"),
            stat("stat::new_units_added:")
        );
        Ok(())
    }
}

/// Merges what was found into the corpus, and keeps the smallest inputs that reach as much.
fn minimise(name: &str, programs: &Path) -> anyhow::Result<()> {
    let (corpus, fresh) = (folder().join("corpus").join(name), folder().join("found").join(name));
    let small = folder().join("found").join(format!("{name}.minimised"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&small)?;
    let mut command = Command::new(programs.join(name));
    command.args(["-merge=1", "-set_cover_merge=1"]).arg(format!("-max_len={LONGEST}"));
    run(command.arg(&small).arg(&corpus).arg(&fresh)).with_context(|| format!("minimising the corpus of {name}"))?;
    fs::remove_dir_all(&corpus)?;
    fs::remove_dir_all(&fresh)?;
    fs::rename(&small, &corpus)?;
    Ok(())
}

fn folder() -> PathBuf {
    root().join("fuzz")
}

/// The names of the programs in fuzz/fuzz_targets.
fn targets() -> anyhow::Result<Vec<String>> {
    let folder = folder().join("fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn cargo_fuzz(tool: &Path, task: &str) -> Command {
    let mut command = cargo_command();
    let search = std::env::join_paths(
        [tool.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    if let Ok(search) = search {
        command.env("PATH", search);
    }
    command.args(["fuzz", task, "--sanitizer", "none", "--fuzz-dir"]).arg(folder());
    command.arg("--target-dir").arg(target().join(BUILD));
    command
}

/// Where a target's program lies: cargo-fuzz names the triple, so that its flags do not reach build scripts.
fn programs() -> anyhow::Result<PathBuf> {
    let output = Command::new("rustc").arg("-vV").output().context("starting rustc")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    Ok(target().join(BUILD).join(host).join("release"))
}

/// Words of the format, where there are some.
fn dictionary(name: &str) -> Option<String> {
    // ingest-json and ingest-ndjson share one, and so on.
    let format = name.rsplit('-').next().unwrap_or(name);
    [name, format]
        .into_iter()
        .map(|known| folder().join("dictionaries").join(format!("{known}.dict")))
        .find(|path| path.is_file())
        .map(|path| format!("-dict={}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds_and_a_program() -> anyhow::Result<()> {
        let manifest: toml::Table = toml::from_str(&fs::read_to_string(folder().join("Cargo.toml"))?)?;
        let programs = manifest["bin"].as_array().context("no [[bin]]")?;
        let names = targets()?;
        assert!(!names.is_empty());
        for name in names {
            let named = programs.iter().any(|program| program.get("name").and_then(toml::Value::as_str) == Some(&name));
            let seeds = fs::read_dir(folder().join("corpus").join(&name)).map_or(0, Iterator::count);
            assert!(named && seeds > 0, "{name}: in Cargo.toml: {named}, inputs: {seeds}");
        }
        Ok(())
    }
}
