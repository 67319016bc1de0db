//! The data folder: what lies where, and that only one host uses it.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, bail};

/// A data folder, locked for as long as this lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When another host uses it, or it cannot be written.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("making the data folder {}", path.display()))?;
        let lock = File::create(path.join("lock"))
            .with_context(|| format!("writing to the data folder {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another wheeltapper uses the data folder {}; stop it, or name another with --data",
                    path.display()
                )
            }
            Err(TryLockError::Error(error)) => Err(error).context("locking the data folder"),
        }
    }

    /// The number of partitions: what the folder was made with, else `wanted`, else one a core.
    ///
    /// # Errors
    /// When `wanted` is not what the folder was made with: readings would meet the wrong state.
    pub fn partitions(&self, wanted: u16) -> anyhow::Result<u16> {
        let file = self.path.join("partitions");
        match fs::read_to_string(&file) {
            Ok(text) => {
                let made: u16 =
                    text.trim().parse().with_context(|| format!("{} does not hold a number", file.display()))?;
                if wanted != 0 && wanted != made {
                    bail!(
                        "the data folder {} was made with {made} partitions, the configuration wants {wanted}; \
                         set partitions = {made}, or start with a new data folder",
                        self.path.display()
                    );
                }
                Ok(made)
            }
            Err(_) => {
                let cores = thread::available_parallelism().map_or(1, usize::from);
                let partitions = if wanted == 0 { u16::try_from(cores).unwrap_or(u16::MAX).min(64) } else { wanted };
                fs::write(&file, format!("{partitions}\n")).with_context(|| format!("writing {}", file.display()))?;
                Ok(partitions)
            }
        }
    }

    /// The SQLite file.
    pub fn store_path(&self) -> PathBuf {
        store_path(&self.path)
    }

    /// The topics.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The stages' snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// Compiled components.
    pub fn cache(&self) -> PathBuf {
        self.path.join("cache")
    }
}

/// The SQLite file in a data folder.
pub fn store_path(folder: &Path) -> PathBuf {
    folder.join("wheeltapper.db")
}

/// The file of users, keys and the audit in a data folder.
pub fn access_path(folder: &Path) -> PathBuf {
    folder.join("access.db")
}
