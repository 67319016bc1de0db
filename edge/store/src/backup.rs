//! Backups: copies of the store that a host can start from.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, backup::Backup, params};

use crate::{Store, StoreError, file::ensure_private_file, schema::IDENTITY_KEY};

/// Pages copied per step, before other connections get access.
const PAGES_PER_STEP: i32 = 1024;

impl Store {
    /// Copies the store to `to` while it is in use, and replaces an existing file there. The copy contains all rows,
    /// but no log offsets, because the log and the snapshots are not copied: a host that starts on the copy starts with
    /// an empty log and fresh stages. `offset_keys` are the prefixes of state keys whose values are such offsets.
    /// `planner` is the planner's partition and state key: its state at the partition's snapshot offset is stored as
    /// `key/<offset>`, and in the copy as `key`.
    ///
    /// # Errors
    /// [`StoreError`] when `to` cannot be written or is this store. An existing file at `to` is then unchanged.
    pub fn backup(&self, to: &Path, offset_keys: &[&str], planner: (u16, &str)) -> Result<(), StoreError> {
        // The copy needs one snapshot to its end, so it has no time limit.
        self.read_with_timeout(None, |connection| {
            replace_atomically(&self.shared.path, to, |part| {
                copy_without_offsets(connection, part, offset_keys, planner)
            })
        })
    }
}

/// Copies any SQLite file while it is in use, and replaces an existing file at `to`.
///
/// # Errors
/// [`StoreError`] when `from` is not an SQLite file, or `to` cannot be written.
pub fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags)?;
    source.busy_timeout(Duration::from_secs(10))?;
    replace_atomically(from, to, |part| copy_database(&source, part).map(drop))
}

/// Writes a temporary file next to `to` and renames it to `to` when it is complete.
fn replace_atomically(
    from: &Path,
    to: &Path,
    write: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if let (Ok(from), Ok(target)) = (from.canonicalize(), to.canonicalize())
        && from == target
    {
        return Err(StoreError::CopyOntoItself(target));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let copy_error = |error: std::io::Error| StoreError::Copy { to: to.to_owned(), error };
    match fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(copy_error(error)),
        _ => {}
    }
    let written = write(&part).and_then(|()| fs::rename(&part, to).map_err(copy_error));
    if written.is_err() {
        // A partial copy is useless.
        let _ = fs::remove_file(&part);
    }
    written
}

fn copy_without_offsets(
    from: &Connection,
    to: &Path,
    offset_keys: &[&str],
    (owner, key): (u16, &str),
) -> Result<(), StoreError> {
    let mut copy = copy_database(from, to)?;
    let transaction = copy.transaction()?;
    let snapshot_prefix = format!("{key}/");
    transaction.execute(
        "INSERT OR REPLACE INTO state SELECT ?1, value FROM state JOIN partitions ON key = ?2 || snapshot_offset
            WHERE partition = ?3",
        params![key, snapshot_prefix, owner],
    )?;
    // Chunks staged by an unfinished checkpoint are not counted anywhere yet.
    transaction.execute_batch(
        "DELETE FROM reading_chunks WHERE (sensor, start_time) IN (SELECT sensor, start_time FROM staged);
         DELETE FROM staged;
         DELETE FROM partitions;
         DELETE FROM skipped;
         -- Their ids are derived from log offsets, and the next log assigns the same offsets again.
         UPDATE dead_letters SET id = lower(hex(randomblob(16)));",
    )?;
    // The copy belongs to another log, so it needs its own identity.
    transaction.execute("UPDATE state SET value = randomblob(16) WHERE key = ?1", params![IDENTITY_KEY])?;
    for prefix in offset_keys.iter().copied().chain([snapshot_prefix.as_str()]) {
        transaction.execute("DELETE FROM state WHERE substr(key, 1, length(?1)) = ?1", params![prefix])?;
    }
    transaction.commit()?;
    Ok(())
}

/// Copies the current content of the database to a new file, and returns a connection to it.
fn copy_database(from: &Connection, to: &Path) -> Result<Connection, StoreError> {
    ensure_private_file(to)?;
    let mut copy = Connection::open(to)?;
    // Without this read transaction, every concurrent write would restart the copy.
    from.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
    let copied = Backup::new(from, &mut copy)
        .and_then(|backup| backup.run_to_completion(PAGES_PER_STEP, Duration::from_millis(5), None));
    let rolled_back = from.execute_batch("ROLLBACK");
    copied?;
    rolled_back?;
    // A single file, without a write-ahead log.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{AppliedOffset, Checkpoint, Commit, DeadLetter, SensorReadings, SkippedRange};

    fn dead_letter() -> DeadLetter {
        DeadLetter {
            id: "0|17|0".into(),
            time: 1,
            source: "line".into(),
            reason: "late".into(),
            message: String::new(),
            payload: vec![1],
            readings: 1,
            sensor: None,
            format: None,
        }
    }

    fn commit<'a>(
        readings: &'a [SensorReadings],
        dead_letters: &'a [DeadLetter],
        skipped: &'a [SkippedRange],
    ) -> Commit<'a> {
        Commit {
            partition: 0,
            applied: Some(AppliedOffset { offset: 900, topic_ends: "{}" }),
            checkpoint: Some(Checkpoint { snapshot_offset: 900, snapshot: "{}".into() }),
            readings,
            dead_letters,
            skipped,
            ..Commit::default()
        }
    }

    #[test]
    fn a_copy_has_all_rows_and_no_log_offsets() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("store.db"), folder.path().join("copy.db"));
        let store = Store::open(&here).unwrap();
        let readings = [SensorReadings { sensor: 0, times: vec![1, 2], values: vec![3.0, 4.0] }];
        store
            .commit(&commit(&readings, &[dead_letter()], &[SkippedRange { start: 5, stop: 10, asset: None }]))
            .unwrap();
        store.state_put("notifier/ops", b"7").unwrap();
        store.state_put("ingest/0", b"aliases").unwrap();
        for offset in [899, 900, 901] {
            store.state_put(&format!("planner/{offset}"), offset.to_string().as_bytes()).unwrap();
        }
        fs::write(&there, "what lay there").unwrap();
        store.backup(&there, &["notifier/"], (0, "planner")).unwrap();
        assert!(!folder.path().join("copy.db.part").exists());

        let copy = Store::open(&there).unwrap();
        assert_eq!(copy.readings(0, 0, 9).unwrap(), (vec![1, 2], vec![3.0, 4.0]));
        assert!(copy.checkpoints().unwrap().is_empty() && copy.skipped_ranges(0).unwrap().is_empty());
        assert_eq!(copy.state_get("notifier/ops").unwrap(), None);
        assert_eq!(copy.state_get("ingest/0").unwrap().as_deref(), Some(b"aliases".as_slice()));
        assert_eq!(copy.state_get("planner").unwrap().as_deref(), Some(b"900".as_slice()));
        assert_eq!(copy.state_get("planner/900").unwrap(), None);
        // A dead letter from the same offset of another log is another dead letter.
        copy.commit(&commit(&[], &[dead_letter()], &[])).unwrap();
        assert_eq!((copy.counts().unwrap().dead_letters, copy.counts().unwrap().rejected_readings), (2, 2));
        assert!(copy.identity() != store.identity() && copy.identity().len() == 32);
        use std::os::unix::fs::PermissionsExt as _;
        for file in ["store.db", "store.db-wal", "store.db-shm", "copy.db"] {
            let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        // The original store is unchanged.
        assert_eq!(store.checkpoints().unwrap().len(), 1);
    }

    #[test]
    fn a_store_is_not_copied_onto_itself() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join("store.db");
        let store = Store::open(&here).unwrap();
        assert!(matches!(store.backup(&here, &[], (0, "planner")), Err(StoreError::CopyOntoItself(_))));
        assert!(matches!(
            store.backup(&folder.path().join("none/copy.db"), &[], (0, "planner")),
            Err(StoreError::Copy { .. })
        ));
        assert!(store.checkpoints().is_ok());
    }
}
