//! Runs the scenarios without the host: `cargo run --release -p wheeltapper-evaluate --example scenarios -- SEEDS
//! [NAME...]`. `wheeltapper evaluate --scenarios` has more options.

use std::error::Error;

use wheeltapper_evaluate::{
    NativeLine, PlantLine,
    scenarios::{self, Selection},
};
use wheeltapper_simulate::{SCENARIOS, Scenario};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seeds = arguments.next().ok_or("expected the number of seeds, such as 3")?.parse()?;
    let names: Vec<String> = arguments.collect();
    let named = names.iter().map(|name| Scenario::named(name).ok_or_else(|| format!("there is no scenario {name}")));
    let mut selected: Vec<&'static Scenario> = named.collect::<Result<_, _>>()?;
    if selected.is_empty() {
        selected = SCENARIOS.iter().collect();
    }
    let selection = Selection::all_seeds(&selected, seeds, 30.0);
    let open = |toml: &str, sensors: &[(String, String)]| {
        NativeLine::open(toml, sensors).map(|line| Box::new(line) as Box<dyn PlantLine>)
    };
    let report = scenarios::evaluate(&selection, &open, &|| eprint!("."))?;
    println!("\n{}", report.table());
    for row in &report.scenarios {
        for (seed, score) in &row.by_seed {
            for alert in score.false_alerts.iter().take(2) {
                println!("{} {seed}: day {:.2} {} {}", row.name, alert.day, alert.severity, alert.message);
            }
        }
    }
    Ok(())
}
