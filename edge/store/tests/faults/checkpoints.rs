//! A checkpoint of many sensors, with other operations between its transactions.

use wheeltapper_store::{Store, StoreError};

use super::{SECOND, checkpoint, columns, findings, visible_readings};

const SENSORS: u32 = 1_300;

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    (folder, path)
}

#[test]
fn a_findings_commit_between_the_steps_and_a_crash_store_nothing_twice() {
    // A crash after each number of steps, with commits of findings of the same and of another partition in between.
    for crash_after in 0..=3 {
        let (_folder, path) = folder();
        let store = Store::open(&path).unwrap();
        let readings = columns(0..SENSORS, 0, 4);
        let commit = checkpoint(0, &readings, 100);
        let mut writer = store.begin_checkpoint(&commit).unwrap();
        for _ in 0..crash_after {
            writer.step().unwrap();
            store.commit(&findings(0, 50)).unwrap();
            store.commit(&findings(1, 50)).unwrap();
        }
        assert_eq!(visible_readings(&store, 0..SENSORS), 0, "staged chunks are not visible");
        drop(writer);
        drop(store);
        let store = Store::open(&path).unwrap();
        store.discard_all_staged().unwrap();
        assert_eq!(store.sizes().unwrap().staged_chunks, 0);
        // The replay contains the same readings, divided differently into checkpoints.
        store.commit(&checkpoint(0, &columns(0..SENSORS, 0, 3), 80)).unwrap();
        store.commit(&checkpoint(0, &columns(0..SENSORS, 3, 1), 100)).unwrap();
        assert_eq!(visible_readings(&store, 0..SENSORS), 4 * SENSORS as usize, "after {crash_after} steps");
        assert_eq!(store.counts().unwrap().readings, 4 * u64::from(SENSORS));
        let (times, _) = store.readings(SENSORS - 1, i64::MIN, i64::MAX).unwrap();
        assert_eq!(times, (0..4).map(|second| second * SECOND).collect::<Vec<_>>());
    }
}

#[test]
fn an_abandoned_attempt_is_discarded_by_the_next_without_a_restart() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let (readings, other) = (columns(0..SENSORS, 0, 4), columns(SENSORS..SENSORS + 600, 0, 4));
    let (commit, beside) = (checkpoint(0, &readings, 100), checkpoint(1, &other, 7));
    let mut first = store.begin_checkpoint(&commit).unwrap();
    let mut neighbour = store.begin_checkpoint(&beside).unwrap();
    assert!(first.step().unwrap() && neighbour.step().unwrap() && first.step().unwrap());
    // The same partition tries again; the other partition's checkpoint is not affected.
    store.commit(&commit).unwrap();
    neighbour.finish().unwrap();
    assert_eq!(visible_readings(&store, 0..SENSORS + 600), 4 * (SENSORS as usize + 600));
    // The abandoned attempt cannot be finished any more, and its staged chunks are not visible.
    assert!(matches!(first.finish(), Err(StoreError::Superseded(0))));
    assert_eq!(visible_readings(&store, 0..SENSORS), 4 * SENSORS as usize);
    store.discard_staged(0).unwrap();
    assert_eq!(store.sizes().unwrap().staged_chunks, 0);
    assert_eq!(visible_readings(&store, 0..SENSORS + 600), 4 * (SENSORS as usize + 600));
    assert_eq!(store.counts().unwrap().readings, 4 * (u64::from(SENSORS) + 600));
}

#[test]
fn finishing_a_checkpoint_twice_stores_it_once() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let readings = columns(0..3, 0, 4);
    let commit = checkpoint(0, &readings, 1);
    let mut writer = store.begin_checkpoint(&commit).unwrap();
    writer.finish().unwrap();
    writer.finish().unwrap();
    assert!(!writer.step().unwrap());
    assert_eq!((visible_readings(&store, 0..3), store.counts().unwrap().readings), (12, 12));
}

#[test]
fn a_chunk_whose_partner_was_merged_or_expired_meanwhile_is_kept() {
    for meanwhile in [(|store: &Store| assert!(store.merge_small_chunks().unwrap() > 0)) as fn(&Store), |store| {
        assert!(store.expire_raw_data(1_000 * SECOND).unwrap() > 0)
    }] {
        let (_folder, path) = folder();
        let store = Store::open(&path).unwrap();
        for part in (0..20).rev() {
            store.commit(&checkpoint(0, &columns(0..1, part * 30, 10), part as u64)).unwrap();
        }
        // It starts at the same time as the tenth chunk, which is gone when the checkpoint is finished.
        let mut late = columns(0..1, 300, 2);
        late[0].values = vec![0.25, 0.75];
        let commit = checkpoint(0, &late, 30);
        let mut writer = store.begin_checkpoint(&commit).unwrap();
        assert!(!writer.step().unwrap());
        meanwhile(&store);
        let before = visible_readings(&store, 0..1);
        writer.finish().unwrap();
        assert_eq!(visible_readings(&store, 0..1), before + 2);
    }
}

#[test]
fn a_chunk_that_conflicts_with_a_staged_one_of_another_partition_survives_its_discard() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let readings = columns(0..1, 0, 4);
    let (theirs, ours) = (checkpoint(1, &readings, 1), checkpoint(0, &readings, 1));
    let mut writer = store.begin_checkpoint(&theirs).unwrap();
    writer.step().unwrap();
    store.commit(&ours).unwrap();
    store.discard_staged(1).unwrap();
    assert_eq!(store.readings(0, i64::MIN, i64::MAX).unwrap().0, (0..4).map(|at| at * SECOND).collect::<Vec<_>>());
}

#[test]
fn staged_chunks_are_neither_merged_nor_expired() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    for part in 0..20 {
        store.commit(&checkpoint(0, &columns(0..1, part * 30, 10), part as u64)).unwrap();
    }
    let readings = columns(0..1, 5_000, 10);
    let commit = checkpoint(0, &readings, 30);
    let mut writer = store.begin_checkpoint(&commit).unwrap();
    writer.step().unwrap();
    assert_eq!(store.merge_small_chunks().unwrap(), 1);
    assert_eq!(store.expire_raw_data(i64::MAX).unwrap(), 1);
    writer.finish().unwrap();
    assert_eq!(visible_readings(&store, 0..1), 10);
}
