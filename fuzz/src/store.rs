//! The store after a power cut: the write-ahead log beside its file, and the compressed columns in it.

use std::{fs, path::Path, sync::OnceLock};

use wheeltapper_store::{
    AppliedOffset, Commit, DeadLetter, Filter, Store, StoreError, decode_f64, decode_i64, encode_f64, encode_i64,
};

use crate::{bounds, byte, folder};

/// So many commits lie in the write-ahead log.
const COMMITS: usize = 6;

/// A store's file, and the write-ahead log of [`COMMITS`] commits beside it, none of which is in the file yet.
struct Template {
    file: Vec<u8>,
    wal: Vec<u8>,
}

fn template() -> &'static Template {
    static MADE: OnceLock<Template> = OnceLock::new();
    MADE.get_or_init(|| {
        let place = folder();
        let path = place.path().join("wheeltapper.db");
        // The last one to close the file copies the log into it.
        drop(open(&path));
        let file = read(&path);
        let store = open(&path);
        for number in 0..COMMITS {
            if let Err(error) = commit(&store, number) {
                panic!("commit {number}: {error}");
            }
        }
        let wal = read(&wal_of(&path));
        Template { file, wal }
    })
}

/// Puts a log beside the file: the first byte chooses between bytes that are the log, and places in a sound log where a
/// byte is changed or the log is cut.
///
/// # Panics
/// When the store holds anything but the first commits, each whole, or takes no commit any more.
pub fn wal(mut bytes: &[u8]) {
    let template = template();
    let wal = if byte(&mut bytes) & 1 == 0 {
        bytes.to_vec()
    } else {
        let mut wal = template.wal.clone();
        while let [what, high, middle, low, rest @ ..] = bytes {
            bytes = rest;
            let at = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            match what & 1 {
                0 => wal.truncate(at),
                _ => {
                    let length = wal.len().max(1);
                    if let Some(byte) = wal.get_mut(at % length) {
                        *byte ^= what | 1;
                    }
                }
            }
        }
        wal
    };
    let place = folder();
    let path = place.path().join("wheeltapper.db");
    for (path, bytes) in [(&path, &template.file), (&wal_of(&path), &wal)] {
        if let Err(error) = fs::write(path, bytes) {
            panic!("the store cannot be written: {error}");
        }
    }
    let held = |store: &Store| match letters(store) {
        Ok(held) => held,
        Err(error) => panic!("the store was opened and cannot be read: {error}"),
    };
    let store = bounds::measured(wal.len(), || open(&path));
    let found = held(&store);
    // A commit is whole or not there, and none is there without those before.
    assert_eq!(found, (0..found.len()).map(id).collect::<Vec<_>>(), "the store holds what was never committed so");
    if wal == template.wal {
        assert_eq!(found.len(), COMMITS, "a sound log lost commits");
    }
    let next = found.len();
    if let Err(error) = commit(&store, next) {
        panic!("nothing can be committed after the recovery: {error}");
    }
    drop(store);
    assert_eq!(held(&open(&path)).len(), next + 1, "what was committed after the recovery is lost");
}

/// A column as it lies in a row; the first byte says of which kind of number.
///
/// # Panics
/// When what was decoded is encoded as something else.
pub fn columns(mut bytes: &[u8]) {
    if byte(&mut bytes) & 1 == 0 {
        let Ok(numbers) = bounds::measured(room(bytes), || decode_i64(bytes)) else { return };
        assert_eq!(decode_i64(&encode_i64(&numbers)).ok(), Some(numbers));
    } else {
        let Ok(numbers) = bounds::measured(room(bytes), || decode_f64(bytes)) else { return };
        let bits = |numbers: Vec<f64>| numbers.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(decode_f64(&encode_f64(&numbers)).ok().map(bits), Some(bits(numbers)));
    }
}

/// A column in which one number stands many times takes few bytes, so that its length does not bound its memory: that is
/// bounded by the numbers that a column may hold, 4 Mi of 8 bytes.
fn room(bytes: &[u8]) -> usize {
    bytes.len() + (1 << 18)
}

fn commit(store: &Store, number: usize) -> Result<(), StoreError> {
    let letter = DeadLetter {
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
    store.commit(&Commit { partition: 1, applied, dead_letters: &[letter], ..Commit::default() })
}

fn id(number: usize) -> String {
    format!("{number:04}")
}

/// The ids of all letters, checked against how far the partition says that it is.
fn letters(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut ids: Vec<String> = store.dead_letters(&Filter::default())?.into_iter().map(|letter| letter.id).collect();
    ids.sort();
    let applied =
        store.checkpoints()?.into_iter().find(|state| state.partition == 1).map_or(0, |state| state.applied_offset);
    assert_eq!(ids.len() as u64, applied, "letters and offset are of two commits");
    Ok(ids)
}

fn open(path: &Path) -> Store {
    // As a host does that starts.
    let opened = Store::open(path).and_then(|store| store.discard_all_staged().map(|_| store));
    match opened {
        Ok(store) => store,
        Err(error) => panic!("the store cannot be opened: {error}"),
    }
}

fn read(path: &Path) -> Vec<u8> {
    match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn wal_of(path: &Path) -> std::path::PathBuf {
    path.with_extension("db-wal")
}
