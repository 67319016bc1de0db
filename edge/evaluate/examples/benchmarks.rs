//! Runs public benchmarks with the default settings, without the host: `cargo run --release -p wheeltapper-evaluate
//! --example benchmarks -- DIR [NAME...]`. `wheeltapper evaluate` also has the settings chosen for each benchmark.

use std::{error::Error, path::PathBuf};

use wheeltapper_evaluate::{Benchmark, DefaultSettings, NativeLine, PlantLine, evaluate};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = PathBuf::from(arguments.next().ok_or("expected the folder of the benchmarks")?);
    let names: Vec<String> = arguments.collect();
    let open = |toml: &str, sensors: &[(String, String)]| {
        NativeLine::open(toml, sensors).map(|line| Box::new(line) as Box<dyn PlantLine>)
    };
    // Remaining lives need histories, which are part of a configuration.
    let profiles = Benchmark::ALL.into_iter().filter(|profile| *profile != Benchmark::Cmapss);
    for profile in profiles.filter(|profile| names.is_empty() || names.iter().any(|name| name == profile.folder())) {
        let folder = data.join(profile.folder());
        if !folder.is_dir() {
            println!("{}: not found, skipped", profile.folder());
            continue;
        }
        let mut report = evaluate(profile, &mut DefaultSettings::new(&open), &folder)?;
        report.default_settings = std::mem::take(&mut report.ours);
        println!("{}", report.table(false));
    }
    Ok(())
}
