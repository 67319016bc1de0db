//! `wheeltapper config`.

use clap::Subcommand;

use super::Global;

/// The configuration file.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check it; every error is told with line, column and what to do. Exit code 2 when it cannot be used
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
