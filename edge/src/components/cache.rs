//! The cache of compiled components: one file a component and engine.

use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use wasmtime::{Engine, component::Component};

/// How compiled code is named, and how it is named while it is written.
const COMPILED: &str = "cwasm";
const UNFINISHED: &str = "new";
/// A file that is still being written is younger than this.
const WRITING: Duration = Duration::from_secs(3600);

/// Why there is no compiled code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// It cannot be kept.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, io::Error),
    /// The bytes are no component.
    #[error("it cannot be compiled: {0:#}")]
    Component(wasmtime::Error),
}

/// The compiled code of a component, from the folder `cache` where it is there. Where it is not, it takes the place of what
/// earlier versions of the component or the engine left.
///
/// # Errors
/// [`CompileError`].
pub(crate) fn compiled(engine: &Engine, cache: &Path, name: &str, bytes: &[u8]) -> Result<Component, CompileError> {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let key = format!("{name}-{}-{:016x}", blake3::hash(bytes).to_hex(), compatibility.finish());
    let path = cache.join(format!("{key}.{COMPILED}"));
    if let Some(compiled) = read_cached(&path) {
        // SAFETY: these bytes were written by `precompile_component` of an engine with this very compatibility hash, and
        // their checksum shows that they are as they were written. Who can write the data folder on purpose can
        // replace the components themselves as well.
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
    // SAFETY: `precompile_component` of this engine has just made them.
    unsafe { Component::deserialize(engine, &compiled) }.map_err(CompileError::Component)
}

/// The cached code, unless it is absent or damaged. Its BLAKE3 hash stands before it.
fn read_cached(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).ok()?;
    let compiled = bytes.split_off_checked(blake3::OUT_LEN)?;
    (blake3::hash(&compiled).as_bytes().as_slice() == bytes).then_some(compiled)
}

fn write_cached(path: &Path, compiled: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(format!("{}.{UNFINISHED}", std::process::id()));
    let mut bytes = blake3::hash(compiled).as_bytes().to_vec();
    bytes.extend_from_slice(compiled);
    fs::write(&unfinished, bytes)?;
    fs::rename(unfinished, path)
}

trait SplitOffChecked {
    fn split_off_checked(&mut self, at: usize) -> Option<Vec<u8>>;
}

impl SplitOffChecked for Vec<u8> {
    fn split_off_checked(&mut self, at: usize) -> Option<Vec<u8>> {
        (at <= self.len()).then(|| self.split_off(at))
    }
}

/// Deletes the compiled code of the component `name` except `keep`. What another process may still be writing stays.
/// Returns how many files went.
///
/// # Errors
/// [`io::Error`] when the folder cannot be listed; a file that cannot be deleted is left for the next time.
fn remove_stale(cache: &Path, name: &str, keep: &Path) -> io::Result<usize> {
    let prefix = format!("{name}-");
    let mut removed = 0;
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let path = entry.path();
        let stale = entry.file_name().to_str().is_some_and(|file| file.starts_with(&prefix))
            && match path.extension().and_then(OsStr::to_str) {
                Some(COMPILED) => path.file_name() != keep.file_name(),
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
    fn a_component_that_is_compiled_anew_takes_the_place_of_its_earlier_versions() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let others = ["api-now.cwasm", "ingest-now.77.new", "wheeltapper.db"];
        for name in others.into_iter().chain(["ingest-old.cwasm", "ingest-odd.88.new"]) {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at("ingest-folder.cwasm")).unwrap();
        let long_ago = SystemTime::now() - 2 * WRITING;
        fs::File::open(at("ingest-odd.88.new")).unwrap().set_modified(long_ago).unwrap();

        let engine = Engine::default();
        let component = b"\0asm\x0d\0\x01\0";
        compiled(&engine, folder.path(), "ingest", component).unwrap();
        let files = || {
            let mut files: Vec<_> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !others.contains(&name.as_str()))
                .collect();
            files.sort();
            files
        };
        let first = files();
        assert_eq!(first.len(), 2, "{first:?}");
        assert!(first.contains(&"ingest-folder.cwasm".to_owned()));
        compiled(&engine, folder.path(), "ingest", component).unwrap();
        assert_eq!(files(), first, "it was there");
        // The same component with a section that means nothing: another version.
        compiled(&engine, folder.path(), "ingest", &[&component[..], b"\0\x02\x01a"].concat()).unwrap();
        let second = files();
        assert!(second.len() == 2 && second != first, "{second:?}");
        assert!(others.iter().all(|name| at(name).exists()));
    }
}
