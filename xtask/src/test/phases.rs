//! The phases of a long task and their durations.

use std::time::{Duration, Instant};

use anyhow::Context as _;

/// The durations of the phases so far.
#[derive(Debug, Default)]
pub(super) struct Phases(Vec<(&'static str, Duration)>);

impl Phases {
    /// Runs a phase, announces it, and notes how long it took.
    pub(super) fn run<T>(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let result = work().context(name);
        self.0.push((name, started.elapsed()));
        if result.is_err() {
            eprintln!("== {name}: failed after {:.0} s", started.elapsed().as_secs_f64());
        }
        result
    }

    /// Prints a table of the durations.
    pub(super) fn print(&self) {
        eprintln!("\nseconds  phase");
        for (name, duration) in &self.0 {
            eprintln!("{:>7.0}  {name}", duration.as_secs_f64());
        }
        let total: Duration = self.0.iter().map(|(_, duration)| duration).sum();
        eprintln!("{:>7.0}  total", total.as_secs_f64());
    }
}
