//! The write-ahead log stays bounded with readers that are slow, overlap, or never end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use wheeltapper_store::{Store, StoreError, StoreOptions};

use super::{checkpoint, columns};

const LIMIT: u64 = 1 << 20;

fn open(folder: &tempfile::TempDir) -> Store {
    let options = StoreOptions { max_wal_bytes: LIMIT, ..StoreOptions::default() };
    Store::open_with(&folder.path().join("s.db"), options).unwrap()
}

#[test]
fn the_wal_stays_bounded_with_overlapping_readers_and_shrinks_at_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.state_put("key", b"value").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..2)
        .map(|which| {
            // With a plain SQLite connection, as another program reads: the store cannot interrupt it.
            let raw = rusqlite::Connection::open(folder.path().join("s.db")).unwrap();
            let (stop, reads) = (Arc::clone(&stop), Arc::clone(&reads));
            thread::spawn(move || {
                // The reads overlap: one starts in the middle of the other.
                thread::sleep(Duration::from_millis(100 * which));
                while !stop.load(Ordering::Relaxed) {
                    raw.execute_batch("BEGIN; SELECT count(*) FROM state;").unwrap();
                    thread::sleep(Duration::from_millis(200));
                    raw.execute_batch("ROLLBACK").unwrap();
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let (mut largest, mut written, mut slowest) = (0, 0, Duration::ZERO);
    let payload = vec![7; 64 << 10];
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        let write = Instant::now();
        store.state_put(&format!("key/{}", written % 64), &payload).unwrap();
        slowest = slowest.max(write.elapsed());
        written += 1;
        largest = largest.max(store.sizes().unwrap().wal_bytes);
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    let all = written * payload.len() as u64;
    println!(
        "{all} bytes written, {} reads, log at most {largest}, slowest write {slowest:?}",
        reads.load(Ordering::Relaxed)
    );
    assert!(all > 10 * LIMIT && reads.load(Ordering::Relaxed) > 20, "{all} bytes are too little load");
    assert!(largest <= 5 * LIMIT, "the log grew to {largest} bytes");
    let folded = store.checkpoint_wal().unwrap();
    assert!(!folded.busy && folded.after <= LIMIT, "{folded:?}");
    for at in 0..40 {
        store.state_put(&format!("key/{at}"), &payload).unwrap();
    }
    assert!(store.sizes().unwrap().wal_bytes > LIMIT);
    // The state after a host was killed: the log is not copied at the end.
    std::mem::forget(store);
    let store = open(&folder);
    assert!(store.sizes().unwrap().wal_bytes <= LIMIT, "a restart shrinks it");
}

#[test]
fn an_endless_read_is_interrupted() {
    const ENDLESS: &str =
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n, state";
    let folder = tempfile::tempdir().unwrap();
    // By the time limit of the read.
    let options = StoreOptions { read_timeout: Some(Duration::from_millis(100)), ..StoreOptions::default() };
    let store = Store::open_with(&folder.path().join("t.db"), options).unwrap();
    let error = store.query_rows(ENDLESS, Vec::new()).unwrap_err();
    assert!(matches!(error, StoreError::ReadTimeout(_)) && error.is_transient(), "{error}");
    assert_eq!(store.query_rows("SELECT 1", Vec::new()).unwrap().len(), 1, "the connection is usable");
    // By a writer, when the log grows meanwhile.
    let store = open(&folder);
    store.state_put("key", b"value").unwrap();
    let reader = store.clone();
    let reading = thread::spawn(move || reader.query_rows(ENDLESS, Vec::new()));
    let payload = vec![7; 64 << 10];
    let began = Instant::now();
    let mut largest = 0;
    while !reading.is_finished() {
        assert!(began.elapsed() < Duration::from_secs(20), "the read is not interrupted");
        store.state_put("key", &payload).unwrap();
        largest = largest.max(store.sizes().unwrap().wal_bytes);
    }
    assert!(matches!(reading.join().unwrap(), Err(StoreError::ReadTimeout(_))));
    store.state_put("key", &payload).unwrap();
    assert!(largest <= 5 * LIMIT, "the log grew to {largest} bytes");
}

#[test]
fn a_commit_does_not_wait_while_the_wal_is_small() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let folded = store.checkpoint_wal().unwrap();
    assert_eq!((folded.busy, folded.frames), (false, 0));
    store.commit(&checkpoint(0, &columns(0..3, 0, 4), 1)).unwrap();
    let sizes = store.sizes().unwrap();
    assert!(sizes.wal_bytes > 0 && sizes.page_bytes == 4096 && sizes.pages > 10, "{sizes:?}");
}

#[test]
fn an_endless_read_of_another_program_does_not_block_commits() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.state_put("key", b"value").unwrap();
    let raw = rusqlite::Connection::open(folder.path().join("s.db")).unwrap();
    raw.execute_batch("BEGIN; SELECT count(*) FROM state;").unwrap();
    let payload = vec![7; 64 << 10];
    let began = Instant::now();
    for _ in 0..150 {
        store.state_put("key", &payload).unwrap();
    }
    assert!(store.sizes().unwrap().wal_bytes > 5 * LIMIT, "the store cannot prevent this");
    // If each commit waited for the reader, this would take minutes.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    raw.execute_batch("ROLLBACK").unwrap();
    let folded = store.checkpoint_wal().unwrap();
    assert!(!folded.busy && folded.after == 0, "{folded:?}");
}
