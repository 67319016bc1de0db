//! What the developer commands share: folders, child processes, and the installation of programs.

pub mod setup;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

/// Returns the repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns cargo's target folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Returns the folder of the components that `cargo xtask compose` writes.
pub fn composed_folder() -> PathBuf {
    target().join("composed")
}

/// Runs cargo in the repository's folder.
///
/// # Errors
/// If it cannot be started, or fails.
pub fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(cargo_command().args(arguments))
}

/// Returns cargo as if called from a shell in the repository's folder. The variables that `cargo run` sets for xtask's
/// own package are removed, because they would cause rebuilds of some dependencies (ring) and of everything that
/// depends on them.
pub fn cargo_command() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let is_of_package =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if is_of_package {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command that must succeed.
///
/// # Errors
/// If it cannot be started, or fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("starting {}", command.get_program().display()))?;
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    ensure!(status.success(), "{} failed ({status})", words.join(" "));
    Ok(())
}
