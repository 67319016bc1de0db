//! The same sources give the same bytes, wherever they lie.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use wheeltapper_wasm::Build;

/// The smallest stage with dependencies from a registry.
const PACKAGE: &str = "wheeltapper-alert";
/// What is no source, or a source that no build reads.
const LEFT_OUT: [&str; 5] = [".git", "cases", "data", "docs", "node_modules"];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if LEFT_OUT.contains(&name.as_str()) || name.starts_with("target") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

#[test]
fn two_folders_give_the_same_component() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().unwrap();
    let components = ["first", "a-second/with-a-longer-name"].map(|name| {
        let (sources, target) = (folder.path().join(name).join("sources"), folder.path().join(name).join("built"));
        copy(&root, &sources);
        let build = Build::new(&sources, &target).unwrap();
        build.run(&[PACKAGE], &["--quiet", "--locked"]).unwrap();
        fs::read(build.artifact(PACKAGE)).unwrap()
    });
    let [first, second] = &components;
    assert!(first == second, "{} and {} bytes", first.len(), second.len());
    // Nothing tells where, or under whose name, it was built.
    let text = String::from_utf8_lossy(first);
    let here = [folder.path().to_path_buf(), fs::canonicalize(&root).unwrap()];
    let home = std::env::var_os("CARGO_HOME").or_else(|| std::env::var_os("HOME")).map(std::path::PathBuf::from);
    for place in here.into_iter().chain(home) {
        assert!(!text.contains(&*place.to_string_lossy()), "{} is in the component", place.display());
    }
}
