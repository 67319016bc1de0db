//! `wheeltapper config`.

use clap::Subcommand;

use super::{GlobalArgs, InvalidConfig};

/// The configuration file.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Check the configuration, and whether this machine has what it refers to; each error is reported with line,
    /// column and what to do. Exit code 2 when the host would not start with it
    Check,
    /// Print the plant's part of the configuration as one line of JSON: the variable `plant` on Spin and wasmCloud
    Plant,
    /// Print an example with every setting explained
    Example,
}

impl ConfigCommand {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        match self.action {
            ConfigAction::Check => {
                let config = global.load_config()?;
                for warning in wheeltapper_config::warnings(&config) {
                    eprintln!("{}", warning.to_string().trim_end());
                }
                let (fatal, warnings): (Vec<_>, Vec<_>) =
                    wheeltapper_config::check_environment(&config).into_iter().partition(|problem| problem.is_fatal);
                for problem in warnings {
                    eprintln!("{}", problem.to_string().trim_end());
                }
                if !fatal.is_empty() {
                    let errors: String = fatal.iter().map(ToString::to_string).collect();
                    return Err(InvalidConfig(errors).into());
                }
                // Errors that are only found when the mapping is built.
                crate::serve::topic_mapping(&config)?;
                let sensors = config.sensors().count();
                println!("the configuration is valid: {sensors} sensors, {} technicians", config.technicians.len());
            }
            ConfigAction::Plant => {
                let config = global.load_config()?;
                println!("{}", config.plant_json(&crate::run_to_failure::read(&config)?));
            }
            ConfigAction::Example => print!("{}", wheeltapper_config::EXAMPLE),
        }
        Ok(())
    }
}
