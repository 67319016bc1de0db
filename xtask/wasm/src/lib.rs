//! Builds packages of this workspace as components. The edge host's build script, `cargo xtask` and the tests use this
//! crate, so that profile, target and flags are defined once.
//!
//! The same sources give the same bytes in any folder: a component contains no paths of the computer that built it.

use std::{
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The names of the stages, in the order in which a reading passes through them. The packages are
/// `wheeltapper-<name>`.
pub const STAGES: [&str; 5] = ["ingest", "featurize", "detect", "alert", "schedule"];

/// The folders of the libraries that components share.
pub const SHARED: [&str; 3] = ["condition-monitoring", "detectors", "line-api"];

/// The compilation target of the components.
pub const TARGET: &str = "wasm32-wasip2";

/// Why the components were not built.
#[derive(Debug)]
pub enum BuildError {
    /// A folder cannot be read, or cargo cannot be started.
    Io(io::Error),
    /// The build failed; cargo has printed the reason.
    Cargo,
}

impl fmt::Display for BuildError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(out, "building components: {error}"),
            Self::Cargo => write!(
                out,
                "the components were not built; cargo's messages are above (if the target is missing: \
                 rustup target add {TARGET})"
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
    /// Builds the workspace in the folder `root` in the folder `target`.
    ///
    /// # Errors
    /// If one of the folders cannot be read or created.
    pub fn new(root: &Path, target: &Path) -> io::Result<Self> {
        fs::create_dir_all(target)?;
        Ok(Self { root: fs::canonicalize(root)?, target: fs::canonicalize(target)? })
    }

    /// Builds packages with one call of cargo. `arguments` are additional arguments, such as `--features`.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn run(&self, packages: &[&str], arguments: &[&str]) -> Result<(), BuildError> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).args(["build", "--profile", "component", "--target", TARGET, "--lib"]);
        cargo.arg("--target-dir").arg(&self.target);
        // Cargo appends these to the flags in .cargo/config.toml; the variable RUSTFLAGS would replace them.
        cargo.arg("--config").arg(self.flags()?);
        for package in packages {
            cargo.args(["--package", package]);
        }
        cargo.args(arguments);
        // These variables are set for a native package and must not affect a build for another target.
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

    /// Returns the path of a package's component, which exists after the build.
    pub fn artifact(&self, package: &str) -> PathBuf {
        self.target.join(TARGET).join("component").join(format!("{}.wasm", package.replace('-', "_")))
    }

    /// Returns the cargo setting with [`Self::path_flags`].
    fn flags(&self) -> io::Result<String> {
        let flags: Vec<String> = self.path_flags()?.iter().map(|flag| format!("{flag:?}")).collect();
        Ok(format!("target.{TARGET}.rustflags=[{}]", flags.join(", ")))
    }

    /// Returns the compiler's flags that remove this computer's folders from the paths that the compiler writes into
    /// its output, such as the locations of panics. The compiler applies the last prefix that matches.
    ///
    /// # Errors
    /// If the folder of cargo's registries cannot be read.
    pub fn path_flags(&self) -> io::Result<Vec<String>> {
        let mut prefixes = vec![(self.root.clone(), "/wheeltapper".to_owned())];
        if let Some(home) = cargo_home() {
            prefixes.push((home.clone(), "/cargo".to_owned()));
            // Each registry has a folder named after its host, which may be a mirror.
            if let Ok(registries) = fs::read_dir(home.join("registry/src")) {
                for registry in registries {
                    prefixes.push((registry?.path(), "/registry".to_owned()));
                }
            }
        }
        prefixes.push((self.target.clone(), "/target".to_owned()));
        Ok(prefixes.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
    }
}

fn cargo_home() -> Option<PathBuf> {
    let configured = env::var_os("CARGO_HOME").filter(|home: &OsString| !home.is_empty());
    configured.map(PathBuf::from).or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
}
