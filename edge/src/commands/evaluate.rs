//! `wheeltapper evaluate`.

mod benchmarks;
mod plants;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use wheeltapper_evaluate::{
    NativeLine, PlantLine,
    scenarios::{self, Selection},
};
use wheeltapper_simulate::{SCENARIOS, Scenario};

/// Measures detection: on public benchmarks, on recordings of ordinary plants, on simulated behaviours of plants and on
/// a simulated fleet. No label reaches a component.
///
/// For benchmarks, the first rows have the default settings and the alerts that a user sees; the others have settings
/// that were chosen for the benchmark, next to published figures. Plants, scenarios and the fleet have default settings
/// only, and run the stages without WebAssembly: the same code, but faster.
///
/// The folder contains one folder per benchmark or plant, as published. Missing ones are skipped, and named.
#[derive(Debug, clap::Args)]
pub(super) struct Evaluate {
    /// Folder of the benchmarks and plants
    #[arg(long, value_name = "DIR", required_unless_present_any = ["fleet", "scenarios"])]
    data: Option<PathBuf>,
    /// Run recordings of ordinary plants instead of benchmarks
    #[arg(long, requires = "data", conflicts_with = "benchmarks")]
    plants: bool,
    /// Run simulated behaviours of ordinary plants
    #[arg(long, conflicts_with_all = ["data", "fleet"])]
    scenarios: bool,
    /// Number of seeds of each scenario
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Only these scenarios or plants
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Simulate a fleet with this number of machines: half healthy, the others with failing parts or sensors, with all
    /// behaviours of the scenarios
    #[arg(long, value_name = "MACHINES")]
    fleet: Option<usize>,
    /// Number of simulated days of scenarios and fleet
    #[arg(long, default_value_t = 30.0, value_parser = parse_days)]
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
    /// Score scalar data of benchmarks with this detector instead of the one that suits a benchmark
    #[arg(long)]
    model: Option<String>,
    /// Also print the figures of each file
    #[arg(long)]
    files: bool,
}

impl Evaluate {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let mut reports = Vec::new();
        match &self.data {
            Some(data) if self.plants => plants::run(data, &self.only, &mut reports)?,
            Some(data) => benchmarks::run(self, data, &mut reports)?,
            None => {}
        }
        if self.scenarios {
            let selection = Selection::all_seeds(&self.selected_scenarios()?, self.seeds, self.days);
            reports.push(run_selection(&selection)?);
        }
        if let Some(machines) = self.fleet {
            reports.push(run_selection(&Selection::fleet(machines, self.seed, self.days))?);
        }
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&reports)?;
            fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    fn selected_scenarios(&self) -> anyhow::Result<Vec<&'static Scenario>> {
        if self.only.is_empty() {
            return Ok(SCENARIOS.iter().collect());
        }
        let known = || SCENARIOS.iter().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ");
        let named = |name: &String| {
            Scenario::named(name).with_context(|| format!("there is no scenario {name:?}; expected one of {}", known()))
        };
        self.only.iter().map(named).collect()
    }
}

/// Opens the stages as plain functions.
fn open_line(toml: &str, sensors: &[(String, String)]) -> Result<Box<dyn PlantLine>, wheeltapper_evaluate::Error> {
    Ok(Box::new(NativeLine::open(toml, sensors)?))
}

/// Runs simulated plants, prints the table and returns the report.
fn run_selection(selection: &Selection) -> anyhow::Result<serde_json::Value> {
    ensure!(!selection.runs.is_empty(), "nothing to simulate: expected at least one machine");
    let bar = ProgressBar::new(selection.runs.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {elapsed}, {eta} left") {
        bar.set_style(style);
    }
    let report = scenarios::evaluate(selection, &open_line, &|| bar.inc(1))?;
    bar.finish_and_clear();
    println!("{}", report.table());
    Ok(serde_json::to_value(&report)?)
}

/// Runs `work` and shows a spinner meanwhile.
fn with_spinner<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::new_spinner().with_message(format!("{what} ..."));
    bar.enable_steady_tick(Duration::from_millis(200));
    let done = work();
    bar.finish_and_clear();
    done
}

fn parse_days(text: &str) -> Result<f64, String> {
    let error = || format!("expected a number of days from 1 to 3650, such as 30; got {text}");
    text.parse().ok().filter(|days| (1.0..=3650.0).contains(days)).ok_or_else(error)
}
