//! The files of a store.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use crate::{StoreError, StoreOptions};

/// Opens a file of a store with the VFS of the options.
pub(crate) fn open_file(path: &Path, flags: OpenFlags, options: &StoreOptions) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(options.busy_timeout)?;
    // A damaged page is reported as an error instead of being misread.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Creates the file, readable by its owner only, or removes the permissions of other users from an existing file.
/// SQLite gives the files next to it the same permissions.
pub(crate) fn ensure_private_file(path: &Path) -> Result<(), StoreError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            #[cfg(unix)]
            for suffix in ["", "-wal", "-shm"] {
                remove_other_permissions(&with_suffix(path, suffix))?;
            }
            Ok(())
        }
        Err(error) => Err(StoreError::Copy { to: path.to_owned(), error }),
    }
}

#[cfg(unix)]
fn remove_other_permissions(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & 0o077 != 0 {
        match fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700)) {
            // A user who does not own the file, or cannot write to the file system, cannot change it but may still use
            // it.
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                return Err(error.into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the path with a suffix such as `-wal`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path_with_suffix = path.as_os_str().to_owned();
    path_with_suffix.push(suffix);
    PathBuf::from(path_with_suffix)
}
