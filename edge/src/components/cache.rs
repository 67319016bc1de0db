//! The cache of compiled components: one file a component and engine, and none that nothing uses.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How compiled code is named, and how it is named while it is written.
const COMPILED: &str = "cwasm";
const UNFINISHED: &str = "new";
/// A file that is still being written is younger than this.
const WRITING: Duration = Duration::from_secs(3600);

/// Deletes the compiled code in `cache` that is not among `keep`: that of components and engines of before. What another
/// process may still be writing stays. Returns how many files went.
///
/// # Errors
/// [`io::Error`] when the folder cannot be listed; a file that cannot be deleted is left for the next start.
pub(crate) fn remove_stale(cache: &Path, keep: &[PathBuf]) -> io::Result<usize> {
    let kept: Vec<&OsStr> = keep.iter().filter_map(|path| path.file_name()).collect();
    let mut removed = 0;
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let stale = match path.extension().and_then(OsStr::to_str) {
            Some(COMPILED) => !kept.contains(&name.as_os_str()),
            Some(UNFINISHED) => is_abandoned(&entry),
            _ => false,
        };
        // Another host may have deleted it meanwhile, or the folder may be read-only: neither stops this one.
        if stale && entry.file_type().is_ok_and(|kind| kind.is_file()) && fs::remove_file(&path).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether a process was killed while it wrote this.
fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let written = entry.metadata().and_then(|about| about.modified());
    written.is_ok_and(|written| SystemTime::now().duration_since(written).is_ok_and(|age| age > WRITING))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_compiled_code_that_nothing_uses_goes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [
            "ingest-old.cwasm",
            "ingest-now.cwasm",
            "api-now.cwasm",
            "wheeltapper.db",
            "ingest-now.77.new",
            "odd.88.new",
        ] {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at("folder.cwasm")).unwrap();
        let long_ago = SystemTime::now() - 2 * WRITING;
        fs::File::open(at("odd.88.new")).unwrap().set_modified(long_ago).unwrap();
        let keep = [at("ingest-now.cwasm"), PathBuf::from("elsewhere/api-now.cwasm")];
        assert_eq!(remove_stale(folder.path(), &keep).unwrap(), 2);
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["api-now.cwasm", "folder.cwasm", "ingest-now.77.new", "ingest-now.cwasm", "wheeltapper.db"]);
        assert_eq!(remove_stale(folder.path(), &keep).unwrap(), 0);
        assert!(remove_stale(&at("missing"), &keep).is_err());
    }
}
