//! A disk that fails and recovers.

use std::time::{Duration, Instant};

use wheeltapper_store::{
    Store, StoreError, StoreErrorKind, StoreOptions,
    simulated::{Faults, SimulatedDisk},
};

use super::{checkpoint, columns, findings, visible_readings};

/// A folder in memory, if possible, so that the disk does not affect the measurements.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn open(folder: &tempfile::TempDir, disk: &SimulatedDisk) -> Result<Store, StoreError> {
    Store::open_with(&folder.path().join("s.db"), StoreOptions::simulation(disk.name()))
}

const EVERY_CALL: u32 = 1_000_000;

#[test]
fn a_commit_that_failed_is_made_again_when_the_disk_has_healed() {
    type Switch = fn(&SimulatedDisk, bool);
    let cases: [(&str, Switch, StoreErrorKind); 5] = [
        ("full", SimulatedDisk::set_full, StoreErrorKind::DiskFull),
        ("read only", SimulatedDisk::set_read_only, StoreErrorKind::ReadOnly),
        (
            "write",
            |disk, on| disk.set_faults(Faults { write_error: if on { EVERY_CALL } else { 0 }, ..Faults::default() }),
            StoreErrorKind::Io,
        ),
        (
            "sync",
            |disk, on| disk.set_faults(Faults { sync_error: if on { EVERY_CALL } else { 0 }, ..Faults::default() }),
            StoreErrorKind::Io,
        ),
        (
            "busy",
            |disk, on| disk.set_faults(Faults { busy: if on { EVERY_CALL } else { 0 }, ..Faults::default() }),
            StoreErrorKind::Busy,
        ),
    ];
    for (name, switch, kind) in cases {
        let (folder, disk) = (folder(), SimulatedDisk::register(&format!("healed {name}"), 1).unwrap());
        let store = open(&folder, &disk).unwrap();
        store.commit(&checkpoint(0, &columns(0..600, 0, 4), 1)).unwrap();
        let readings = columns(0..600, 4, 4);
        let commit = checkpoint(0, &readings, 2);
        // The first transaction of the checkpoint is written before the disk fails.
        let mut writer = store.begin_checkpoint(&commit).unwrap();
        writer.step().unwrap();
        switch(&disk, true);
        let error = writer.finish().unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, true), "{name}: {error}");
        for _ in 0..3 {
            let error = store.commit(&commit).unwrap_err();
            assert!(error.is_transient(), "{name}: {error}");
            assert!(store.commit(&findings(0, 9)).is_err());
        }
        switch(&disk, false);
        store.commit(&findings(0, 9)).unwrap();
        store.commit(&commit).unwrap();
        assert_eq!((visible_readings(&store, 0..600), store.counts().unwrap().readings), (4800, 4800), "{name}");
        assert_eq!(store.checkpoints().unwrap()[0].applied_offset, 9);
        assert_eq!(store.sizes().unwrap().staged_chunks, 0);
        store.check_integrity(false).unwrap();
    }
}

#[test]
fn a_panic_of_a_writing_thread_does_not_disable_the_store() {
    let folder = folder();
    let store = Store::open(&folder.path().join("s.db")).unwrap();
    let other = store.clone();
    let panicked = std::thread::spawn(move || {
        other.panic_while_writing();
    });
    assert!(panicked.join().is_err());
    store.commit(&checkpoint(0, &columns(0..3, 0, 4), 1)).unwrap();
    assert_eq!(visible_readings(&store, 0..3), 12);
}

/// One history: commits of two partitions under faults, each repeated until it succeeds, and crashes in the middle of
/// writes, after which the host replays from the stored checkpoint.
fn history(disk: &SimulatedDisk, seed: u64) {
    let folder = folder();
    disk.reset(seed);
    wheeltapper_store::simulated::create_store(&folder.path().join("s.db"), [seed as u8; 16]).unwrap();
    // Half of the histories lose power, and thus unsynced writes, with each crash.
    disk.set_power_loss(seed % 2 == 1);
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let faults = Faults {
        write_full: 3_000,
        write_error: 3_000,
        sync_error: 30_000,
        busy: 1_000,
        open_error: 10_000,
        ..Faults::default()
    };
    let start = |disk: &SimulatedDisk| loop {
        if disk.is_dead() {
            disk.revive();
        }
        match open(&folder, disk).and_then(|store| store.discard_all_staged().map(|()| store)) {
            Ok(store) => return store,
            Err(error) => assert!(disk.is_dead() || error.is_transient(), "seed {seed}: {error}"),
        }
    };
    disk.set_faults(faults);
    let mut store = start(disk);
    let goal = 6;
    let sensors = |partition: u16| if partition == 0 { 0..14_u32 } else { 1_000..1_003 };
    let offset = |store: &Store, partition: u16| loop {
        match store.checkpoints() {
            Ok(states) => {
                let state = states.into_iter().find(|state| state.partition == partition);
                return Some(state.map_or(0, |state| state.snapshot_offset));
            }
            Err(_) if disk.is_dead() => return None,
            Err(error) => assert!(error.is_transient(), "seed {seed}: {error}"),
        }
    };
    let mut rounds = 0;
    'lives: loop {
        rounds += 1;
        assert!(rounds < 500, "seed {seed}: no progress");
        if next(3) == 0 {
            disk.kill_after(next(80));
        }
        let (Some(first), Some(second)) = (offset(&store, 0), offset(&store, 1)) else {
            drop(store);
            store = start(disk);
            continue;
        };
        if first >= goal && second >= goal {
            break;
        }
        let (one, two) = (columns(sensors(0), first as i64 * 4, 4), columns(sensors(1), second as i64 * 4, 4));
        let (one, two) = (checkpoint(0, &one, first + 1), checkpoint(1, &two, second + 1));
        let mut writers = [store.begin_checkpoint(&one).unwrap(), store.begin_checkpoint(&two).unwrap()];
        let mut open = [first < goal, second < goal];
        while open.contains(&true) {
            let which = next(2) as usize;
            let result = match next(8) {
                0 => store.commit(&findings(which as u16, 3)),
                1 => store.merge_small_chunks().map(drop),
                2 if open[which] => {
                    // The caller starts again and drops the old writer.
                    writers[which] = store.begin_checkpoint(if which == 0 { &one } else { &two }).unwrap();
                    Ok(())
                }
                3 | 4 if open[which] => writers[which].finish().map(|()| open[which] = false),
                _ if open[which] => writers[which].step().map(drop),
                _ => Ok(()),
            };
            if disk.is_dead() {
                drop(writers);
                drop(store);
                store = start(disk);
                continue 'lives;
            }
            if let Err(error) = result {
                assert!(error.is_transient(), "seed {seed}: {error}");
            }
        }
    }
    disk.set_faults(Faults::default());
    disk.revive();
    drop(store);
    let store = Store::open_with(&folder.path().join("s.db"), StoreOptions::simulation(disk.name())).unwrap();
    store.discard_all_staged().unwrap();
    for partition in [0, 1] {
        for sensor in sensors(partition) {
            let (times, _) = store.readings(sensor, i64::MIN, i64::MAX).unwrap();
            let expected_times: Vec<i64> = (0..goal as i64 * 4).map(|second| second * super::SECOND).collect();
            assert_eq!(times, expected_times, "seed {seed}, sensor {sensor}");
        }
    }
    assert_eq!(store.counts().unwrap().readings, goal * 4 * 17, "seed {seed}");
    store.check_integrity(false).unwrap();
}

#[test]
fn under_any_fault_each_reading_is_stored_once() {
    let disk = SimulatedDisk::register("histories", 0).unwrap();
    let one: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = one.map_or(0..200, |seed| seed..seed + 1);
    for seed in seeds {
        history(&disk, seed);
    }
}

#[test]
fn files_of_a_dead_process_write_nothing_more() {
    let (folder, disk) = (folder(), SimulatedDisk::register("dead", 5).unwrap());
    let store = open(&folder, &disk).unwrap();
    store.state_put("key", b"before").unwrap();
    disk.kill();
    assert!(store.state_put("key", b"after").is_err() && open(&folder, &disk).is_err());
    disk.revive();
    assert!(store.state_put("key", b"after").is_err(), "the old process stays dead");
    drop(store);
    let store = open(&folder, &disk).unwrap();
    assert_eq!(store.state_get("key").unwrap().as_deref(), Some(b"before".as_slice()));
    assert!(disk.calls().writes > 0 && disk.calls().syncs > 0);
}

#[test]
fn opening_is_fast() {
    let (folder, disk) = (folder(), SimulatedDisk::register("opening", 5).unwrap());
    let began = Instant::now();
    drop(open(&folder, &disk).unwrap());
    let made = began.elapsed();
    let began = Instant::now();
    for _ in 0..50 {
        drop(open(&folder, &disk).unwrap());
    }
    let opened = began.elapsed() / 50;
    println!("made in {made:?}, opened in {opened:?}");
    // Far above the expected time, because other tests run at the same time.
    assert!(opened < Duration::from_millis(30), "{opened:?}");
}

#[test]
fn a_file_that_replaces_the_store_is_not_written_to() {
    let (folder, disk) = (folder(), SimulatedDisk::register("replaced", 5).unwrap());
    let store = open(&folder, &disk).unwrap();
    store.state_put("key", b"value").unwrap();
    for ending in ["", "-wal", "-shm"] {
        std::fs::rename(folder.path().join(format!("s.db{ending}")), folder.path().join(format!("old{ending}")))
            .unwrap();
    }
    drop(open(&folder, &disk).unwrap());
    disk.set_faults(Faults { sync_error: EVERY_CALL, ..Faults::default() });
    assert!(store.state_put("key", b"other").is_err());
    disk.set_faults(Faults::default());
    let error = store.state_put("key", b"other").unwrap_err();
    assert!(matches!(error, StoreError::FileReplaced), "{error}");
    assert_eq!(open(&folder, &disk).unwrap().state_get("key").unwrap(), None);
}
