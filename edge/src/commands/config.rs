//! `wheeltapper config`.

use clap::Subcommand;

use super::{BadConfig, Global};

/// The configuration file.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check it, and whether this machine has what it names; every error is told with line, column and what to do. Exit
    /// code 2 when the host would not start with it
    Check,
    /// Print what the line needs to know of the plant as one line of JSON: the variable `plant` on Spin and wasmCloud
    Plant,
    /// Print an example with every setting explained
    Example,
}

impl ConfigCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        match self.what {
            What::Check => {
                let config = global.load()?;
                for warning in wheeltapper_config::warnings(&config) {
                    eprintln!("{}", warning.to_string().trim_end());
                }
                let (stopping, lacking): (Vec<_>, Vec<_>) =
                    wheeltapper_config::check_machine(&config).into_iter().partition(|problem| problem.stops);
                for problem in lacking {
                    eprintln!("{}", problem.to_string().trim_end());
                }
                if !stopping.is_empty() {
                    let told: String = stopping.iter().map(ToString::to_string).collect();
                    return Err(BadConfig(told).into());
                }
                // What only shows when it is put to use.
                crate::serve::mapping(&config)?;
                let sensors = config.sensors().count();
                println!("the configuration is sound: {sensors} sensors, {} technicians", config.technicians.len());
            }
            What::Plant => {
                let config = global.load()?;
                println!("{}", config.plant_json(&crate::lives::read(&config)?));
            }
            What::Example => print!("{}", wheeltapper_config::EXAMPLE),
        }
        Ok(())
    }
}
