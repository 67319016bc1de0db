//! `wheeltapper config`.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Subcommand;
use wheeltapper_config::Config;

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
    Check {
        /// The file to check instead of the one that `--config` names; `-` is standard input
        file: Option<PathBuf>,
    },
    /// Print the plant's part of the configuration as one line of JSON: the variable `plant` on Spin and wasmCloud
    Plant,
    /// Print an example with every setting explained
    Example,
}

/// Reads a configuration from standard input. Relative paths are resolved from the current folder.
fn read_standard_input() -> anyhow::Result<Config> {
    let text = io::read_to_string(io::stdin()).context("reading the configuration from standard input")?;
    Ok(wheeltapper_config::parse(&text, "standard input").map_err(|errors| InvalidConfig(errors.to_string()))?)
}

/// Returns a number with its noun, in the plural unless the number is one.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

impl ConfigCommand {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        match self.action {
            ConfigAction::Check { file } => {
                let config = match file {
                    Some(file) if file == Path::new("-") => read_standard_input()?,
                    Some(file) => GlobalArgs { config: Some(file), ..global.clone() }.load_config()?,
                    None => global.load_config()?,
                };
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
                let sensors = count(config.sensors().count(), "sensor");
                let technicians = count(config.technicians.len(), "technician");
                println!("the configuration is valid: {sensors}, {technicians}");
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
