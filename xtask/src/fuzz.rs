//! `cargo xtask fuzz`: coverage-guided fuzzing of every parser of external input.
//!
//! The targets and their corpus are in `fuzz/`. They are built without a sanitizer, so cargo-fuzz runs on the stable
//! toolchain: the code is safe Rust, and a target checks invariants, not memory safety.

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

/// The build folder of the targets, below the target folder.
const BUILD_FOLDER: &str = "fuzz";
/// The maximum size of an input, in bytes. Parsers are small, and targets make long inputs by repeating short ones.
const MAX_INPUT_BYTES: u32 = 4096;
/// The timeout for one input, in seconds. The targets themselves limit the CPU time to much less.
const TIMEOUT_SECONDS: u32 = 30;
/// The memory limit of one target, in MiB.
const MEMORY_MIB: u32 = 2048;

/// Fuzzes the parsers: runs the corpus of each target in fuzz/, then searches for new inputs
#[derive(Debug, clap::Args)]
pub(crate) struct Fuzz {
    /// Duration of the search for each target, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Seed of the search, so that a second run tries the same inputs [default: another one in each run]
    #[arg(long)]
    seed: Option<u32>,
    /// Add useful new inputs to the corpus, and remove superfluous ones
    #[arg(long)]
    minimise: bool,
    /// Only these targets, named as the files in fuzz/fuzz_targets [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

impl Fuzz {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let known = targets()?;
        for target in &self.targets {
            ensure!(known.contains(target), "there is no target {target:?}; expected one of {}", known.join(", "));
        }
        let selected = if self.targets.is_empty() { known } else { self.targets.clone() };
        let tools = setup::cargo_fuzz()?;
        let mut build = cargo_fuzz(&tools, "build");
        // Linking all targets takes longer than linking one.
        if let [target] = selected.as_slice() {
            build.arg(target);
        }
        run(&mut build).context("building the fuzz targets")?;
        let programs = programs_folder()?;
        self.run_all(&selected, &programs)?;
        if self.minimise {
            for target in &selected {
                minimise(target, &programs)?;
            }
        }
        Ok(())
    }

    /// Runs the targets, as many at once as there are processors.
    fn run_all(&self, selected: &[String], programs: &Path) -> anyhow::Result<()> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..processors.min(selected.len()) {
                scope.spawn(|| {
                    while let Some(target) = selected.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.run_one(target, programs) {
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
            "fuzzing found failures: {}; the inputs are in fuzz/artifacts. To run one again, copy it to \
             fuzz/corpus/TARGET and run `cargo xtask fuzz TARGET`",
            failed.join(", ")
        );
        Ok(())
    }

    /// Runs one target: first its corpus, then inputs that libFuzzer derives from it. New inputs are saved in
    /// `fuzz/found`.
    fn run_one(&self, name: &str, programs: &Path) -> anyhow::Result<()> {
        let (found, artifacts) = (folder().join("found").join(name), folder().join("artifacts").join(name));
        for folder in [&found, &artifacts] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let corpus = folder().join("corpus").join(name);
        let program = programs.join(name);
        let mut command = Command::new(&program);
        // libFuzzer writes new inputs to the first folder.
        command.arg(&found).arg(&corpus).args(dictionary_argument(name));
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.arg(format!("-max_total_time={}", self.seconds)).arg(format!("-max_len={MAX_INPUT_BYTES}"));
        command.arg(format!("-timeout={TIMEOUT_SECONDS}")).arg(format!("-rss_limit_mb={MEMORY_MIB}"));
        command.args(["-print_final_stats=1", "-use_value_profile=0"]);
        // libFuzzer takes a random seed for 0.
        command.arg(format!("-seed={}", self.seed.unwrap_or(0)));
        let output = command.output().with_context(|| format!("starting {}", program.display()))?;
        let log = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            // The last lines contain the failure and the input.
            let lines: Vec<&str> = log.lines().collect();
            bail!("{}", lines.get(lines.len().saturating_sub(80)..).unwrap_or_default().join("\n"));
        }
        let stat =
            |key: &str| log.lines().rev().find_map(|line| line.strip_prefix(key)).unwrap_or("?").trim().to_owned();
        println!(
            "{name:<24} {:>10} inputs, {} new",
            stat("stat::number_of_executed_units:"),
            stat("stat::new_units_added:")
        );
        Ok(())
    }
}

/// Merges the found inputs into the corpus and keeps the smallest inputs that have the same coverage.
fn minimise(name: &str, programs: &Path) -> anyhow::Result<()> {
    let (corpus, found) = (folder().join("corpus").join(name), folder().join("found").join(name));
    let minimised = folder().join("found").join(format!("{name}.minimised"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&minimised)?;
    let mut command = Command::new(programs.join(name));
    command.args(["-merge=1", "-set_cover_merge=1"]).arg(format!("-max_len={MAX_INPUT_BYTES}"));
    let result = run(command.arg(&minimised).arg(&corpus).arg(&found));
    result.with_context(|| format!("minimising the corpus of {name}"))?;
    fs::remove_dir_all(&corpus)?;
    fs::remove_dir_all(&found)?;
    fs::rename(&minimised, &corpus)?;
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

/// Returns a command of cargo-fuzz. `tools` is the folder that contains `cargo-fuzz`.
fn cargo_fuzz(tools: &Path, task: &str) -> Command {
    let mut command = cargo_command();
    let path = std::env::join_paths(
        [tools.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    if let Ok(path) = path {
        command.env("PATH", path);
    }
    command.args(["fuzz", task, "--sanitizer", "none", "--fuzz-dir"]).arg(folder());
    command.arg("--target-dir").arg(target().join(BUILD_FOLDER));
    command
}

/// Returns the folder of the built targets. Its path contains the host's triple: cargo-fuzz passes `--target`, so that
/// its flags do not apply to build scripts.
fn programs_folder() -> anyhow::Result<PathBuf> {
    let output = Command::new("rustc").arg("-vV").output().context("starting rustc")?;
    let version = String::from_utf8_lossy(&output.stdout);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    Ok(target().join(BUILD_FOLDER).join(host).join("release"))
}

/// Returns libFuzzer's argument with the dictionary of a target's format. `None`: the format has no dictionary.
fn dictionary_argument(name: &str) -> Option<String> {
    // A target without a dictionary of its own uses that of its format: the rest of its name after a dash.
    let formats = name.match_indices('-').filter_map(|(dash, _)| name.get(dash + 1..));
    [name]
        .into_iter()
        .chain(formats)
        .map(|name| folder().join("dictionaries").join(format!("{name}.dict")))
        .find(|path| path.is_file())
        .map(|path| format!("-dict={}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_use_the_dictionary_of_their_format() {
        let argument = |name: &str| dictionary_argument(name).unwrap_or_default();
        assert!(argument("ingest-line-protocol").ends_with("/line-protocol.dict"));
        assert!(argument("ingest-json").ends_with("/json.dict"));
        assert_eq!(dictionary_argument("store-wal"), None);
    }

    #[test]
    fn every_target_has_a_corpus_and_a_program() -> anyhow::Result<()> {
        let manifest: toml::Table = toml::from_str(&fs::read_to_string(folder().join("Cargo.toml"))?)?;
        let programs = manifest["bin"].as_array().context("no [[bin]]")?;
        let names = targets()?;
        assert!(!names.is_empty());
        for name in names {
            let is_declared =
                programs.iter().any(|program| program.get("name").and_then(toml::Value::as_str) == Some(&name));
            let seeds = fs::read_dir(folder().join("corpus").join(&name)).map_or(0, Iterator::count);
            assert!(is_declared && seeds > 0, "{name}: in Cargo.toml: {is_declared}, inputs: {seeds}");
        }
        Ok(())
    }
}
