//! What the build and the tests need on a machine that has only rustup.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::{cargo_command, run, target as target_folder};

/// Programs that tests drive, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 6] = [
    ("mosquitto", "mosquitto"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("nats-server", "nats-server"),
    ("postgres", "postgresql"),
    ("python3", "python3"),
    ("redis-server", "redis-server"),
];
/// The peer of `cargo xtask bench api`: the engine's own server, of the version that the host embeds.
const WASMTIME: &str = "48.0.8";
/// Runs the fuzz targets; the version is pinned.
const CARGO_FUZZ: &str = "0.13.1";
/// Drives pages; the version is pinned.
const PLAYWRIGHT: (&str, &str) = ("playwright-core", "1.65.1");
/// Browsers that it can drive.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The compilation target of the components.
pub(crate) fn target() -> anyhow::Result<()> {
    let listed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let Ok(listed) = listed else { return Ok(()) };
    if String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.trim() == "wasm32-wasip2") {
        return Ok(());
    }
    run(Command::new("rustup").args(["target", "add", "wasm32-wasip2"])).context("adding the target for components")
}

/// Brokers and clients, from Debian's packages.
pub(crate) fn peers() -> anyhow::Result<()> {
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !there(program)).map(|(_, package)| *package).collect();
    // Debian's Python comes without the module that makes environments.
    if there("python3") && !quiet(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

/// Installs Debian packages.
fn install(missing: &[&str]) -> anyhow::Result<()> {
    eprintln!("installing {}", missing.join(", "));
    if !there("apt-get") {
        bail!("the tests need {}; install them with this system's package manager", missing.join(", "));
    }
    let sudo: &[&str] =
        if there("sudo") && !quiet(Command::new("test").args(["-w", "/usr/bin"])) { &["sudo"] } else { &[] };
    let apt = |arguments: &[&str]| {
        let mut words = sudo.iter().chain(&["apt-get", "-qq", "-y"]).chain(arguments);
        let Some(program) = words.next() else { bail!("no command") };
        let mut command = Command::new(program);
        // The services are started by the tests themselves, on ports of their own.
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

/// An environment with what `tests/clients/requirements.txt` names in the target folder; gives its interpreter.
pub(crate) fn python() -> anyhow::Result<PathBuf> {
    let folder = target_folder().join("python");
    let interpreter = folder.join("bin/python");
    let wanted = crate::root().join("tests/clients/requirements.txt");
    let list = fs::read_to_string(&wanted).with_context(|| format!("reading {}", wanted.display()))?;
    let kept = folder.join("packages.txt");
    if interpreter.exists() && fs::read_to_string(&kept).is_ok_and(|text| text == list) {
        return Ok(interpreter);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&interpreter).args(pip).arg("--requirement").arg(&wanted))?;
    fs::write(&kept, list)?;
    Ok(interpreter)
}

/// playwright-core in the target folder, where Node.js is to be had, and a browser for it.
pub(crate) fn browser() -> anyhow::Result<Option<(PathBuf, PathBuf)>> {
    if !there("node") || !there("npm") {
        eprintln!("without Node.js the tests of pages are left out; install it (version 20 or later) to run them too");
        return Ok(None);
    }
    if found(&BROWSERS).is_none() {
        install(&["chromium"])?;
    }
    let Some(browser) = found(&BROWSERS) else { bail!("no browser among {}", BROWSERS.join(", ")) };
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

/// The first of the programs that is on the path.
fn found(programs: &[&str]) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let named = |folder: PathBuf| programs.iter().map(move |program| folder.join(program));
    std::env::split_paths(&paths).flat_map(named).find(|path| path.is_file())
}

/// Whether a program is on the path, or where Debian keeps it.
pub(crate) fn there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers in sbin, which is not on everyone's path, and each version of PostgreSQL in a folder of its own.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&paths)
        .chain([Path::new("/usr/sbin").to_owned()])
        .chain(versions.map(|version| version.path().join("bin")))
        .any(|folder| folder.join(program).is_file())
}

fn quiet(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Builds the dashboard, where there is Node.js: the API's component takes it in. Without, the API has a simpler page.
pub(crate) fn dashboard() -> anyhow::Result<()> {
    let folder = crate::root().join("dashboard");
    if !there("npm") {
        eprintln!("no Node.js here: the API is built without the dashboard");
        return Ok(());
    }
    let npm = |arguments: &[&str]| run(Command::new("npm").args(arguments).current_dir(&folder).stdout(Stdio::null()));
    if !folder.join("node_modules/.package-lock.json").is_file() {
        npm(&["ci", "--no-audit", "--no-fund"])?;
    }
    npm(&["run", "build"]).context("building the dashboard")
}

/// The `wasmtime` program, built from crates.io into the target folder; takes minutes the first time.
pub(crate) fn wasmtime() -> anyhow::Result<PathBuf> {
    let folder = target_folder().join("peers");
    let program = folder.join("bin/wasmtime");
    let version = Command::new(&program).arg("--version").output();
    if version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(WASMTIME)) {
        return Ok(program);
    }
    eprintln!("building wasmtime {WASMTIME} to compare with (some minutes, once)");
    let mut command = cargo_command();
    command.args(["install", "wasmtime-cli", "--version", WASMTIME, "--locked", "--force", "--no-default-features"]);
    command.args(["--features", "serve,run,component-model-async,cranelift,parallel-compilation,pooling-allocator"]);
    command.arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build"));
    run(&mut command)?;
    Ok(program)
}

/// The folder with `cargo-fuzz`, built from crates.io into the target folder.
pub(crate) fn cargo_fuzz() -> anyhow::Result<PathBuf> {
    let folder = target_folder().join("tools");
    let programs = folder.join("bin");
    let version = Command::new(programs.join("cargo-fuzz")).args(["fuzz", "--version"]).output();
    if version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(CARGO_FUZZ)) {
        return Ok(programs);
    }
    eprintln!("building cargo-fuzz {CARGO_FUZZ} (once)");
    let mut command = cargo_command();
    command.args(["install", "cargo-fuzz", "--version", CARGO_FUZZ, "--locked", "--force"]);
    command.arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build"));
    run(&mut command)?;
    Ok(programs)
}
