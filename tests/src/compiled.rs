//! The components that the built binary has compiled, which takes a host ten seconds of CPU time. All hosts of the
//! tests share them.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::binary;

/// Gives a host that has not compiled its components those of other hosts. `data` is its data folder.
///
/// # Errors
/// If the files cannot be copied.
pub(crate) fn restore(data: &Path) -> anyhow::Result<()> {
    let cache = data.join("cache");
    if cache.exists() {
        return Ok(());
    }
    // Like the host, which keeps its data from other users.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&cache)?;
    copy(&folder()?, &cache)
}

/// Keeps what a host has compiled for other hosts. If that fails, they compile it themselves.
pub(crate) fn save(data: &Path) {
    let _ = folder().and_then(|folder| copy(&data.join("cache"), &folder));
}

/// Returns the folder of the compiled components. It belongs to one build of the binary; those of other builds are
/// removed.
fn folder() -> anyhow::Result<PathBuf> {
    let binary = binary()?;
    let metadata = fs::metadata(&binary)?;
    let built = metadata.modified()?.duration_since(UNIX_EPOCH)?;
    let parent = binary.with_file_name("compiled-for-tests");
    let folder = parent.join(format!("{}-{}", metadata.len(), built.as_nanos()));
    if !folder.is_dir() {
        fs::create_dir_all(&folder)?;
        let others = fs::read_dir(&parent)?.flatten().map(|entry| entry.path()).filter(|path| *path != folder);
        for other in others {
            // Another test may remove it too.
            let _ = fs::remove_dir_all(other);
        }
    }
    Ok(folder)
}

/// Copies the compiled components that `to` lacks. Each file appears complete.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from)? {
        let source = entry?.path();
        let is_compiled = source.extension().is_some_and(|ending| ending == "cwasm");
        let Some(target) = source.file_name().map(|name| to.join(name)) else { continue };
        if is_compiled && !target.exists() {
            let unfinished = tempfile::NamedTempFile::new_in(to)?;
            fs::copy(&source, unfinished.path())?;
            unfinished.persist(target)?;
        }
    }
    Ok(())
}
