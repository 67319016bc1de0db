//! Runs recordings of ordinary plants without the host: `cargo run --release -p wheeltapper-evaluate --example plants --
//! DIR [SET...]`. `wheeltapper evaluate --plants` has more options.

use std::{error::Error, path::PathBuf};

use wheeltapper_evaluate::{NativeLine, PlantLine, plants};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = PathBuf::from(arguments.next().ok_or("expected the folder of the recordings")?);
    let names: Vec<String> = arguments.collect();
    let open = |toml: &str, sensors: &[(String, String)]| {
        NativeLine::open(toml, sensors).map(|line| Box::new(line) as Box<dyn PlantLine>)
    };
    for set in plants::sets::SETS.iter().filter(|set| names.is_empty() || names.iter().any(|name| name == set.folder)) {
        let folder = data.join(set.folder);
        if folder.is_dir() {
            println!("{}", plants::evaluate_set(set, &folder, &open)?.table());
        } else {
            println!("{}: not found, skipped", set.folder);
        }
    }
    Ok(())
}
