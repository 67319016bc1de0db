//! Seeded simulation of the line under faults: the real log, store, workers, checkpoints and planner run on files, a
//! clock and threads that a seed controls, and are compared with a model of what was acknowledged.
//!
//! A history is a sequence of actions drawn from the seed: readings are appended; the committer, the workers, the
//! checkpoints and the planner each make a step; the configuration is changed; users amend work orders and reset
//! baselines. Between any two of these, a write, a sync or an open fails, the disk is full or read-only, a lock is held,
//! a bit flips, the log is deleted, a thread panics, the process dies or the power is lost. At the end all faults are
//! cleared, everything must recover without help, and then:
//!
//! - every acknowledged reading is stored exactly once, or is in the dead letters because a stage fails on it, or was
//!   in a record that a flipped bit damaged, or in a log that was deleted;
//! - no other reading is stored more than once, and every stored reading was sent;
//! - the stages' state counts exactly the readings that are stored, and each acknowledged reset of a baseline once;
//! - every finding is in the store, and once in its topic; every alert has its work order, every amendment was made
//!   once;
//! - everything that was written to a healthy partition was acknowledged, whatever faults another partition had.
//!
//! `WHEELTAPPER_SEEDS=20000` runs more histories, `WHEELTAPPER_SEED=7` one, with its actions printed.

mod actions;
mod checkpoint_gate;
mod expected_state;
mod faults;
mod plain_stages;
mod random;
mod simulated_host;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use self::simulated_host::Simulation;

/// Histories of a normal run.
const DEFAULT_SEEDS: u64 = 10_000;

fn run_history(seed: u64, print: bool) -> Result<(), String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| Simulation::new(seed, print).run()));
    match outcome {
        Ok(result) => result,
        Err(payload) => Err(format!("it panicked: {}", crate::supervisor::panic_message(payload.as_ref()))),
    }
}

#[test]
fn acknowledged_readings_survive_every_fault() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = variable("WHEELTAPPER_SEED") {
        if let Err(error) = run_history(seed, true) {
            panic!("seed {seed}: {error}");
        }
        return;
    }
    let seeds = variable("WHEELTAPPER_SEEDS").unwrap_or(DEFAULT_SEEDS);
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let failed: Vec<(u64, String)> = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(2, usize::from);
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut failed = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds || failed.len() >= 3 {
                            return failed;
                        }
                        if let Err(error) = run_history(seed, false) {
                            failed.push((seed, error));
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    println!("{seeds} histories in {:?}", began.elapsed());
    let listed: Vec<_> = failed.iter().map(|(seed, error)| format!("seed {seed}: {error}")).collect();
    assert!(
        failed.is_empty(),
        "replay one with WHEELTAPPER_SEED=<seed> cargo test --release -p wheeltapper simulation:\n{}",
        listed.join("\n")
    );
}
