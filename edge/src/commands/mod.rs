//! The command line.
//!
//! In this module `println!` and `print!` return an error from the function when standard output is closed, and
//! `eprintln!` and `eprint!` ignore errors: the macros of the standard library would panic.

macro_rules! println {
    ($($arguments:tt)+) => { $crate::commands::output::print_line(format_args!($($arguments)+))? };
}
macro_rules! print {
    ($($arguments:tt)+) => { $crate::commands::output::print_text(format_args!($($arguments)+))? };
}
macro_rules! eprintln {
    ($($arguments:tt)+) => { $crate::commands::output::print_note(format_args!($($arguments)+)) };
}

mod audit;
mod backup;
mod config;
mod dead_letters;
mod evaluate;
mod key;
pub(crate) mod output;
mod query;
mod replay;
mod run;
mod schedule;
mod simulate;
mod user;

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use wheeltapper_access::{Access, AuditEvent};
use wheeltapper_config::{Config, ListenOverride};
use wheeltapper_store::Store;

use crate::clock::format_time;

/// Detects machine faults before failure: reads sensor data, finds anomalies, explains them, and plans the repair.
///
/// Start with `wheeltapper run`, send readings to http://localhost:8080/api/v1/ingest or to MQTT port 1883, and open
/// http://localhost:8080. `wheeltapper simulate` runs a simulated fleet for a first try.
#[derive(Debug, Parser)]
#[command(name = "wheeltapper", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
struct GlobalArgs {
    /// Configuration file [default: wheeltapper.toml, if it exists]
    #[arg(short, long, global = true, value_name = "FILE", env = "WHEELTAPPER_CONFIG")]
    config: Option<PathBuf>,
    /// Data folder; overrides the configuration
    #[arg(short, long, global = true, value_name = "DIR", env = "WHEELTAPPER_DATA")]
    data: Option<PathBuf>,
    /// What to log, such as `info`, `debug`, or `wheeltapper=trace`
    #[arg(long, global = true, value_name = "FILTER", env = "WHEELTAPPER_LOG", default_value = "info")]
    log: String,
    /// Log as JSON lines
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the platform until it is stopped
    Run(run::Run),
    /// Run recordings (CSV, NumPy) through the same pipeline
    Replay(replay::Replay),
    /// Publish readings of a simulated fleet of machines, some of which degrade
    Simulate(simulate::Simulate),
    /// Score the built components on public benchmarks, with each benchmark's own protocol
    Evaluate(evaluate::Evaluate),
    /// Compute maintenance schedules from files, without a running host
    Schedule(schedule::ScheduleCommand),
    /// Query the store: `query alerts`, `query readings --sensor ID`, `query sql 'select ...'`
    Query(query::Query),
    /// Write a table as CSV or Parquet
    Export(query::Export),
    /// Dead letters (rejected events and readings): list, replay, delete
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Users: list, add, reset the password, disable, remove
    User(user::UserCommand),
    /// API keys of devices and programs, and the keyring
    Key(key::KeyCommand),
    /// Audit log: verify that it is unchanged, export, list
    Audit(audit::AuditCommand),
    /// Copy the store while the host runs
    ///
    /// Copies to a file, or together with the users to a folder.
    ///
    /// To restore, put the copy into an empty data folder as wheeltapper.db, or pass the backup folder with --data, and
    /// start the host: all stored data is there, and open alerts and work orders continue. A backup does not contain
    /// the log and the detectors' models, so the baselines are learned again.
    ///
    /// Users, keys and the audit are in access.db next to the store: a backup to a folder contains a copy of it, a
    /// backup to a file does not. It can be read only with the keyring access.key (or WHEELTAPPER_KEY): keep that in
    /// another, safe location, and put it next to access.db before the host starts. Without both, the host starts with
    /// a new admin.
    Backup(backup::Backup),
    /// Check the configuration
    Config(config::ConfigCommand),
    /// Shell completions: `wheeltapper completions bash > /etc/bash_completion.d/wheeltapper`
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// End of the `--help` text of every command that has no exit codes of its own.
const EXIT_CODES_HELP: &str =
    "Exit codes: 0 done; 1 failed, standard error says why; 2 wrong arguments or configuration";

/// Runs the command line. Exit codes: 0 success, 1 failure, 2 wrong arguments or configuration.
pub fn main() -> ExitCode {
    let arguments = with_exit_codes(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&arguments).unwrap_or_else(|error| error.exit());
    init_logging(&cli.global);
    let global = &cli.global;
    // Other commands also write to sockets, where a broken pipe is a failure.
    let prints_only = matches!(
        cli.command,
        Command::Schedule(_) | Command::Query(_) | Command::Export(_) | Command::Audit(_) | Command::Completions { .. }
    );
    let done = match cli.command {
        Command::Run(run) => run.run(global),
        Command::Replay(replay) => replay.run(global),
        Command::Simulate(simulate) => simulate.run(),
        Command::Evaluate(evaluate) => evaluate.run(),
        Command::Schedule(schedule) => schedule.run(),
        Command::Query(query) => query.run(global),
        Command::Export(export) => export.run(global),
        Command::DeadLetters(command) => command.run(global),
        Command::User(user) => user.run(global),
        Command::Key(key) => key.run(global),
        Command::Audit(audit) => audit.run(global),
        Command::Backup(backup) => backup.run(global),
        Command::Config(config) => config.run(global),
        Command::Completions { shell } => completions(shell),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_stdout_closed(&error, prints_only) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<InvalidConfig>() {
            Some(config) => {
                eprintln!("{config}");
                ExitCode::from(2)
            }
            None => {
                eprintln!("wheeltapper: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Adds the exit codes to the help of the command and of its subcommands.
fn with_exit_codes(command: clap::Command) -> clap::Command {
    let own = command.get_after_help().is_some();
    let command = if own { command } else { command.after_help(EXIT_CODES_HELP) };
    command.mut_subcommands(with_exit_codes)
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    // The generator panics when it cannot write, for example into a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wheeltapper", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

fn init_logging(global: &GlobalArgs) {
    let filter = tracing_subscriber::EnvFilter::try_new(&global.log).unwrap_or_else(|error| {
        eprintln!("wheeltapper: --log {:?}: {error}; logging at info", global.log);
        tracing_subscriber::EnvFilter::new("info")
    });
    // If standard error is closed, reporting that error would panic in the thread that logs.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    // A second call, as in tests, keeps the first logger.
    let _ = if global.log_json {
        builder.json().try_init()
    } else {
        builder.with_target(false).with_ansi(io::stderr().is_terminal()).try_init()
    };
}

/// A configuration that cannot be used; the message is rendered for the terminal.
#[derive(Debug)]
struct InvalidConfig(String);

impl fmt::Display for InvalidConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.trim_end())
    }
}

impl std::error::Error for InvalidConfig {}

/// Loads the configuration: from `file`, else from `wheeltapper.toml` in the current folder, else the defaults. `data`
/// and `listen` override it.
///
/// # Errors
/// When the file cannot be read or used; the message is rendered with line and column.
pub fn load_config(file: Option<&Path>, data: Option<&Path>, listen: &ListenOverride) -> anyhow::Result<Config> {
    let default = Path::new("wheeltapper.toml");
    let file = file.or_else(|| default.exists().then_some(default));
    let mut config = match file {
        Some(file) => wheeltapper_config::load(file, listen).map_err(|errors| InvalidConfig(errors.to_string()))?,
        None => Config::default(),
    };
    listen.apply(&mut config);
    if let Some(data) = data {
        config.data = data.to_owned();
    }
    Ok(config)
}

impl GlobalArgs {
    fn load_config(&self) -> anyhow::Result<Config> {
        load_config(self.config.as_deref(), self.data.as_deref(), &ListenOverride::default())
    }

    /// Opens the store read-only; a host may be running.
    fn open_store(&self) -> anyhow::Result<Store> {
        let path = self.store_path()?;
        Ok(Store::open_read_only(&path)?)
    }

    /// Opens `access.db` as the host does; a host may be running.
    fn open_access(&self) -> anyhow::Result<Access> {
        crate::access::open(&self.load_config()?)
    }

    fn store_path(&self) -> anyhow::Result<PathBuf> {
        let folder = self.load_config()?.data;
        let path = crate::data_folder::store_path(&folder);
        anyhow::ensure!(
            path.exists(),
            "there is no store in {}; name the data folder with --data, or start one with `wheeltapper run`",
            folder.display()
        );
        Ok(path)
    }
}

/// Writes a change made by a command to the audit, with the user who is signed in to this machine.
fn audit_change(access: &Access, action: &str, target: &str, detail: &str) -> anyhow::Result<()> {
    let who = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "unknown".into());
    let actor = format!("command:{who}");
    let event = AuditEvent { actor: &actor, action, target, outcome: "ok", address: "", detail };
    access.record(&event, crate::clock::now())?;
    Ok(())
}

/// Joins items with commas.
fn join_with_commas<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// Parses a time on the command line: RFC 3339 or a date. Returns nanoseconds since 1970.
fn parse_time(text: &str) -> Result<i64, String> {
    let instant = text.parse::<jiff::Timestamp>().or_else(|_| {
        text.parse::<jiff::civil::Date>().and_then(|date| jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)))
    });
    match instant {
        Ok(instant) => i64::try_from(instant.as_nanosecond()).map_err(|_| format!("{text} is after the year 2262")),
        Err(_) => Err(format!("expected a time such as 2026-03-01T12:00:00Z or 2026-03-01, got {text:?}")),
    }
}
