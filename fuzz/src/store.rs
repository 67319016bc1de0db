//! The store after a power cut: the write-ahead log next to its file, and the compressed columns in it.

use std::{fs, path::Path, sync::OnceLock};

use wheeltapper_store::{
    AppliedOffset, Commit, DeadLetter, Filter, Store, StoreError, decode_f64, decode_i64, encode_f64, encode_i64,
};

use crate::{bounds, byte, temp_folder};

/// The number of commits in the template's write-ahead log.
const COMMITS: usize = 6;

/// A store's file, and its write-ahead log with [`COMMITS`] commits, none of which is in the file yet.
struct Template {
    file: Vec<u8>,
    wal: Vec<u8>,
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let folder = temp_folder();
        let path = folder.path().join("wheeltapper.db");
        // The last connection that is closed copies the log into the file.
        drop(open(&path));
        let file = read_file(&path);
        let store = open(&path);
        for number in 0..COMMITS {
            if let Err(error) = commit(&store, number) {
                panic!("commit {number}: {error}");
            }
        }
        let wal = read_file(&wal_path(&path));
        Template { file, wal }
    })
}

/// Opens a store with a write-ahead log. The first byte selects whether the input is the log, or lists positions at
/// which an undamaged log is changed or truncated.
///
/// # Panics
/// If the store contains anything but the first commits, each of them complete, or accepts no further commit.
pub fn wal(mut bytes: &[u8]) {
    let template = template();
    let wal = if byte(&mut bytes) & 1 == 0 {
        bytes.to_vec()
    } else {
        let mut wal = template.wal.clone();
        while let [kind, high, middle, low, rest @ ..] = bytes {
            bytes = rest;
            let at = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            match kind & 1 {
                0 => wal.truncate(at),
                _ => {
                    let length = wal.len().max(1);
                    if let Some(byte) = wal.get_mut(at % length) {
                        *byte ^= kind | 1;
                    }
                }
            }
        }
        wal
    };
    let folder = temp_folder();
    let path = folder.path().join("wheeltapper.db");
    for (path, bytes) in [(&path, &template.file), (&wal_path(&path), &wal)] {
        if let Err(error) = fs::write(path, bytes) {
            panic!("the store cannot be written: {error}");
        }
    }
    let read_ids = |store: &Store| match dead_letter_ids(store) {
        Ok(ids) => ids,
        Err(error) => panic!("the opened store cannot be read: {error}"),
    };
    let store = bounds::measured(wal.len(), || open(&path));
    let ids = read_ids(&store);
    // Each commit is complete or missing, and none exists without the earlier ones.
    assert_eq!(ids, (0..ids.len()).map(id).collect::<Vec<_>>(), "the store does not contain the first commits");
    if wal == template.wal {
        assert_eq!(ids.len(), COMMITS, "commits of an undamaged log are lost");
    }
    let next = ids.len();
    if let Err(error) = commit(&store, next) {
        panic!("nothing can be committed after the recovery: {error}");
    }
    drop(store);
    assert_eq!(read_ids(&open(&path)).len(), next + 1, "the commit after the recovery is lost");
}

/// Decodes a column's bytes. The first byte selects the type of the numbers.
///
/// # Panics
/// If encoding and decoding the numbers changes them.
pub fn columns(mut bytes: &[u8]) {
    if byte(&mut bytes) & 1 == 0 {
        let Ok(numbers) = bounds::measured(length_for_limits(bytes), || decode_i64(bytes)) else { return };
        assert_eq!(decode_i64(&encode_i64(&numbers)).ok(), Some(numbers));
    } else {
        let Ok(numbers) = bounds::measured(length_for_limits(bytes), || decode_f64(bytes)) else { return };
        let bits = |numbers: Vec<f64>| numbers.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(decode_f64(&encode_f64(&numbers)).ok().map(bits), Some(bits(numbers)));
    }
}

/// Returns the length from which the limits are computed. Repeated numbers are compressed to few bytes, so the memory
/// is bounded not by the column's length but by its maximum of 4 Mi numbers of 8 bytes, and by two windows of 16 Mi numbers
/// that pco allocates for references back.
fn length_for_limits(bytes: &[u8]) -> usize {
    bytes.len() + (5 << 18)
}

fn commit(store: &Store, number: usize) -> Result<(), StoreError> {
    let dead_letter = DeadLetter {
        id: id(number),
        time: 1,
        source: "fuzz".into(),
        reason: "malformed".into(),
        message: "of some length, so that a commit takes more than one page".repeat(40 * number),
        payload: Vec::new(),
        readings: 1,
        sensor: None,
        format: None,
    };
    let offset = number as u64 + 1;
    let applied = Some(AppliedOffset { offset, topic_ends: "{}" });
    store.commit(&Commit { partition: 1, applied, dead_letters: &[dead_letter], ..Commit::default() })
}

fn id(number: usize) -> String {
    format!("{number:04}")
}

/// Returns the ids of all dead letters, and asserts that their number is the partition's applied offset.
fn dead_letter_ids(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut ids: Vec<String> =
        store.dead_letters(&Filter::default())?.into_iter().map(|dead_letter| dead_letter.id).collect();
    ids.sort();
    let applied =
        store.checkpoints()?.into_iter().find(|state| state.partition == 1).map_or(0, |state| state.applied_offset);
    assert_eq!(ids.len() as u64, applied, "the dead letters and the offset belong to different commits");
    Ok(ids)
}

fn open(path: &Path) -> Store {
    // The same calls as at the start of a host.
    let result = Store::open(path).and_then(|store| store.discard_all_staged().map(|_| store));
    match result {
        Ok(store) => store,
        Err(error) => panic!("the store cannot be opened: {error}"),
    }
}

fn read_file(path: &Path) -> Vec<u8> {
    match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn wal_path(path: &Path) -> std::path::PathBuf {
    path.with_extension("db-wal")
}
