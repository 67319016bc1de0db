//! The interface to files, clock and random numbers, which a test can replace.

mod disk;
#[cfg(feature = "simulation")]
pub mod simulated;

pub use disk::DiskStorage;
#[cfg(feature = "simulation")]
pub use simulated::SimulatedStorage;

use std::{
    fmt, io,
    path::Path,
    time::{Duration, SystemTime},
};

/// Files, clocks and random numbers. The log calls it per batch and per segment, not per record.
pub trait Storage: fmt::Debug + Send + Sync {
    /// Creates a folder and its missing parents, each durably.
    ///
    /// # Errors
    /// The system's.
    fn create_dir_all(&self, folder: &Path) -> io::Result<()>;

    /// Names of the files in a folder, in no particular order. Names that are not UTF-8 are skipped.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing, and creates it if it does not exist. A new file is durable only after
    /// [`Self::sync_dir`] of its folder.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Opens an existing file for reading only.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when the file does not exist; the system's.
    fn open_existing(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Removes a file. Durable after [`Self::sync_dir`] of its folder.
    ///
    /// # Errors
    /// The system's.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Renames a file and replaces an existing one. Durable after [`Self::sync_dir`] of its folder.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes created, removed and renamed files of a folder durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;

    /// The time of the last write to a file.
    ///
    /// # Errors
    /// The system's.
    fn modified(&self, path: &Path) -> io::Result<SystemTime>;

    /// The wall clock, used for retention. It may jump in either direction.
    fn now(&self) -> SystemTime;

    /// Time since an arbitrary start, used for back-off. It never decreases.
    fn monotonic(&self) -> Duration;

    /// An unpredictable random number.
    fn random(&self) -> u64;
}

/// An open file, addressed by position.
pub trait StorageFile: fmt::Debug + Send + Sync {
    /// Writes all of `bytes` at position `at`. The file grows as needed. After an error, a part may have been written.
    ///
    /// # Errors
    /// The system's.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Writes all of `bytes` at the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let end = self.len()?;
        self.write_all_at(bytes, end)
    }

    /// Fills `bytes` from position `at`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the file is too short; the system's.
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn len(&self) -> io::Result<u64>;

    /// Returns whether the file is empty.
    ///
    /// # Errors
    /// The system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Truncates the file, or extends it with zeros.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes written data durable, with the metadata needed to read it back (`fdatasync`). After a failure, nothing
    /// written since the last success can be trusted, even if a later call succeeds.
    ///
    /// # Errors
    /// The system's.
    fn sync_data(&self) -> io::Result<()>;

    /// As [`Self::sync_data`], with all metadata (`fsync`).
    ///
    /// # Errors
    /// The system's.
    fn sync_all(&self) -> io::Result<()>;
}
