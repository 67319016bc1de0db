//! Copies to start anew from.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, backup::Backup, params};

use crate::{Store, StoreError, connection::make_private, schema::IDENTITY};

/// Pages that are copied before others get their turn.
const PAGES: i32 = 1024;

impl Store {
    /// Copies the store to `to` while it is in use, in place of what lay there. The copy holds all that is known, but no
    /// place in a log, as the log and the snapshots stay where they are: a host that starts on it begins with an empty
    /// log and fresh stages. `places` are beginnings of keys whose states are such places. What the one whose row among the
    /// partitions is `owner` needs to go on lies under `key/<its offset>`, and in the copy under `key`.
    ///
    /// # Errors
    /// [`StoreError`] when `to` cannot be written, or is this store; what lay there is as it was.
    pub fn backup(&self, to: &Path, places: &[&str], kept: (u16, &str)) -> Result<(), StoreError> {
        // It needs one snapshot to the end, however long that takes.
        self.read_for(None, |connection| {
            replace(&self.shared.path, to, |part| copy_pages(connection, part, places, kept))
        })
    }
}

/// Copies any SQLite file while it is in use, in place of what lay at `to`.
///
/// # Errors
/// [`StoreError`] when `from` is no SQLite file or `to` cannot be written.
pub fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags)?;
    source.busy_timeout(Duration::from_secs(10))?;
    replace(from, to, |part| pages(&source, part).map(drop))
}

/// Has a file written beside `to` and puts it there once it is whole.
fn replace(from: &Path, to: &Path, write: impl FnOnce(&Path) -> Result<(), StoreError>) -> Result<(), StoreError> {
    if let (Ok(from), Ok(there)) = (from.canonicalize(), to.canonicalize())
        && from == there
    {
        return Err(StoreError::Onto(there));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let failed = |error: std::io::Error| StoreError::Copy { to: to.to_owned(), error };
    match fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let written = write(&part).and_then(|()| fs::rename(&part, to).map_err(failed));
    if written.is_err() {
        // Half a copy is of no use to anybody.
        let _ = fs::remove_file(&part);
    }
    written
}

fn copy_pages(from: &Connection, to: &Path, places: &[&str], (owner, key): (u16, &str)) -> Result<(), StoreError> {
    let mut copy = pages(from, to)?;
    let transaction = copy.transaction()?;
    let below = format!("{key}/");
    transaction.execute(
        "INSERT OR REPLACE INTO state SELECT ?1, value FROM state JOIN partitions ON key = ?2 || snapshot_offset
            WHERE partition = ?3",
        params![key, below, owner],
    )?;
    // What a checkpoint had begun to write is counted nowhere yet.
    transaction.execute_batch(
        "DELETE FROM reading_chunks WHERE (sensor, start_time) IN (SELECT sensor, start_time FROM staged);
         DELETE FROM staged;
         DELETE FROM partitions;
         DELETE FROM skipped;
         -- Named after their place in the log, where the next log has others.
         UPDATE dead_letters SET id = lower(hex(randomblob(16)));",
    )?;
    // Its log is another, so that it is another store.
    transaction.execute("UPDATE state SET value = randomblob(16) WHERE key = ?1", params![IDENTITY])?;
    for place in places.iter().copied().chain([below.as_str()]) {
        transaction.execute("DELETE FROM state WHERE substr(key, 1, length(?1)) = ?1", params![place])?;
    }
    transaction.commit()?;
    Ok(())
}

/// The file as it is now, and a connection to it.
fn pages(from: &Connection, to: &Path) -> Result<Connection, StoreError> {
    make_private(to)?;
    let mut copy = Connection::open(to)?;
    // What is written meanwhile would make the copying begin anew each time.
    from.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
    let copied =
        Backup::new(from, &mut copy).and_then(|backup| backup.run_to_completion(PAGES, Duration::from_millis(5), None));
    let ended = from.execute_batch("ROLLBACK");
    copied?;
    ended?;
    // One file, without a write-ahead log beside it.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{Applied, Checkpoint, Commit, DeadLetter, SensorColumn, SkippedRow};

    fn letter() -> DeadLetter {
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
        readings: &'a [SensorColumn],
        dead_letters: &'a [DeadLetter],
        skipped: &'a [SkippedRow],
    ) -> Commit<'a> {
        Commit {
            partition: 0,
            applied: Some(Applied { offset: 900, topic_ends: "{}" }),
            checkpoint: Some(Checkpoint { snapshot_offset: 900, snapshot: "{}".into() }),
            readings,
            dead_letters,
            skipped,
            ..Commit::default()
        }
    }

    #[test]
    fn a_copy_has_all_rows_and_no_place_in_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("store.db"), folder.path().join("copy.db"));
        let store = Store::open(&here).unwrap();
        let readings = [SensorColumn { sensor: 0, times: vec![1, 2], values: vec![3.0, 4.0] }];
        store.commit(&commit(&readings, &[letter()], &[SkippedRow { start: 5, stop: 10, asset: None }])).unwrap();
        store.state_put("courier/ops", b"7").unwrap();
        store.state_put("ingest/0", b"aliases").unwrap();
        for offset in [899, 900, 901] {
            store.state_put(&format!("planner/{offset}"), offset.to_string().as_bytes()).unwrap();
        }
        fs::write(&there, "what lay there").unwrap();
        store.backup(&there, &["courier/"], (0, "planner")).unwrap();
        assert!(!folder.path().join("copy.db.part").exists());

        let copy = Store::open(&there).unwrap();
        assert_eq!(copy.readings(0, 0, 9).unwrap(), (vec![1, 2], vec![3.0, 4.0]));
        assert!(copy.checkpoints().unwrap().is_empty() && copy.skipped(0).unwrap().is_empty());
        assert_eq!(copy.state_get("courier/ops").unwrap(), None);
        assert_eq!(copy.state_get("ingest/0").unwrap().as_deref(), Some(b"aliases".as_slice()));
        assert_eq!(copy.state_get("planner").unwrap().as_deref(), Some(b"900".as_slice()));
        assert_eq!(copy.state_get("planner/900").unwrap(), None);
        // Another letter from the same place in another log is another letter.
        copy.commit(&commit(&[], &[letter()], &[])).unwrap();
        assert_eq!((copy.counts().unwrap().dead_letters, copy.counts().unwrap().rejected_readings), (2, 2));
        assert!(copy.identity() != store.identity() && copy.identity().len() == 32);
        use std::os::unix::fs::PermissionsExt as _;
        for file in ["store.db", "store.db-wal", "store.db-shm", "copy.db"] {
            let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        // The store itself goes on where it was.
        assert_eq!(store.checkpoints().unwrap().len(), 1);
    }

    #[test]
    fn a_store_is_not_copied_onto_itself() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join("store.db");
        let store = Store::open(&here).unwrap();
        assert!(matches!(store.backup(&here, &[], (0, "planner")), Err(StoreError::Onto(_))));
        assert!(matches!(
            store.backup(&folder.path().join("none/copy.db"), &[], (0, "planner")),
            Err(StoreError::Copy { .. })
        ));
        assert!(store.checkpoints().is_ok());
    }
}
