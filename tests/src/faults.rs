//! Runs the scripts in `tests/faults`. They test the built binary from outside and count in Python, so that the counts
//! share no code with the product.

use std::{
    env,
    ffi::OsString,
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, bail};

use crate::binary;

/// Exit status of a script whose requirements are missing, such as root.
const SKIPPED: i32 = 77;

/// Scripts run one at a time, because they load the machine and some measure response times.
static SCRIPT_LOCK: Mutex<()> = Mutex::new(());

/// Runs a script against the built binary. A script that exits with [`SKIPPED`] counts as passed.
///
/// # Errors
/// If Python is missing or the script found a defect; the error includes its output.
pub fn run_script(name: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let _guard = SCRIPT_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let python = env::var_os("WHEELTAPPER_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults").join(name);
    let output = Command::new(&python)
        .arg(&script)
        .arg("--binary")
        .arg(binary()?)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}; install Python 3.10 or later", python.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    match output.status.code() {
        Some(0) => Ok(()),
        Some(SKIPPED) => {
            eprintln!("skipped: {name} {arguments:?}: {text}");
            Ok(())
        }
        _ => bail!(
            "{name} {arguments:?} exited with {}:\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
