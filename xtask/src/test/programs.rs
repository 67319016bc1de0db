//! The test programs of the workspace, and where each may run.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::jobs::Lane;
use crate::{cargo_command, root};

/// Packages whose tests only compute: they start no server and assert no duration.
const COMPUTING: [&str; 13] = [
    "components/alert",
    "components/condition-monitoring",
    "components/detect",
    "components/detectors",
    "components/domain",
    "components/featurize",
    "components/line",
    "edge/config",
    "edge/evaluate",
    "edge/log",
    "xtask",
    "xtask/artifacts",
    "xtask/wasm",
];

/// What cargo has built.
pub(super) struct Built {
    pub(super) programs: Vec<TestProgram>,
    /// Whether a library may have tests in its documentation, which cargo runs without a program.
    pub(super) has_doc_tests: bool,
}

/// A program with tests.
pub(super) struct TestProgram {
    path: PathBuf,
    /// The folder of its package, relative to the repository.
    folder: String,
    /// The name of the file or of the library.
    target: String,
    is_library: bool,
}

impl TestProgram {
    pub(super) fn name(&self) -> String {
        let kind = if self.is_library { " (library)" } else { "" };
        format!("{}: {}{kind}", self.folder, self.target)
    }

    pub(super) fn is_library_of(&self, folder: &str) -> bool {
        self.is_library && self.folder == folder
    }

    pub(super) fn lane(&self) -> Lane {
        match (self.folder.as_str(), self.target.as_str()) {
            ("tests", "faults") => Lane::Waiting,
            (folder, _) if COMPUTING.contains(&folder) => Lane::Background,
            _ => Lane::Servers,
        }
    }

    /// Returns the command that runs the tests as cargo does: in the folder of the package.
    pub(super) fn command(&self) -> Command {
        let folder = root().join(&self.folder);
        let mut command = Command::new(&self.path);
        command.current_dir(&folder).env("CARGO_MANIFEST_DIR", &folder).env("CARGO", env!("CARGO"));
        command
    }
}

/// Builds all tests of the workspace.
pub(super) fn build() -> anyhow::Result<Built> {
    let mut command = cargo_command();
    command.args(["test", "--release", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    let mut cargo = command.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
    let mut built = Built { programs: Vec::new(), has_doc_tests: false };
    if let Some(messages) = cargo.stdout.take() {
        for line in BufReader::new(messages).lines() {
            // Programs that cargo runs, such as build scripts, may print to the same pipe.
            if let Ok(message) = serde_json::from_str(&line?) {
                built.add(&message, &root().canonicalize()?);
            }
        }
    }
    let status = cargo.wait()?;
    ensure!(status.success(), "cargo test --no-run failed ({status})");
    Ok(built)
}

impl Built {
    /// Adds what a message of cargo names.
    fn add(&mut self, message: &Value, root: &Path) {
        let manifest = message["manifest_path"].as_str().map(Path::new);
        let Some(folder) = manifest.and_then(|path| path.parent()?.strip_prefix(root).ok()) else { return };
        let kinds = message["target"]["kind"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_library = kinds.iter().any(|kind| matches!(kind.as_str(), Some("lib" | "rlib" | "cdylib")));
        if message["profile"]["test"] != true {
            self.has_doc_tests |= is_library && message["target"]["doctest"] == true;
        } else if let (Some(path), Some(target)) = (message["executable"].as_str(), message["target"]["name"].as_str())
        {
            let folder = folder.display().to_string();
            self.programs.push(TestProgram { path: path.into(), folder, target: target.to_owned(), is_library });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn artifact(manifest: &str, kind: &str, name: &str, is_test: bool) -> Value {
        json!({
            "reason": "compiler-artifact",
            "manifest_path": manifest,
            "target": { "kind": [kind], "name": name, "doctest": kind == "lib" },
            "profile": { "test": is_test },
            "executable": is_test.then_some("/r/target/release/deps/program"),
        })
    }

    #[test]
    fn programs_of_the_workspace_are_found() {
        let mut built = Built { programs: Vec::new(), has_doc_tests: false };
        for message in [
            artifact("/r/edge/Cargo.toml", "lib", "wheeltapper", true),
            artifact("/r/tests/Cargo.toml", "test", "faults", true),
            artifact("/r/components/detect/Cargo.toml", "test", "detect", true),
            artifact("/registry/serde/Cargo.toml", "lib", "serde", false),
            json!({ "reason": "build-finished", "success": true }),
        ] {
            built.add(&message, Path::new("/r"));
        }
        let found: Vec<(String, Lane)> = built.programs.iter().map(|each| (each.name(), each.lane())).collect();
        let expected = [
            ("edge: wheeltapper (library)".to_owned(), Lane::Servers),
            ("tests: faults".to_owned(), Lane::Waiting),
            ("components/detect: detect".to_owned(), Lane::Background),
        ];
        assert_eq!(found, expected);
        assert!(!built.has_doc_tests);
        built.add(&artifact("/r/edge/Cargo.toml", "lib", "wheeltapper", false), Path::new("/r"));
        assert!(built.has_doc_tests);
    }

    #[test]
    fn packages_that_only_compute_exist() {
        for folder in COMPUTING {
            assert!(root().join(folder).join("Cargo.toml").is_file(), "{folder}");
        }
    }
}
