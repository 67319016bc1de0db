//! The program `wheeltapper`, linked statically with musl.

use std::{fs, process::Command};

use anyhow::{Context as _, ensure};

use crate::{cargo_command, package::output, root, run, setup, target};

/// The compilation target. Its programs need no library of the system.
pub(super) const TARGET: &str = "x86_64-unknown-linux-musl";
/// The C compiler for the libraries in C (SQLite, zstd, ring, mimalloc), and the Debian package that contains it.
const COMPILER: (&str, &str) = ("musl-gcc", "musl-tools");

/// The built program.
pub(super) struct Program {
    pub(super) bytes: Vec<u8>,
    /// The completions for bash.
    pub(super) completions: Vec<u8>,
}

impl Program {
    /// Builds the program, stripped and without paths of this computer.
    pub(super) fn build() -> anyhow::Result<Self> {
        setup::wasm_target()?;
        setup::compilation_target(TARGET)?;
        setup::packages_of(&[COMPILER])?;
        ensure!(setup::is_installed("npm"), "the packages contain the dashboard; install Node.js 20 or later");
        setup::dashboard()?;

        let mut flags = vec!["-Cstrip=symbols".to_owned()];
        flags.extend(wheeltapper_wasm::Build::new(&root(), &target())?.path_flags()?);
        let mut cargo = cargo_command();
        cargo.args(["build", "--release", "--locked", "--package", "wheeltapper", "--bin", "wheeltapper"]);
        cargo.args(["--target", TARGET, "--config", &format!("target.{TARGET}.rustflags={flags:?}")]);
        // An incremental build divides the code differently, and the same sources would not give the same bytes.
        cargo.env("CARGO_INCREMENTAL", "0");
        run(&mut cargo)?;
        let path = target().join(TARGET).join("release/wheeltapper");
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let completions = output(Command::new(&path).args(["completions", "bash"]))?;
        Ok(Self { bytes, completions: format!("{completions}\n").into_bytes() })
    }
}
