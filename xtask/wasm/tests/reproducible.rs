//! The same sources give the same bytes in any folder.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use wheeltapper_wasm::Build;

/// The smallest stage with dependencies from a registry.
const PACKAGE: &str = "wheeltapper-alert";
/// Folders that no build reads.
const EXCLUDED: [&str; 5] = [".git", "cases", "data", "docs", "node_modules"];

fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if EXCLUDED.contains(&name.as_str()) || name.starts_with("target") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy_sources(&entry.path(), &to.join(name));
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
        copy_sources(&root, &sources);
        let build = Build::new(&sources, &target).unwrap();
        build.run(&[PACKAGE], &["--quiet", "--locked"]).unwrap();
        fs::read(build.artifact(PACKAGE)).unwrap()
    });
    let [first, second] = &components;
    assert!(first == second, "{} and {} bytes", first.len(), second.len());
    // The component contains no folder of this computer and no user name.
    let text = String::from_utf8_lossy(first);
    let folders = [folder.path().to_path_buf(), fs::canonicalize(&root).unwrap()];
    let home = std::env::var_os("CARGO_HOME").or_else(|| std::env::var_os("HOME")).map(std::path::PathBuf::from);
    for path in folders.into_iter().chain(home) {
        assert!(!text.contains(&*path.to_string_lossy()), "{} is in the component", path.display());
    }
}
