//! Installs what the build and the tests need on a computer that has only rustup.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::{cargo_command, run, target as target_folder};

/// Programs that the tests run, and the Debian packages that contain them.
const PROGRAMS: [(&str, &str); 6] = [
    ("mosquitto", "mosquitto"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("nats-server", "nats-server"),
    ("postgres", "postgresql"),
    ("python3", "python3"),
    ("redis-server", "redis-server"),
];
/// `cargo xtask bench api` compares the host with `wasmtime serve` of this version, which the host embeds.
const WASMTIME_VERSION: &str = "48.0.8";
/// The pinned version of cargo-fuzz, which runs the fuzz targets.
const CARGO_FUZZ_VERSION: &str = "0.13.1";
/// The npm package that drives the browser, and its pinned version.
const PLAYWRIGHT: (&str, &str) = ("playwright-core", "1.65.1");
/// Programs of browsers that Playwright can drive.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Installs the compilation target of the components. Does nothing without rustup.
///
/// # Errors
/// If rustup fails.
pub fn wasm_target() -> anyhow::Result<()> {
    compilation_target("wasm32-wasip2")
}

/// Installs a compilation target of the toolchain. Does nothing without rustup.
///
/// # Errors
/// If rustup fails.
pub fn compilation_target(name: &str) -> anyhow::Result<()> {
    let output = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let Ok(output) = output else { return Ok(()) };
    if String::from_utf8_lossy(&output.stdout).lines().any(|line| line.trim() == name) {
        return Ok(());
    }
    run(Command::new("rustup").args(["target", "add", name])).with_context(|| format!("adding the target {name}"))
}

/// Installs the programs that are missing, each from its Debian package.
///
/// # Errors
/// If a package cannot be installed.
pub fn packages_of(programs: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing = missing_packages(programs);
    if missing.is_empty() { Ok(()) } else { install_packages(&missing) }
}

fn missing_packages<'a>(programs: &[(&str, &'a str)]) -> Vec<&'a str> {
    programs.iter().filter(|(program, _)| !is_installed(program)).map(|(_, package)| *package).collect()
}

/// Installs the missing programs that the tests run, from Debian's packages.
///
/// # Errors
/// If a package cannot be installed.
pub fn programs() -> anyhow::Result<()> {
    let mut missing = missing_packages(&PROGRAMS);
    // Debian packages the modules for virtual environments separately.
    if is_installed("python3") && !succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    install_packages(&missing)
}

/// Installs Debian packages.
fn install_packages(missing: &[&str]) -> anyhow::Result<()> {
    eprintln!("installing {}", missing.join(", "));
    if !is_installed("apt-get") {
        bail!("this task needs {}; install them with this system's package manager", missing.join(", "));
    }
    let sudo: &[&str] =
        if is_installed("sudo") && !succeeds(Command::new("test").args(["-w", "/usr/bin"])) { &["sudo"] } else { &[] };
    let apt = |arguments: &[&str]| {
        let mut words = sudo.iter().chain(&["apt-get", "-qq", "-y"]).chain(arguments);
        let Some(program) = words.next() else { bail!("no command") };
        let mut command = Command::new(program);
        // The tests start the services themselves, on their own ports.
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").stdout(Stdio::null());
        run(&mut command)
    };
    let install = [&["install", "--no-install-recommends"], missing].concat();
    if apt(&install).is_err() {
        apt(&["update"])?;
        apt(&install)?;
    }
    Ok(())
}

/// Creates a virtual environment with the packages of `tests/clients/requirements.txt` in the target folder, and
/// returns the path of its interpreter.
///
/// # Errors
/// If Python or pip fails.
pub fn python() -> anyhow::Result<PathBuf> {
    python_with(&crate::root().join("tests/clients/requirements.txt"), "python")
}

/// Creates a virtual environment with the packages of a file in a folder of the target folder, and returns the path of
/// its interpreter.
///
/// # Errors
/// If Python or pip fails.
pub fn python_with(requirements_path: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = target_folder().join(name);
    let interpreter = folder.join("bin/python");
    let requirements =
        fs::read_to_string(requirements_path).with_context(|| format!("reading {}", requirements_path.display()))?;
    let installed_path = folder.join("packages.txt");
    if interpreter.exists() && fs::read_to_string(&installed_path).is_ok_and(|text| text == requirements) {
        return Ok(interpreter);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&interpreter).args(pip).arg("--requirement").arg(requirements_path))?;
    fs::write(&installed_path, requirements)?;
    Ok(interpreter)
}

/// Installs playwright-core in the target folder, and a browser for it. Returns the package's folder and the browser's
/// program, or `None` without Node.js.
///
/// # Errors
/// If apt-get or npm fails.
pub fn browser() -> anyhow::Result<Option<(PathBuf, PathBuf)>> {
    if !is_installed("node") || !is_installed("npm") {
        eprintln!("Node.js is not installed, so the tests of pages are skipped; they need version 20 or later");
        return Ok(None);
    }
    if find_program(&BROWSERS).is_none() {
        install_packages(&["chromium"])?;
    }
    let Some(browser) = find_program(&BROWSERS) else { bail!("no browser among {}", BROWSERS.join(", ")) };
    let folder = target_folder().join("pages");
    let package = folder.join("node_modules/playwright-core/package.json");
    if !fs::read_to_string(&package).is_ok_and(|text| text.contains(PLAYWRIGHT.1)) {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), "{}\n")?;
        let name = format!("{}@{}", PLAYWRIGHT.0, PLAYWRIGHT.1);
        let arguments = ["install", "--silent", "--no-package-lock", "--no-audit", "--no-fund", "--prefix"];
        run(Command::new("npm").args(arguments).arg(&folder).arg(name))?;
    }
    Ok(Some((fs::canonicalize(folder)?, browser)))
}

/// Returns the path of the first of the programs that is on the path.
fn find_program(programs: &[&str]) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let candidates = |folder: PathBuf| programs.iter().map(move |program| folder.join(program));
    std::env::split_paths(&paths).flat_map(candidates).find(|path| path.is_file())
}

/// Returns whether a program is on the path or in one of Debian's folders for servers.
pub fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    // Debian installs servers in /usr/sbin, which is not on every path, and each version of PostgreSQL in its own
    // folder.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&paths)
        .chain([Path::new("/usr/sbin").to_owned()])
        .chain(versions.map(|version| version.path().join("bin")))
        .any(|folder| folder.join(program).is_file())
}

/// Runs a command without output and returns whether it succeeded.
fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Builds the dashboard, which the API's component embeds. Without Node.js it is not built, and the API has a simpler
/// page.
///
/// # Errors
/// If npm fails.
pub fn dashboard() -> anyhow::Result<()> {
    let folder = crate::root().join("dashboard");
    if !is_installed("npm") {
        eprintln!("Node.js is not installed, so the API is built without the dashboard");
        return Ok(());
    }
    eprintln!("building the dashboard");
    let npm = |arguments: &[&str]| run(Command::new("npm").args(arguments).current_dir(&folder).stdout(Stdio::null()));
    if !folder.join("node_modules/.package-lock.json").is_file() {
        npm(&["ci", "--no-audit", "--no-fund"])?;
    }
    npm(&["run", "build"]).context("building the dashboard")
}

/// Builds the `wasmtime` program from crates.io in the target folder, which takes minutes the first time, and returns
/// its path.
///
/// # Errors
/// If cargo fails.
pub fn wasmtime() -> anyhow::Result<PathBuf> {
    let folder = target_folder().join("peers");
    let program = folder.join("bin/wasmtime");
    let version = Command::new(&program).arg("--version").output();
    if version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(WASMTIME_VERSION)) {
        return Ok(program);
    }
    eprintln!("building wasmtime {WASMTIME_VERSION} for the comparison (some minutes, once)");
    let mut command = cargo_command();
    command.args(["install", "wasmtime-cli", "--version", WASMTIME_VERSION, "--locked", "--force"]);
    command.arg("--no-default-features");
    command.args(["--features", "serve,run,component-model-async,cranelift,parallel-compilation,pooling-allocator"]);
    command.arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build"));
    run(&mut command)?;
    Ok(program)
}

/// Builds `cargo-fuzz` from crates.io in the target folder and returns the folder that contains it.
///
/// # Errors
/// If cargo fails.
pub fn cargo_fuzz() -> anyhow::Result<PathBuf> {
    let folder = target_folder().join("tools");
    let programs = folder.join("bin");
    let version = Command::new(programs.join("cargo-fuzz")).args(["fuzz", "--version"]).output();
    if version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(CARGO_FUZZ_VERSION)) {
        return Ok(programs);
    }
    eprintln!("building cargo-fuzz {CARGO_FUZZ_VERSION} (once)");
    let mut command = cargo_command();
    command.args(["install", "cargo-fuzz", "--version", CARGO_FUZZ_VERSION, "--locked", "--force"]);
    // It only starts cargo and the targets.
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
    command.arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build"));
    run(&mut command)?;
    Ok(programs)
}
