//! The data folder: paths of its files, and a lock so that only one host uses it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, bail};

/// A data folder, locked for as long as this value lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Opens the folder; creates it if it does not exist.
    ///
    /// # Errors
    /// When another host uses the folder, or it cannot be written.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        // Only the owner may read readings, users and keys.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).with_context(|| format!("making the data folder {}", path.display()))?;
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

    /// The number of partitions: the number with which the folder was created, else `configured`, else one per CPU core
    /// (at most 64). `recorded` is the number in the store; the file `partitions` and the folders of the log contain it
    /// too, and all must agree. With another number, readings of some machines would be in partitions without a reader.
    ///
    /// # Errors
    /// When the numbers do not agree, or `configured` differs from the number with which the folder was created.
    pub fn resolve_partitions(&self, configured: u16, recorded: Option<u16>) -> anyhow::Result<u16> {
        let file = self.path.join("partitions");
        let written = match fs::read_to_string(&file) {
            Ok(text) => {
                Some(text.trim().parse::<u16>().with_context(|| format!("{} does not hold a number", file.display()))?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        };
        let logged = self.partitions_in_log()?;
        let known = [
            (format!("the file {}", file.display()), written),
            ("the store".to_owned(), recorded),
            (format!("the log {}", self.log_path().display()), logged),
        ];
        let mut recorded_counts = known.iter().filter_map(|(source, number)| Some((source, (*number)?)));
        let Some((_, created)) = recorded_counts.next() else {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let partitions =
                if configured == 0 { u16::try_from(cores).unwrap_or(u16::MAX).min(64) } else { configured };
            write_file_durably(&file, &format!("{partitions}\n"))?;
            return Ok(partitions);
        };
        if recorded_counts.any(|(_, number)| number != created) {
            let all: Vec<_> =
                known.iter().filter_map(|(source, number)| Some(format!("{source} says {}", (*number)?))).collect();
            bail!(
                "the data folder {} is not consistent: its records of the partition count differ: {}. \
                 Readings of some machines would be lost. Write the right number into {}, or restore the folder from a \
                 backup",
                self.path.display(),
                all.join(", "),
                file.display()
            );
        }
        if configured != 0 && configured != created {
            bail!(
                "the data folder {} was created with {created} partitions, but the configuration says {configured}; \
                 set partitions = {created}, or start with a new data folder",
                self.path.display()
            );
        }
        if written.is_none() {
            tracing::warn!(partitions = created, "the file {} was missing and was written again", file.display());
            write_file_durably(&file, &format!("{created}\n"))?;
        }
        Ok(created)
    }

    /// The number of partitions of the log of readings; `None` when there is no log.
    fn partitions_in_log(&self) -> anyhow::Result<Option<u16>> {
        let folder = self.log_path().join(crate::topics::Topic::Raw.to_string());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("listing {}", folder.display())),
        };
        let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u16>().ok());
        Ok(numbers.max().map(|highest| highest.saturating_add(1)))
    }

    /// Checks that the log was written with the store of this `identity`. The log refers to sensors by their numbers in
    /// the store, so with another store its readings would be lost or assigned to other sensors. Returns whether the
    /// log is new.
    ///
    /// # Errors
    /// When the log belongs to another store.
    pub fn check_log_identity(&self, identity: &str) -> anyhow::Result<bool> {
        let file = self.log_path().join("store");
        match fs::read_to_string(&file) {
            Ok(known) if known.trim() == identity => Ok(false),
            Ok(_) => bail!(
                "the log in {} was written with another store than {}: the store was deleted or replaced. The log may hold \
                 acknowledged readings that are in no store. Restore the store that belongs to it, or move the folders \
                 {} and {} away to start with an empty log",
                self.log_path().display(),
                self.store_path().display(),
                self.log_path().display(),
                self.snapshots_path().display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(self.log_path()).with_context(|| format!("making {}", self.log_path().display()))?;
                write_file_durably(&file, &format!("{identity}\n"))?;
                Ok(true)
            }
            Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
        }
    }

    /// Path of the SQLite file.
    pub fn store_path(&self) -> PathBuf {
        store_path(&self.path)
    }

    /// Folder of the topics.
    pub fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Folder of the stages' snapshots.
    pub fn snapshots_path(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// Folder of the compiled components.
    pub fn cache_path(&self) -> PathBuf {
        self.path.join("cache")
    }
}

/// Writes a small file atomically: after a power cut it is either complete or absent.
fn write_file_durably(path: &Path, text: &str) -> anyhow::Result<()> {
    let unfinished = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Path of the SQLite file in a data folder.
pub fn store_path(folder: &Path) -> PathBuf {
    folder.join("wheeltapper.db")
}

/// Path of the file of users, keys and the audit in a data folder.
pub fn access_path(folder: &Path) -> PathBuf {
    folder.join("access.db")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn folder_with_log(partitions: u16) -> (tempfile::TempDir, DataFolder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&parent.path().join("data")).unwrap();
        assert_eq!(folder.resolve_partitions(partitions, None).unwrap(), partitions);
        for partition in 0..partitions {
            fs::create_dir_all(folder.log_path().join("raw-sensor-data").join(partition.to_string())).unwrap();
        }
        (parent, folder)
    }

    #[test]
    fn an_edited_or_deleted_partition_count_loses_nothing() {
        let (parent, folder) = folder_with_log(4);
        let file = parent.path().join("data/partitions");
        assert_eq!(folder.resolve_partitions(0, Some(4)).unwrap(), 4);
        fs::write(&file, "2\n").unwrap();
        let error = folder.resolve_partitions(0, Some(4)).unwrap_err().to_string();
        assert!(error.contains("says 2") && error.contains("the store says 4"), "{error}");
        assert!(folder.resolve_partitions(2, None).is_err(), "the log has more");
        fs::remove_file(&file).unwrap();
        assert_eq!(folder.resolve_partitions(0, None).unwrap(), 4, "the log still has it");
        assert_eq!(fs::read_to_string(&file).unwrap(), "4\n");
        fs::remove_file(&file).unwrap();
        fs::remove_dir_all(folder.log_path()).unwrap();
        assert_eq!(folder.resolve_partitions(0, Some(4)).unwrap(), 4, "the store still has it");
        assert!(folder.resolve_partitions(3, Some(4)).is_err());
    }

    #[test]
    fn the_log_of_another_store_is_rejected() {
        let (_parent, folder) = folder_with_log(1);
        assert!(folder.check_log_identity("one").unwrap());
        assert!(!folder.check_log_identity("one").unwrap());
        let error = folder.check_log_identity("other").unwrap_err().to_string();
        assert!(error.contains("written with another store"), "{error}");
    }

    #[test]
    fn only_the_owner_can_read_the_data_folder() {
        use std::os::unix::fs::PermissionsExt as _;
        let (parent, _folder) = folder_with_log(1);
        let mode = fs::metadata(parent.path().join("data")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
