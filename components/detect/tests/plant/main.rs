//! Ordinary plant behaviour and faults, with default settings, through featurize, detect and alert. Each test has
//! several seeds, which also set the machine's parameters. `PLANT_SEEDS` sets their number (default 3).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and times of tests"
)]

mod chain;
mod faults;
mod limits;
mod machine;
mod ordinary;
mod sensors;

use chain::Outcome;

/// The seeds of a test.
pub fn seeds() -> std::ops::Range<u64> {
    0..std::env::var("PLANT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(3)
}

/// Prints what happened, for the figures of the README.
pub fn report(name: &str, seed: u64, outcome: &Outcome) {
    println!("{name}, seed {seed}: {} windows scored", outcome.scored);
    for episode in outcome.episodes() {
        let resolved = episode.resolved.map_or_else(|| "open".to_owned(), |at| format!("{at:.2} h"));
        println!(
            "    {:.2} h to {resolved} {} {} {:?}: {}",
            episode.opened, episode.severity, episode.sensor, episode.fault_mode, episode.message
        );
    }
    for (hour, message) in &outcome.drifts {
        println!("    {hour:.2} h {message}");
    }
}
