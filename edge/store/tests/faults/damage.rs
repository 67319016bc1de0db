//! Damage is detected, and no content of the disk makes the store panic.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, time::Duration};

use wheeltapper_store::{Store, StoreErrorKind, StoreOptions, fuzz};

use super::{checkpoint, columns};

fn filled(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let path = folder.path().join("s.db");
    let store = Store::open(&path).unwrap();
    for part in 0..10 {
        store.commit(&checkpoint(0, &columns(0..100, part * 100, 100), part as u64 + 1)).unwrap();
    }
    store.check_integrity(true).unwrap();
    store.check_integrity(false).unwrap();
    drop(store);
    // The content of a free page does not matter, so none is left.
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA incremental_vacuum").unwrap();
    path
}

#[test]
fn a_damaged_page_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(&folder);
    let sound = fs::read(&path).unwrap();
    assert!(sound.len() > 40 * 4096);
    let mut unnoticed = Vec::new();
    // Page 1 is SQLite's pointer map, which only moving pages needs; its damage is not always noticed.
    for page in 2..40 {
        let mut bytes = sound.clone();
        // The header of a page.
        bytes[page * 4096..page * 4096 + 64].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        let found = match Store::open(&path) {
            Ok(store) => store.check_integrity(true),
            Err(error) => Err(error),
        };
        match found {
            Ok(()) => unnoticed.push(page),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
                assert!(error.to_string().contains("backup"), "{error}");
            }
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?}: each page belongs to a tree or a list");
}

#[test]
fn a_flipped_bit_in_a_chunk_is_noticed_by_the_thorough_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(&folder);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("UPDATE reading_chunks SET times = substr(times, 1, length(times) - 9) WHERE sensor = 50")
        .unwrap();
    let store = Store::open(&path).unwrap();
    store.check_integrity(true).unwrap();
    let error = store.check_integrity(false).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("sensor 50"), "{error}");
    // New readings of the sensor are accepted, also at the start time of a damaged chunk, and small chunks are merged.
    store.commit(&checkpoint(0, &columns(50..51, 0, 3), 20)).unwrap();
    for part in 0..20 {
        store.commit(&checkpoint(0, &columns(50..51, 5_000 + part * 10, 3), 21 + part as u64)).unwrap();
    }
    assert!(store.merge_small_chunks().unwrap() > 0);
    assert_eq!(store.readings(50, 4_000 * super::SECOND, i64::MAX).unwrap().0.len(), 60);
}

#[test]
fn a_check_ends_on_request_or_at_its_time_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(&folder);
    let options = StoreOptions { quick_check_timeout: Duration::ZERO, ..StoreOptions::default() };
    let store = Store::open_with(&path, options).unwrap();
    assert!(!store.check_integrity_until(true, || false).unwrap().is_complete);
    assert!(!store.check_integrity_until(false, || true).unwrap().is_complete);
    assert!(store.check_integrity_until(false, || false).unwrap().is_complete);
}

#[test]
fn only_the_owner_can_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    // The permissions that an earlier version set.
    drop(Store::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let store = Store::open(&path).unwrap();
    store.state_put("key", b"value").unwrap();
    for ending in ["", "-wal", "-shm"] {
        let mode = fs::metadata(folder.path().join(format!("s.db{ending}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "s.db{ending}");
    }
}

#[test]
fn the_identity_stays_over_restarts_and_is_new_with_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let first = Store::open(&path).unwrap().identity().to_owned();
    assert_eq!(first.len(), 32);
    assert_eq!(Store::open(&path).unwrap().identity(), first);
    assert_eq!(Store::open_read_only(&path).unwrap().identity(), first);
    fs::remove_file(&path).unwrap();
    assert_ne!(Store::open(&path).unwrap().identity(), first);
}

#[test]
fn any_write_ahead_log_results_in_an_error_or_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let (file, wal) = fuzz::seed_files(folder.path()).unwrap();
    fuzz::open_with_wal(folder.path(), &file, &wal).unwrap();
    fuzz::open_with_wal(folder.path(), &[], &[]).unwrap();
    let mut random = 7_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut outcomes = [0, 0];
    for _ in 0..150 {
        let (mut file, mut wal) = (file.clone(), wal.clone());
        for _ in 0..=next(4) {
            let at = next(wal.len());
            match next(4) {
                0 => wal[at] ^= 1 << next(8),
                1 => wal.truncate(at.max(1)),
                2 => wal[at..].fill(next(256) as u8),
                _ if file.is_empty() => {}
                _ => {
                    let at = next(file.len());
                    file[at] ^= 1 << next(8);
                }
            }
        }
        let outcome = fuzz::open_with_wal(folder.path(), &file, &wal);
        outcomes[usize::from(outcome.is_err())] += 1;
    }
    // A log is valid up to its first wrong checksum, so most of them are taken for shorter ones.
    assert!(outcomes[0] > 0, "{outcomes:?}");
    let mut random_bytes = Vec::new();
    for _ in 0..5_000 {
        random_bytes.write_all(&[next(256) as u8]).unwrap();
    }
    let _ = fuzz::open_with_wal(folder.path(), &random_bytes, &random_bytes);
}
