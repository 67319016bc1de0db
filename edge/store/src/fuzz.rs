//! Entry points for fuzzers: bytes from the disk may be arbitrary, but must not cause a panic or an endless loop.

use std::{fs, path::Path, time::Duration};

use crate::{Filter, Store, StoreError, StoreOptions, file::with_suffix};

/// Opens a small store in `folder` with an arbitrary write-ahead log, as a starting host does, and reads everything.
/// `file` is the database file, or empty for a new one; see [`seed_files`].
///
/// # Errors
/// [`StoreError`] for invalid bytes.
pub fn open_with_wal(folder: &Path, file: &[u8], wal: &[u8]) -> Result<(), StoreError> {
    let path = folder.join("fuzz.db");
    fs::write(&path, file)?;
    fs::write(with_suffix(&path, "-wal"), wal)?;
    let _ = fs::remove_file(with_suffix(&path, "-shm"));
    let limit = Duration::from_millis(500);
    let options = StoreOptions { read_timeout: Some(limit), quick_check_timeout: limit, ..StoreOptions::default() };
    let store = Store::open_with(&path, options)?;
    store.discard_all_staged()?;
    store.counts()?;
    store.sizes()?;
    store.checkpoints()?;
    for sensor in store.sensors()?.iter().take(16) {
        store.readings(sensor.id, i64::MIN, i64::MAX)?;
    }
    store.windows(&Filter { limit: Some(16), ..Filter::default() })?;
    store.check_integrity(true)?;
    store.merge_small_chunks()?;
    store.state_put("fuzz", b"written")
}

/// Returns the file of a small store and its write-ahead log, as a seed for a corpus. The log contains commits that are
/// not in the file.
///
/// # Errors
/// [`StoreError`] when `folder` cannot be written.
pub fn seed_files(folder: &Path) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let path = folder.join("template.db");
    let store = Store::open(&path)?;
    store.register_sensors(&[("pump/vibration", "pump", "mm/s", "velocity")])?;
    let readings = [crate::SensorReadings { sensor: 0, times: (0..100).collect(), values: vec![1.5; 100] }];
    store.commit(&crate::Commit { readings: &readings, ..crate::Commit::default() })?;
    Ok((fs::read(&path)?, fs::read(with_suffix(&path, "-wal"))?))
}
