//! `wheeltapper evaluate`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;
use wheeltapper_evaluate::{Profile, nab};

use crate::{
    components::{Limits, Sandbox},
    evaluation::{
        Components,
        fleet::{self, Plan},
    },
};

/// Runs recordings through the built featurize and detect, and scores them by each benchmark's own protocol, with the
/// published figures beside ours. No label reaches a component.
///
/// The folder holds one folder a benchmark, as they are published: skab, nab, cwru, cmapss, tep, ims-features. What is not
/// there is left out.
#[derive(Debug, clap::Args)]
pub(super) struct Evaluate {
    /// The folder of the benchmarks; not needed for the simulated fleet
    #[arg(long, value_name = "DIR", required_unless_present = "fleet")]
    data: Option<PathBuf>,
    /// Simulate a fleet of so many machines, half of which degrade, and tell by fault mode what was found
    #[arg(long, value_name = "MACHINES")]
    fleet: Option<usize>,
    /// For so many days
    #[arg(long, default_value_t = 30.0, requires = "fleet")]
    days: f64,
    /// Which fleet
    #[arg(long, default_value_t = 1, requires = "fleet")]
    seed: u64,
    /// Which: skab, nab, cwru, cmapss, tep, ims [default: all that are there]
    benchmarks: Vec<String>,
    /// Write all figures, by file and pooled, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write NAB's results in its own layout to this folder, for its own scorer
    #[arg(long, value_name = "DIR")]
    nab_results: Option<PathBuf>,
    /// Score the scalars with this detector instead of the one that suits a benchmark
    #[arg(long)]
    model: Option<String>,
    /// Print the figures of each file too
    #[arg(long)]
    files: bool,
}

impl Evaluate {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let cache = cache()?;
        fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
        let limits = Limits { memory: 4 << 30, deadline: Duration::from_secs(600) };
        let sandbox = Sandbox::load(&cache, &BTreeMap::new(), limits)?;
        let mut reports = Vec::new();
        if let Some(data) = &self.data {
            self.benchmarks(data, &sandbox, &mut reports)?;
        }
        if let Some(machines) = self.fleet {
            let plan = Plan { machines, days: self.days, seed: self.seed };
            let report = waiting("fleet", || fleet::evaluate(&sandbox, plan))?;
            println!("{}", report.table());
            reports.push(serde_json::to_value(&report)?);
        }
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&reports)?;
            fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    fn benchmarks(&self, data: &Path, sandbox: &Sandbox, reports: &mut Vec<serde_json::Value>) -> anyhow::Result<()> {
        let known = |name: &str| Profile::ALL.into_iter().find(|profile| names(*profile).contains(&name));
        let asked = self.benchmarks.iter().map(|name| {
            known(name).with_context(|| {
                format!("there is no benchmark {name:?}; expected one of skab, nab, cwru, cmapss, tep, ims")
            })
        });
        let asked: Vec<Profile> = asked.collect::<anyhow::Result<_>>()?;
        let there = |profile: &Profile| data.join(profile.folder()).is_dir();
        let profiles: Vec<Profile> = if asked.is_empty() { Profile::ALL.to_vec() } else { asked.clone() };
        let (profiles, missing): (Vec<Profile>, Vec<Profile>) = profiles.into_iter().partition(there);
        ensure!(
            !profiles.is_empty() && (asked.is_empty() || missing.is_empty()),
            "expected folders such as {} in {}",
            Profile::Skab.folder(),
            data.display()
        );
        for profile in &missing {
            eprintln!("{}: not there, left out", profile.folder());
        }
        let mut line = Components::new(sandbox.clone(), self.model.clone());
        for profile in profiles {
            let folder = data.join(profile.folder());
            let report = waiting(profile.folder(), || match (&self.nab_results, profile) {
                (Some(results), Profile::Nab) => nab::evaluate(&mut line, &folder, Some((results, "wheeltapper"))),
                _ => wheeltapper_evaluate::evaluate(profile, &mut line, &folder),
            });
            let report = report.with_context(|| format!("evaluating {}", profile.folder()))?;
            println!("{}", report.table(self.files));
            reports.push(serde_json::to_value(&report)?);
        }
        Ok(())
    }
}

/// Where compiled components are kept: the user's own folder, as code that others can write must not be loaded.
fn cache() -> anyhow::Result<PathBuf> {
    let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    Ok(folder.context("set XDG_CACHE_HOME or HOME: compiled components are kept there")?.join("wheeltapper"))
}

/// Something that takes a while.
fn waiting<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::new_spinner().with_message(format!("{what} ..."));
    bar.enable_steady_tick(Duration::from_millis(200));
    let done = work();
    bar.finish_and_clear();
    done
}

/// What a benchmark may be called.
fn names(profile: Profile) -> [&'static str; 2] {
    let folder = profile.folder();
    [folder, if profile == Profile::Ims { "ims" } else { folder }]
}
