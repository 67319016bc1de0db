//! The committer under faults: which appends fail, what is acknowledged and when, and how it heals.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io::ErrorKind,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use crate::support::{Random, payloads, read_all};
use wheeltapper_log::{
    Append, CommitError, CommitErrorKind, Committer, CommitterCore, Job, LogError, LogRetention, Partition,
    encode_frame,
    storage::{
        Storage,
        simulated::{Event, Fault, Operation, SimulatedStorage},
    },
};

type Results = Arc<Mutex<Vec<(u64, Result<(), CommitError>)>>>;

fn partition(storage: &SimulatedStorage, index: usize) -> Partition {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    Partition::open_with_storage(storage, Path::new(&format!("/log/{index}")), 2000).unwrap()
}

fn core(storage: &SimulatedStorage, partitions: usize) -> CommitterCore {
    CommitterCore::new((0..partitions).map(|index| partition(storage, index)).collect())
}

fn record(number: u64) -> Vec<u8> {
    let mut framed = Vec::new();
    encode_frame(&number.to_le_bytes(), &mut framed);
    framed
}

/// An append of one record to each of the given partitions.
fn append(number: u64, partitions: &[usize], answers: &Results) -> Job {
    let answers = Arc::clone(answers);
    Append {
        batches: partitions.iter().map(|&index| (index, record(number))).collect(),
        on_complete: Box::new(move |result| answers.lock().unwrap().push((number, result))),
    }
    .into()
}

fn take_results(answers: &Results) -> Vec<(u64, bool)> {
    answers.lock().unwrap().drain(..).map(|(number, result)| (number, result.is_ok())).collect()
}

fn stored_numbers(partition: &Partition) -> Vec<u64> {
    payloads(&read_all(partition)).into_iter().map(|payload| u64::from_le_bytes(payload.try_into().unwrap())).collect()
}

fn numbers_in(core: &CommitterCore, index: usize) -> Vec<u64> {
    stored_numbers(core.partitions().nth(index).unwrap())
}

#[test]
fn a_partition_that_cannot_be_synced_fails_its_own_appends_and_no_other() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 3);
    let answers = Results::default();
    storage.inject(Fault::new(Operation::Sync).under(Path::new("/log/0")));
    let jobs = vec![
        append(1, &[0], &answers),
        append(2, &[1], &answers),
        append(3, &[0, 2], &answers),
        append(4, &[1, 2], &answers),
    ];
    core.commit_batch(jobs);
    assert_eq!(take_results(&answers), [(1, false), (2, true), (3, false), (4, true)]);
    let health = core.health();
    assert_eq!(health.iter().map(|partition| partition.is_healthy()).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!((health[0].failures, health[0].since), (1, storage.now()));
    // Until it has healed it rejects appends, and the others continue.
    core.commit_batch(vec![append(5, &[0], &answers), append(6, &[1], &answers)]);
    assert_eq!(take_results(&answers), [(5, false), (6, true)]);
    storage.advance(core.try_heal().unwrap());
    assert_eq!(core.try_heal(), None);
    assert!(core.health().iter().all(|partition| partition.is_healthy()));
    core.commit_batch(vec![append(7, &[0], &answers)]);
    assert_eq!(take_results(&answers), [(7, true)]);
    assert_eq!((numbers_in(&core, 0), numbers_in(&core, 1)), (vec![7], vec![2, 4, 6]));
}

#[test]
fn an_append_that_fails_in_one_partition_leaves_nothing_in_another() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 2);
    let answers = Results::default();
    storage.inject(Fault::new(Operation::Write).under(Path::new("/log/1")).partial_write(5));
    core.commit_batch(vec![append(1, &[0], &answers), append(2, &[0, 1], &answers), append(3, &[0], &answers)]);
    assert_eq!(take_results(&answers), [(1, true), (2, false), (3, true)]);
    assert_eq!((numbers_in(&core, 0), numbers_in(&core, 1)), (vec![1, 3], vec![]));
}

#[test]
fn appends_after_a_failed_one_in_a_batch_fail_too() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 1);
    let answers = Results::default();
    storage.inject(Fault::new(Operation::Write).partial_write(5).after(1));
    core.commit_batch((1..=3).map(|number| append(number, &[0], &answers)).collect());
    assert_eq!(take_results(&answers), [(1, true), (2, false), (3, false)], "the order of one sender is kept");
    assert_eq!(numbers_in(&core, 0), [1]);
}

#[test]
fn after_an_untruncated_partial_record_nothing_is_written_until_healing() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 1);
    let answers = Results::default();
    core.commit_batch(vec![append(1, &[0], &answers)]);
    storage.inject(Fault::new(Operation::Write).under(Path::new("/log/0")).partial_write(20));
    storage.inject(Fault::new(Operation::SetLen).under(Path::new("/log/0")).times(2));
    core.commit_batch(vec![append(2, &[0], &answers)]);
    core.commit_batch(vec![append(3, &[0], &answers)]);
    storage.advance(Duration::from_secs(2));
    assert!(core.try_heal().is_some(), "truncating fails once more");
    core.commit_batch(vec![append(4, &[0], &answers)]);
    storage.advance(Duration::from_secs(2));
    assert_eq!(core.try_heal(), None);
    core.commit_batch(vec![append(5, &[0], &answers)]);
    assert_eq!(take_results(&answers), [(1, true), (2, false), (3, false), (4, false), (5, true)]);
    assert_eq!(numbers_in(&core, 0), [1, 5]);
    storage.kill_process();
    assert_eq!(stored_numbers(&partition(&storage, 0)), [1, 5]);
}

#[test]
fn a_full_disk_is_reported_as_such_and_heals_when_there_is_free_space() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 2);
    let answers = Results::default();
    storage.set_free_bytes(Some(30));
    core.commit_batch(vec![append(1, &[0], &answers), append(2, &[0], &answers), append(3, &[1], &answers)]);
    let results: Vec<_> = answers.lock().unwrap().drain(..).collect();
    assert!(results[0].1.is_ok());
    for (number, result) in &results[1..] {
        assert_eq!(result.as_ref().unwrap_err().kind(), CommitErrorKind::DiskFull, "{number}");
    }
    assert!(core.health()[0].disk_full);
    // The interval between attempts grows to one second.
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let pause = core.try_heal().unwrap();
        storage.advance(pause);
        pauses.push(pause);
    }
    assert!(pauses.is_sorted() && pauses.last() == Some(&Duration::from_secs(1)), "{pauses:?}");
    core.commit_batch(vec![append(4, &[0], &answers)]);
    assert_eq!(answers.lock().unwrap().pop().unwrap().1.unwrap_err().kind(), CommitErrorKind::DiskFull);
    storage.set_free_bytes(None);
    storage.advance(Duration::from_secs(1));
    assert_eq!(core.try_heal(), None);
    assert!(!core.health()[0].disk_full);
    core.commit_batch(vec![append(5, &[0, 1], &answers)]);
    assert_eq!(take_results(&answers), [(5, true)]);
    assert_eq!((numbers_in(&core, 0), numbers_in(&core, 1)), (vec![1, 5], vec![5]));
}

#[test]
fn a_disk_that_fails_every_other_time_leaves_few_segments() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 1);
    let answers = Results::default();
    for number in 0..1000 {
        storage.advance(Duration::from_millis(20));
        core.try_heal();
        core.commit_batch(vec![append(2 * number, &[0], &answers)]);
        storage.inject(Fault::new(Operation::Sync).under(Path::new("/log/0")));
        core.commit_batch(vec![append(2 * number + 1, &[0], &answers)]);
        storage.clear_faults();
    }
    assert!(take_results(&answers).iter().filter(|(_, ok)| *ok).count() > 10);
    assert!(storage.files().len() < 40, "{} in 20 seconds", storage.files().len());
}

#[test]
fn a_file_system_that_turned_read_only_heals_when_it_is_writable_again() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 1);
    let answers = Results::default();
    core.commit_batch(vec![append(1, &[0], &answers)]);
    storage.set_read_only(true);
    core.commit_batch(vec![append(2, &[0], &answers)]);
    assert_eq!(answers.lock().unwrap()[1].1.clone().unwrap_err().kind(), CommitErrorKind::RetryLater);
    storage.advance(Duration::from_secs(60));
    assert!(core.try_heal().is_some());
    storage.set_read_only(false);
    storage.advance(Duration::from_secs(1));
    assert_eq!(core.try_heal(), None);
    core.commit_batch(vec![append(3, &[0], &answers)]);
    assert_eq!(take_results(&answers), [(1, true), (2, false), (3, true)]);
    assert_eq!(numbers_in(&core, 0), [1, 3]);
}

/// In any trace: when an append is acknowledged, all its bytes are synced, and so is the folder of its file.
#[test]
fn nothing_is_acknowledged_before_its_bytes_were_synced() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 2);
    storage.set_tracing(true);
    for number in 0..200 {
        let jobs = (0..3).map(|sender| {
            let marks = storage.clone();
            let index = usize::from(number % 3 == sender);
            let done = move |result: Result<(), CommitError>| {
                if result.is_ok() {
                    marks.add_trace_label(format!("{index}"));
                }
            };
            Append { batches: vec![(index, record(number))], on_complete: Box::new(done) }.into()
        });
        core.commit_batch(jobs.collect());
    }
    let mut dirty = std::collections::BTreeSet::new();
    let mut acknowledged = 0;
    for event in storage.trace() {
        match event {
            Event::Call { operation: Operation::Write, path, .. } if path.extension().is_some() => {
                dirty.insert(path);
            }
            Event::Call { operation: Operation::Sync, path, ok: true, .. } => {
                dirty.remove(&path);
            }
            Event::Mark(index) => {
                let folder = Path::new("/log").join(index);
                assert!(!dirty.iter().any(|path| path.starts_with(&folder)), "{dirty:?}");
                acknowledged += 1;
            }
            Event::Call { .. } => {}
        }
    }
    assert_eq!(acknowledged, 600);
}

#[test]
fn a_panic_leaves_no_sender_waiting_and_the_committer_goes_on() {
    let storage = SimulatedStorage::new(1);
    let partitions = vec![partition(&storage, 0), partition(&storage, 1)];
    let committer = Committer::start(partitions, 16, Duration::ZERO).unwrap();
    storage.inject(Fault::new(Operation::Sync).under(Path::new("/log/1")).panics());
    let (done, results) = mpsc::channel();
    let send = |number| {
        let done = done.clone();
        let done = move |result: Result<(), CommitError>| done.send(result.map_err(|error| error.kind())).unwrap();
        committer.append(Append { batches: vec![(1, record(number))], on_complete: Box::new(done) });
        results.recv_timeout(Duration::from_secs(30)).unwrap()
    };
    assert_eq!(send(1), Err(CommitErrorKind::RetryLater));
    // The append is answered while the panic unwinds; the health is updated right after.
    while committer.health()[1].failures == 0 {
        std::thread::yield_now();
    }
    // Healing needs no call. The simulated clock stands still, so the next attempt is due once it is advanced.
    storage.advance(Duration::from_secs(5));
    while !committer.health().iter().all(|partition| partition.is_healthy()) {
        std::thread::yield_now();
    }
    assert_eq!(send(2), Ok(()));
    drop(committer);
    assert_eq!(stored_numbers(&partition(&storage, 1)), [2], "the interrupted record is not stored twice");
}

#[test]
fn a_panic_in_a_callback_does_not_prevent_other_callbacks() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 1);
    let answers = Results::default();
    let panics = Append { batches: vec![(0, record(1))], on_complete: Box::new(|_| panic!("a sender's defect")) };
    core.commit_batch(vec![panics.into(), append(2, &[0], &answers), append(3, &[7], &answers)]);
    assert_eq!(take_results(&answers), [(2, true), (3, false)]);
    let unframed = Append {
        batches: vec![(0, vec![1, 2, 3])],
        on_complete: Box::new(|result| assert_eq!(result.unwrap_err().kind(), CommitErrorKind::Invalid)),
    };
    core.commit_batch(vec![unframed.into()]);
    assert!(core.health()[0].is_healthy(), "a sender's error does not affect the partition");
}

#[test]
fn dropped_jobs_report_a_failure_to_their_senders() {
    let answers = Results::default();
    drop(append(1, &[0], &answers));
    assert!(matches!(answers.lock().unwrap()[0].1, Err(CommitError::Closed)));
}

#[test]
fn segments_that_cannot_be_removed_are_reported_in_the_health() {
    let storage = SimulatedStorage::new(1);
    let mut core = core(&storage, 1);
    let answers = Results::default();
    let fill = |core: &mut CommitterCore| {
        core.commit_batch((0..200).map(|number| append(number, &[0], &answers)).collect());
    };
    fill(&mut core);
    storage.inject(Fault::new(Operation::Modified));
    let retention = LogRetention { max_age: Duration::ZERO, max_bytes: u64::MAX };
    core.commit_batch(vec![Job::expire(retention, vec![u64::MAX])]);
    assert!(core.health()[0].expire_error.is_some());
    assert!(core.health()[0].is_healthy());
    core.commit_batch(vec![Job::expire(retention, vec![u64::MAX])]);
    assert_eq!(core.health()[0].expire_error, None);
}

/// Random batches for three partitions, of which one fails at random. Every acknowledged append exists once after a
/// power loss.
fn history(seed: u64) {
    let mut random = Random(seed);
    let storage = SimulatedStorage::new(random.next());
    let mut core = core(&storage, 3);
    let answers = Results::default();
    let mut sent: Vec<(u64, Vec<usize>)> = Vec::new();
    let mut acknowledged: Vec<Vec<u64>> = vec![Vec::new(); 3];
    let mut number = 0;
    for _ in 0..40 {
        if random.chance_one_in(3) {
            let operation = [Operation::Write, Operation::Sync, Operation::SetLen, Operation::Open, Operation::SyncDir]
                [usize::try_from(random.below(5)).unwrap()];
            let fault = Fault::new(operation).under(Path::new("/log/1")).times(1 + random.below(3));
            let fault = fault.partial_write(usize::try_from(random.below(60)).unwrap()).after(random.below(3));
            let kinds = [ErrorKind::Other, ErrorKind::StorageFull];
            storage.inject(fault.error(kinds[usize::try_from(random.below(2)).unwrap()]));
        }
        let mut jobs = Vec::new();
        for _ in 0..random.below(5) {
            number += 1;
            let partitions: Vec<usize> = (0..3).filter(|_| random.chance_one_in(2)).collect();
            jobs.push(append(number, &partitions, &answers));
            sent.push((number, partitions));
        }
        core.commit_batch(jobs);
        for (number, result) in answers.lock().unwrap().drain(..) {
            let partitions = &sent.iter().find(|(other, _)| *other == number).unwrap().1;
            if result.is_ok() {
                partitions.iter().for_each(|&index| acknowledged[index].push(number));
            } else {
                assert!(partitions.contains(&1), "append {number} to {partitions:?} failed: {result:?}");
            }
        }
        storage.advance(Duration::from_millis(random.below(400)));
        core.try_heal();
        if random.chance_one_in(12) {
            if random.chance_one_in(2) {
                storage.kill_process();
            } else {
                storage.lose_power(|| random.next());
            }
            storage.clear_faults();
            core = self::core(&storage, 3);
        }
    }
    storage.clear_faults();
    storage.lose_power(|| random.next());
    for (index, acknowledged) in acknowledged.iter().enumerate() {
        let partition = partition(&storage, index);
        assert!(partition.recovery().missing.is_empty());
        let held = stored_numbers(&partition);
        let mut once = held.clone();
        once.dedup();
        assert_eq!(held, once, "in order and once");
        assert!(held.is_sorted());
        let lost: Vec<_> = acknowledged.iter().filter(|number| !held.contains(number)).collect();
        assert!(lost.is_empty(), "partition {index} lost {lost:?}");
    }
}

#[test]
fn acknowledged_appends_exist_after_any_history() {
    for seed in 0..2000 {
        let caught = std::panic::catch_unwind(|| history(seed));
        if let Err(panic) = caught {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn error_kinds_match_their_cause() {
    let full = CommitError::Failed(Arc::new(LogError::Io {
        what: "appending to",
        path: "/log/0".into(),
        source: ErrorKind::QuotaExceeded.into(),
    }));
    assert_eq!(full.kind(), CommitErrorKind::DiskFull);
    assert_eq!(CommitError::Closed.kind(), CommitErrorKind::Closed);
}
