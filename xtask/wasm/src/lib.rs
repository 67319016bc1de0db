//! How a package of this workspace becomes a component: the one place that knows profile, target and flags, for the edge
//! host's build script, `cargo xtask` and the tests.
//!
//! The same sources give the same bytes, wherever they lie: no path of the machine that built them is left in them.

use std::{
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The stages' names, in the order in which a reading meets them. The package of each is `wheeltapper-<name>`.
pub const STAGES: [&str; 5] = ["ingest", "featurize", "detect", "alert", "schedule"];

/// The libraries that components share.
pub const SHARED: [&str; 3] = ["condition-monitoring", "detectors", "line-api"];

/// What components are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// Why there are no components.
#[derive(Debug)]
pub enum BuildError {
    /// A folder cannot be read, or cargo cannot be started.
    Io(io::Error),
    /// Cargo has told why.
    Cargo,
}

impl fmt::Display for BuildError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(out, "building components: {error}"),
            Self::Cargo => write!(
                out,
                "the components did not build; cargo says why above (if the target is missing: rustup target add {TARGET})"
            ),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Builds components.
#[derive(Clone, Debug)]
pub struct Build {
    root: PathBuf,
    target: PathBuf,
}

impl Build {
    /// Of the workspace in `root`, into the folder `target`.
    ///
    /// # Errors
    /// When one of the folders cannot be read or made.
    pub fn new(root: &Path, target: &Path) -> io::Result<Self> {
        fs::create_dir_all(target)?;
        Ok(Self { root: fs::canonicalize(root)?, target: fs::canonicalize(target)? })
    }

    /// Builds packages at once, with `arguments` for cargo after them, such as `--features`.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn run(&self, packages: &[&str], arguments: &[&str]) -> Result<(), BuildError> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).args(["build", "--profile", "component", "--target", TARGET, "--lib"]);
        cargo.arg("--target-dir").arg(&self.target);
        // Joined with the flags in .cargo/config.toml, which the variable RUSTFLAGS would replace.
        cargo.arg("--config").arg(self.flags()?);
        for package in packages {
            cargo.args(["--package", package]);
        }
        cargo.args(arguments);
        // What is set for a package of this machine must not leak into a build for another target.
        for variable in [
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_TARGET_DIR",
        ] {
            cargo.env_remove(variable);
        }
        if cargo.status()?.success() { Ok(()) } else { Err(BuildError::Cargo) }
    }

    /// Where a package's component lies once it is built.
    pub fn artifact(&self, package: &str) -> PathBuf {
        self.target.join(TARGET).join("component").join(format!("{}.wasm", package.replace('-', "_")))
    }

    /// Takes this machine's folders out of what the compiler writes into a component, such as the places of panics. What
    /// is said later counts first.
    fn flags(&self) -> io::Result<String> {
        let mut prefixes = vec![(self.root.clone(), "/wheeltapper".to_owned())];
        if let Some(home) = cargo_home() {
            prefixes.push((home.clone(), "/cargo".to_owned()));
            // A folder a registry, named after the host it was loaded from, which may be a mirror.
            if let Ok(registries) = fs::read_dir(home.join("registry/src")) {
                for registry in registries {
                    prefixes.push((registry?.path(), "/registry".to_owned()));
                }
            }
        }
        prefixes.push((self.target.clone(), "/target".to_owned()));
        let flags: Vec<String> = prefixes
            .iter()
            .map(|(from, to)| format!("{:?}", format!("--remap-path-prefix={}={to}", from.display())))
            .collect();
        Ok(format!("target.{TARGET}.rustflags=[{}]", flags.join(", ")))
    }
}

fn cargo_home() -> Option<PathBuf> {
    let named = env::var_os("CARGO_HOME").filter(|home: &OsString| !home.is_empty());
    named.map(PathBuf::from).or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
}
