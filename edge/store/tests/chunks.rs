//! Chunks of readings: written completely or discarded, and merged when there are many small ones.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wheeltapper_store::{
    AppliedOffset, Checkpoint, Commit, Filter, SensorReadings, Store, WaveformRow, WindowBlock, WindowRow,
};

const HOUR: i64 = 3_600_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn columns(sensors: u32, from: i64, count: i64) -> Vec<SensorReadings> {
    (0..sensors)
        .map(|sensor| SensorReadings {
            sensor,
            times: (from..from + count).map(|second| second * SECOND).collect(),
            values: (from..from + count).map(|second| second as f64 + f64::from(sensor)).collect(),
        })
        .collect()
}

fn checkpoint<'a>(readings: &'a [SensorReadings], offset: u64) -> Commit<'a> {
    Commit {
        partition: 0,
        applied: Some(AppliedOffset { offset, topic_ends: "{}" }),
        checkpoint: Some(Checkpoint { snapshot_offset: offset, snapshot: "{}".to_owned() }),
        readings,
        ..Commit::default()
    }
}

#[test]
fn chunks_staged_by_a_crashed_host_are_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = Store::open(&path).unwrap();
    store.commit(&checkpoint(&columns(600, 0, 10), 1)).unwrap();
    // The state after a host crashed between the first chunks and the commit.
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(
        "INSERT INTO reading_chunks SELECT sensor, start_time + 10000000000, end_time + 10000000000, count, times, vals FROM reading_chunks WHERE sensor < 512;
         INSERT INTO staged SELECT sensor, start_time, 0, 2, 1 FROM reading_chunks WHERE start_time = 10000000000;",
    )
    .unwrap();
    assert_eq!(store.merge_small_chunks().unwrap(), 0, "staged chunks are not merged");
    drop(store);
    let store = Store::open(&path).unwrap();
    store.discard_all_staged().unwrap();
    assert_eq!(store.counts().unwrap().readings, 6000);
    let (times, _) = store.readings(3, i64::MIN, i64::MAX).unwrap();
    assert_eq!(times.len(), 10);
    store.commit(&checkpoint(&columns(600, 10, 10), 2)).unwrap();
    let (times, values) = store.readings(3, i64::MIN, i64::MAX).unwrap();
    assert_eq!(times, (0..20).map(|second| second * SECOND).collect::<Vec<_>>());
    assert_eq!(values.last(), Some(&22.0));
    let left: i64 = raw.query_row("SELECT count(*) FROM staged", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn small_chunks_are_merged_without_changing_readings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = Store::open(&path).unwrap();
    for part in 0..20 {
        store.commit(&checkpoint(&columns(3, part * 30, 30), part as u64)).unwrap();
    }
    let before = store.readings(2, i64::MIN, i64::MAX).unwrap();
    let hours = store.hourly_aggregates(2, i64::MIN, i64::MAX).unwrap();
    assert_eq!(store.merge_small_chunks().unwrap(), 3);
    assert_eq!(store.merge_small_chunks().unwrap(), 0);
    assert_eq!(store.readings(2, i64::MIN, i64::MAX).unwrap(), before);
    assert_eq!(store.hourly_aggregates(2, i64::MIN, i64::MAX).unwrap(), hours);
    assert_eq!(store.readings(2, 100 * SECOND, 110 * SECOND).unwrap().0.len(), 10);
    let raw = rusqlite::Connection::open(&path).unwrap();
    let chunks: i64 = raw.query_row("SELECT count(*) FROM reading_chunks", [], |row| row.get(0)).unwrap();
    assert_eq!(chunks, 3);
}

#[test]
fn a_late_reading_is_merged_into_the_chunk_with_its_start_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("s.db")).unwrap();
    store.commit(&checkpoint(&columns(1, 5, 1), 1)).unwrap();
    let late = [SensorReadings { sensor: 0, times: vec![5 * SECOND + 1, 5 * SECOND], values: vec![7.0, 6.0] }];
    store.commit(&checkpoint(&late, 2)).unwrap();
    assert_eq!(store.readings(0, i64::MIN, i64::MAX).unwrap().0.len(), 3);
    assert_eq!(store.hourly_aggregates(0, 0, HOUR).unwrap().first().unwrap().count, 3);
}

#[test]
fn repeated_readings_are_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("s.db")).unwrap();
    for part in 0..20 {
        store.commit(&checkpoint(&columns(3, part * 100, 100), part as u64)).unwrap();
    }
    let before = store.readings(1, i64::MIN, i64::MAX).unwrap();
    store.merge_small_chunks().unwrap();
    // All of them again, out of order, with one that is new and one that contradicts a stored reading.
    let mut again = columns(3, 0, 2000);
    for column in &mut again {
        column.times.reverse();
        column.values.reverse();
        column.times.extend([5 * SECOND + 1, 7 * SECOND, 5 * SECOND + 1]);
        column.values.extend([0.5, -1.0, 0.5]);
    }
    store.commit(&checkpoint(&again, 21)).unwrap();
    store.commit(&checkpoint(&again, 22)).unwrap();
    let (times, values) = store.readings(1, i64::MIN, i64::MAX).unwrap();
    assert_eq!(times.len(), before.0.len() + 2);
    assert!(before.0.iter().zip(&before.1).all(|stored| times.iter().zip(&values).any(|found| found == stored)));
    assert_eq!(store.counts().unwrap().readings, 3 * 2002);
    assert_eq!(store.hourly_aggregates(1, 0, HOUR).unwrap().iter().map(|hour| hour.count).sum::<u64>(), 2002);
}

#[test]
fn a_waveform_that_comes_again_is_stored_once_and_a_conflicting_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("s.db")).unwrap();
    let waveform = |value| [WaveformRow { sensor: 0, start: 5 * SECOND, rate: 100.0, samples: vec![value; 8] }];
    let (first, other) = (waveform(1.0), waveform(2.0));
    for (offset, waveforms, duplicates) in [(1, &first, 0), (2, &other, 0), (3, &first, 8), (4, &other, 8)] {
        let commit = Commit { waveforms, ..checkpoint(&[], offset) };
        let mut writer = store.begin_checkpoint(&commit).unwrap();
        writer.finish().unwrap();
        assert_eq!(writer.duplicates(), duplicates, "{offset}");
    }
    assert_eq!(store.counts().unwrap().waveform_samples, 16);
    let raw = rusqlite::Connection::open(folder.path().join("s.db")).unwrap();
    let starts: i64 = raw.query_row("SELECT sum(start_time) FROM waveform_chunks", [], |row| row.get(0)).unwrap();
    assert_eq!(starts, 10 * SECOND + 1);
}

#[test]
fn windows_of_two_checkpoints_that_start_together_are_both_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("s.db")).unwrap();
    let row = |sensor, start| WindowRow { sensor, start, end: start + 30, count: 3 };
    let block = |rows: Vec<WindowRow>, values: Vec<f64>| {
        [WindowBlock { asset: "pump".into(), features: vec!["mean".into(), "rms".into()], rows, values }]
    };
    // One sensor's window closes, then the same window of the asset's other sensor, together with one that is already
    // stored.
    let first = block(vec![row(0, 10), row(0, 20)], vec![1.0, 2.0, 3.0, 4.0]);
    let second = block(vec![row(1, 10), row(0, 10)], vec![5.0, 6.0, 7.0, 8.0]);
    store.commit(&Commit { windows: &first, ..checkpoint(&[], 1) }).unwrap();
    store.commit(&Commit { windows: &second, ..checkpoint(&[], 2) }).unwrap();
    let found = store.windows(&Filter::default()).unwrap();
    assert_eq!(found, block(vec![row(0, 10), row(0, 20), row(1, 10)], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let late = store.windows(&Filter { from: Some(20), ..Filter::default() }).unwrap();
    assert_eq!(late, block(vec![row(0, 20)], vec![3.0, 4.0]));
}
