//! `wheeltapper evaluate`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;
use wheeltapper_evaluate::{Benchmark, nab};

use crate::{
    components::{InstanceLimits, Sandbox},
    evaluation::{
        ComponentPipeline,
        fleet::{self, FleetScenario},
    },
};

/// Runs recordings through the built featurize and detect, and scores them with each benchmark's own protocol, next to
/// the published figures. No label reaches a component.
///
/// The folder contains one folder per benchmark, as published: skab, nab, cwru, cmapss, tep, ims-features. Missing ones
/// are skipped.
#[derive(Debug, clap::Args)]
pub(super) struct Evaluate {
    /// Folder of the benchmarks; not needed for the simulated fleet
    #[arg(long, value_name = "DIR", required_unless_present = "fleet")]
    data: Option<PathBuf>,
    /// Simulate a fleet with this number of machines, half of which degrade, and report by fault mode what was found
    #[arg(long, value_name = "MACHINES")]
    fleet: Option<usize>,
    /// Number of simulated days
    #[arg(long, default_value_t = 30.0, requires = "fleet")]
    days: f64,
    /// Seed of the fleet
    #[arg(long, default_value_t = 1, requires = "fleet")]
    seed: u64,
    /// Benchmarks: skab, nab, cwru, cmapss, tep, ims [default: all that exist in the folder]
    benchmarks: Vec<String>,
    /// Write all figures, by file and pooled, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write NAB's results in NAB's layout to this folder, for NAB's own scorer
    #[arg(long, value_name = "DIR")]
    nab_results: Option<PathBuf>,
    /// Score scalar data with this detector instead of the one that suits a benchmark
    #[arg(long)]
    model: Option<String>,
    /// Also print the figures of each file
    #[arg(long)]
    files: bool,
}

impl Evaluate {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let cache = cache_folder()?;
        fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
        let limits = InstanceLimits { memory: 4 << 30, max_cpu_time: Duration::from_secs(600) };
        let sandbox = Sandbox::load(&cache, &BTreeMap::new(), limits)?;
        let mut reports = Vec::new();
        if let Some(data) = &self.data {
            self.run_benchmarks(data, &sandbox, &mut reports)?;
        }
        if let Some(machines) = self.fleet {
            let plan = FleetScenario { machines, days: self.days, seed: self.seed };
            let report = with_spinner("fleet", || fleet::evaluate(&sandbox, plan))?;
            println!("{}", report.table());
            reports.push(serde_json::to_value(&report)?);
        }
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&reports)?;
            fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    fn run_benchmarks(
        &self,
        data: &Path,
        sandbox: &Sandbox,
        reports: &mut Vec<serde_json::Value>,
    ) -> anyhow::Result<()> {
        let known = |name: &str| Benchmark::ALL.into_iter().find(|profile| profile_names(*profile).contains(&name));
        let selected = self.benchmarks.iter().map(|name| {
            known(name).with_context(|| {
                format!("there is no benchmark {name:?}; expected one of skab, nab, cwru, cmapss, tep, ims")
            })
        });
        let selected: Vec<Benchmark> = selected.collect::<anyhow::Result<_>>()?;
        let exists = |profile: &Benchmark| data.join(profile.folder()).is_dir();
        let profiles: Vec<Benchmark> = if selected.is_empty() { Benchmark::ALL.to_vec() } else { selected.clone() };
        let (profiles, missing): (Vec<Benchmark>, Vec<Benchmark>) = profiles.into_iter().partition(exists);
        ensure!(
            !profiles.is_empty() && (selected.is_empty() || missing.is_empty()),
            "expected folders such as {} in {}",
            Benchmark::Skab.folder(),
            data.display()
        );
        for profile in &missing {
            eprintln!("{}: not found, skipped", profile.folder());
        }
        let mut line = ComponentPipeline::new(sandbox.clone(), self.model.clone());
        for profile in profiles {
            let folder = data.join(profile.folder());
            let report = with_spinner(profile.folder(), || match (&self.nab_results, profile) {
                (Some(results), Benchmark::Nab) => nab::evaluate(&mut line, &folder, Some((results, "wheeltapper"))),
                _ => wheeltapper_evaluate::evaluate(profile, &mut line, &folder),
            });
            let report = report.with_context(|| format!("evaluating {}", profile.folder()))?;
            println!("{}", report.table(self.files));
            reports.push(serde_json::to_value(&report)?);
        }
        Ok(())
    }
}

/// Folder of compiled components: the user's own cache folder, as code that others can write must not be loaded.
fn cache_folder() -> anyhow::Result<PathBuf> {
    let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    Ok(folder.context("set XDG_CACHE_HOME or HOME: compiled components are cached there")?.join("wheeltapper"))
}

/// Runs `work` and shows a spinner meanwhile.
fn with_spinner<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::new_spinner().with_message(format!("{what} ..."));
    bar.enable_steady_tick(Duration::from_millis(200));
    let done = work();
    bar.finish_and_clear();
    done
}

/// The names of a benchmark on the command line.
fn profile_names(profile: Benchmark) -> [&'static str; 2] {
    let folder = profile.folder();
    [folder, if profile == Benchmark::Ims { "ims" } else { folder }]
}
