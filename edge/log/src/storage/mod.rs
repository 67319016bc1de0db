//! The seam to files and clock: what the log asks of the machine, so that a test can answer instead.

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
    /// Makes a folder and those above it that are missing, each durable.
    ///
    /// # Errors
    /// The system's.
    fn create_dir_all(&self, folder: &Path) -> io::Result<()>;

    /// Names of the files in a folder, in no order; names that are no UTF-8 are left out.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing; makes an empty one when there is none. The new file is durable only once
    /// [`Self::sync_dir`] was called on its folder.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Opens an existing file for reading only.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is none; the system's.
    fn open_existing(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Removes a file; durable once [`Self::sync_dir`] was called on its folder.
    ///
    /// # Errors
    /// The system's.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name, and replaces what had it; durable once [`Self::sync_dir`] was called on its folder.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes what was made, removed and renamed in a folder durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;

    /// When a file was last written to.
    ///
    /// # Errors
    /// The system's.
    fn modified(&self, path: &Path) -> io::Result<SystemTime>;

    /// The wall clock, for retention. It may jump either way.
    fn now(&self) -> SystemTime;

    /// Time since some moment, for back-off. It never runs backwards.
    fn monotonic(&self) -> Duration;

    /// A number that nobody can guess.
    fn random(&self) -> u64;
}

/// An open file, addressed by position.
pub trait StorageFile: fmt::Debug + Send + Sync {
    /// Writes all of `bytes` at position `at`; the file grows as needed. When it fails, a part may be written.
    ///
    /// # Errors
    /// The system's.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Writes all of `bytes` at the file's end.
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
    /// [`io::ErrorKind::UnexpectedEof`] when the file ends before; the system's.
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds nothing.
    ///
    /// # Errors
    /// The system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes what was written durable: data, and what is needed to read it back (`fdatasync`). After a failure nothing
    /// that was written since the last success may be trusted, also not after a later success.
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
