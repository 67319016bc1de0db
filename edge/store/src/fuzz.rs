//! Entry points for fuzzers: bytes from the disk may be arbitrary, but must not cause a panic or an endless loop.

use std::{fs, path::Path, time::Duration};

use crate::{Filter, Store, StoreError, StoreOptions, connection::beside};

/// Opens a small store in `folder` with an arbitrary write-ahead log, as a starting host does, and reads everything.
/// `file` is the database file, or empty for a new one; see [`seed_files`].
///
/// # Errors
/// [`StoreError`] for invalid bytes.
pub fn open_with_wal(folder: &Path, file: &[u8], wal: &[u8]) -> Result<(), StoreError> {
    let path = folder.join("fuzz.db");
    fs::write(&path, file)?;
    fs::write(beside(&path, "-wal"), wal)?;
    let _ = fs::remove_file(beside(&path, "-shm"));
    let limit = Duration::from_millis(500);
    let options = StoreOptions { read_limit: Some(limit), quick_check: limit, ..StoreOptions::default() };
    let store = Store::open_with(&path, options)?;
    store.recover()?;
    store.counts()?;
    store.sizes()?;
    store.checkpoints()?;
    for sensor in store.sensors()?.iter().take(16) {
        store.readings(sensor.id, i64::MIN, i64::MAX)?;
    }
    store.windows(&Filter { limit: Some(16), ..Filter::default() })?;
    store.check(true)?;
    store.compact()?;
    store.state_put("fuzz", b"written")
}

/// Returns the file of a small store and its write-ahead log, as a seed for a corpus. The log contains commits that are
/// not in the file.
///
/// # Errors
/// [`StoreError`] when `folder` cannot be written.
pub fn template(folder: &Path) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let path = folder.join("template.db");
    let store = Store::open(&path)?;
    store.register_sensors(&[("pump/vibration", "pump", "mm/s", "velocity")])?;
    let readings = [crate::SensorColumn { sensor: 0, times: (0..100).collect(), values: vec![1.5; 100] }];
    store.commit(&crate::Commit { readings: &readings, ..crate::Commit::default() })?;
    Ok((fs::read(&path)?, fs::read(beside(&path, "-wal"))?))
}
