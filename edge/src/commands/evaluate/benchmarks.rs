//! Public benchmarks.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use wheeltapper_evaluate::{Benchmark, DefaultSettings, Report, nab};

use super::{Evaluate, open_line, with_spinner};
use crate::{
    components::{InstanceLimits, Sandbox},
    evaluation::ComponentPipeline,
};

/// Runs the selected benchmarks and prints their tables.
pub(super) fn run(options: &Evaluate, data: &Path, reports: &mut Vec<serde_json::Value>) -> anyhow::Result<()> {
    let known = |name: &str| Benchmark::ALL.into_iter().find(|profile| profile_names(*profile).contains(&name));
    let selected = options.benchmarks.iter().map(|name| {
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
    let cache = cache_folder()?;
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    let limits = InstanceLimits { memory: 4 << 30, max_cpu_time: Duration::from_secs(600) };
    let sandbox = Sandbox::load(&cache, &BTreeMap::new(), limits)?;
    let mut line = ComponentPipeline::new(sandbox, options.model.clone());
    for profile in profiles {
        let folder = data.join(profile.folder());
        let report = with_spinner(profile.folder(), || match (&options.nab_results, profile) {
            (Some(results), Benchmark::Nab) => nab::evaluate(&mut line, &folder, Some((results, "wheeltapper"))),
            _ => wheeltapper_evaluate::evaluate(profile, &mut line, &folder),
        });
        let mut report = report.with_context(|| format!("evaluating {}", profile.folder()))?;
        add_default_settings(profile, &folder, &mut report)?;
        println!("{}", report.table(options.files));
        reports.push(serde_json::to_value(&report)?);
    }
    Ok(())
}

/// Adds the rows with the default settings. Remaining lives need histories, which are part of a configuration, so there
/// are none for C-MAPSS.
fn add_default_settings(profile: Benchmark, folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    if profile == Benchmark::Cmapss {
        report.notes.push(
            "default settings estimate no life from histories; the units of a fold are held back, but the horizon of \
             125 cycles is the benchmark's"
                .to_owned(),
        );
        return Ok(());
    }
    let mut defaults = DefaultSettings::new(&open_line);
    let defaults = with_spinner(&format!("{}, default settings", profile.folder()), || {
        wheeltapper_evaluate::evaluate(profile, &mut defaults, folder)
    });
    report.add_default_settings(defaults.with_context(|| format!("evaluating {}", profile.folder()))?);
    Ok(())
}

/// Folder of compiled components: the user's own cache folder, as code that others can write must not be loaded.
fn cache_folder() -> anyhow::Result<PathBuf> {
    let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    Ok(folder.context("set XDG_CACHE_HOME or HOME: compiled components are cached there")?.join("wheeltapper"))
}

/// The names of a benchmark on the command line.
fn profile_names(profile: Benchmark) -> [&'static str; 2] {
    let folder = profile.folder();
    [folder, if profile == Benchmark::Ims { "ims" } else { folder }]
}
