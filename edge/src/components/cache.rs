//! The cache of compiled components: one file per component and engine version.

use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use wasmtime::{Engine, component::Component};

/// File extensions of compiled code, and of a file that is being written.
const COMPILED_EXTENSION: &str = "cwasm";
const UNFINISHED_EXTENSION: &str = "new";
/// An unfinished file older than this was left by a process that was killed.
const MAX_WRITE_TIME: Duration = Duration::from_secs(3600);

/// Why a component could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// The cache file cannot be written.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, io::Error),
    /// The bytes are not a valid component.
    #[error("it cannot be compiled: {0:#}")]
    Component(wasmtime::Error),
}

/// Returns the compiled code of a component, from the folder `cache` if it is there. Otherwise it is compiled and
/// cached, and replaces the files of earlier versions of the component or the engine.
///
/// # Errors
/// [`CompileError`].
pub(crate) fn load_or_compile(
    engine: &Engine,
    cache: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<Component, CompileError> {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let key = format!("{name}-{}-{:016x}", blake3::hash(bytes).to_hex(), compatibility.finish());
    let path = cache.join(format!("{key}.{COMPILED_EXTENSION}"));
    if let Some(compiled) = read_cached(&path) {
        // SAFETY: these bytes were written by `precompile_component` of an engine with the same compatibility hash, and
        // their checksum shows that they are unchanged. An attacker who can write the data folder could replace the
        // components themselves as well.
        match unsafe { Component::deserialize(engine, &compiled) } {
            Ok(component) => return Ok(component),
            Err(error) => tracing::warn!(%name, %error, "the cached component is not usable; compiling it again"),
        }
    }
    let compiled = engine.precompile_component(bytes).map_err(CompileError::Component)?;
    write_cached(&path, &compiled).map_err(|source| CompileError::File(path.clone(), source))?;
    match remove_stale(cache, name, &path) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(%name, removed, "compiled code of earlier versions was deleted"),
        Err(error) => tracing::warn!(%name, %error, "compiled code of earlier versions cannot be deleted"),
    }
    // SAFETY: `precompile_component` of this engine has just created these bytes.
    unsafe { Component::deserialize(engine, &compiled) }.map_err(CompileError::Component)
}

/// The cached code, or `None` if it is absent or damaged. The file starts with the BLAKE3 hash of the code.
fn read_cached(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).ok()?;
    let compiled = bytes.split_off_checked(blake3::OUT_LEN)?;
    (blake3::hash(&compiled).as_bytes().as_slice() == bytes).then_some(compiled)
}

fn write_cached(path: &Path, compiled: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(format!("{}.{UNFINISHED_EXTENSION}", std::process::id()));
    let mut bytes = blake3::hash(compiled).as_bytes().to_vec();
    bytes.extend_from_slice(compiled);
    fs::write(&unfinished, bytes)?;
    fs::rename(unfinished, path)
}

trait CheckedSplitOff {
    fn split_off_checked(&mut self, at: usize) -> Option<Vec<u8>>;
}

impl CheckedSplitOff for Vec<u8> {
    fn split_off_checked(&mut self, at: usize) -> Option<Vec<u8>> {
        (at <= self.len()).then(|| self.split_off(at))
    }
}

/// Deletes the compiled code of the component `name` except `keep`. Files that another process may still be writing are
/// kept. Returns the number of deleted files.
///
/// # Errors
/// [`io::Error`] when the folder cannot be listed. A file that cannot be deleted is left for the next call.
fn remove_stale(cache: &Path, name: &str, keep: &Path) -> io::Result<usize> {
    let prefix = format!("{name}-");
    let mut removed = 0;
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let path = entry.path();
        let stale = entry.file_name().to_str().is_some_and(|file| file.starts_with(&prefix))
            && match path.extension().and_then(OsStr::to_str) {
                Some(COMPILED_EXTENSION) => path.file_name() != keep.file_name(),
                Some(UNFINISHED_EXTENSION) => is_abandoned(&entry),
                _ => false,
            };
        // Another host may have deleted it meanwhile, or the folder may be read-only: both are ignored.
        if stale && entry.file_type().is_ok_and(|kind| kind.is_file()) && fs::remove_file(&path).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether the process that wrote this file was killed before it finished.
fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let written = entry.metadata().and_then(|about| about.modified());
    written.is_ok_and(|written| SystemTime::now().duration_since(written).is_ok_and(|age| age > MAX_WRITE_TIME))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_recompiled_component_replaces_its_earlier_versions() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let kept_names = ["api-now.cwasm", "ingest-now.77.new", "wheeltapper.db"];
        for name in kept_names.into_iter().chain(["ingest-old.cwasm", "ingest-odd.88.new"]) {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at("ingest-folder.cwasm")).unwrap();
        let long_ago = SystemTime::now() - 2 * MAX_WRITE_TIME;
        fs::File::open(at("ingest-odd.88.new")).unwrap().set_modified(long_ago).unwrap();

        let engine = Engine::default();
        let component = b"\0asm\x0d\0\x01\0";
        load_or_compile(&engine, folder.path(), "ingest", component).unwrap();
        let files = || {
            let mut files: Vec<_> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !kept_names.contains(&name.as_str()))
                .collect();
            files.sort();
            files
        };
        let first = files();
        assert_eq!(first.len(), 2, "{first:?}");
        assert!(first.contains(&"ingest-folder.cwasm".to_owned()));
        load_or_compile(&engine, folder.path(), "ingest", component).unwrap();
        assert_eq!(files(), first, "it was cached");
        // The same component with an empty custom section counts as another version.
        load_or_compile(&engine, folder.path(), "ingest", &[&component[..], b"\0\x02\x01a"].concat()).unwrap();
        let second = files();
        assert!(second.len() == 2 && second != first, "{second:?}");
        assert!(kept_names.iter().all(|name| at(name).exists()));
    }
}
