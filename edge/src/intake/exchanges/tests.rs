//! Exchanges survive the end of the process at any moment.

use std::{collections::BTreeMap, fs, path::Path};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const SEGMENT: u64 = 1 << 14;

/// The log's folder, a raw topic of two partitions, and the exchanges.
struct TestHost {
    folder: TempDir,
    raw: Committer,
    exchanges: Arc<Exchanges>,
}

fn partition(folder: &Path, name: &str) -> Partition {
    Partition::open(&folder.join(name), SEGMENT).unwrap()
}

impl TestHost {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    fn open(folder: TempDir) -> Self {
        let raw = ["raw0", "raw1"].map(|name| partition(folder.path(), name));
        let readers = raw.iter().map(Partition::reader).collect();
        let exchanges = Exchanges::open(partition(folder.path(), "exchanges"), readers).unwrap();
        let raw = Committer::start(raw.into(), 16, Duration::ZERO).unwrap();
        Self { folder, raw, exchanges: Arc::new(exchanges) }
    }

    /// Kills the host, and starts another one on a copy of its files.
    fn kill_and_restart(self) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for folder in fs::read_dir(self.folder.path()).unwrap() {
            let folder = folder.unwrap();
            let to = copy.path().join(folder.file_name());
            fs::create_dir(&to).unwrap();
            for file in fs::read_dir(folder.path()).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
        drop(self);
        Self::open(copy)
    }

    /// Stores the parts `only` of a message; returns whether it had to be stored.
    fn store(&self, exchange: &Exchange, content: &str, parts: u16, only: &[u16]) -> bool {
        match self.exchanges.begin(exchange, "t", content.as_bytes()) {
            BeginOutcome::AlreadyStored => false,
            BeginOutcome::Full => panic!("full"),
            BeginOutcome::Wait(_) => panic!("an attempt has not ended"),
            BeginOutcome::Store(request) => {
                let records = (0..parts).filter(|part| only.contains(part) && !request.is_stored(*part, parts));
                let record = |part| frame_record(&RawRecord::encode_tagged(&request.tag, part, parts, &[4]));
                let records = records.map(|part| (usize::from(part % 2), record(part))).collect();
                commit_and_wait(&self.raw, records).unwrap();
                // A message that did not reach all partitions was never acknowledged.
                if usize::from(parts) == only.len() {
                    self.exchanges.mark_stored(&request.tag, parts);
                }
                true
            }
        }
    }

    fn release(&self, exchange: &Exchange) -> bool {
        self.exchanges.release(exchange).is_some_and(|kept| kept.blocking_recv().is_ok())
    }
}

fn exchange(session: &str, id: u16, dup: bool) -> Exchange {
    Exchange { session: session.into(), packet_id: id, dup }
}

#[test]
fn a_resend_waits_for_the_copy_that_is_on_its_way() {
    let host = TestHost::new();
    let begin = |exchange: &Exchange, payload: &[u8]| host.exchanges.begin(exchange, "t", payload);
    let BeginOutcome::Store(first) = begin(&exchange("pump", 5, false), b"x") else { panic!("not stored yet") };
    let BeginOutcome::Wait(stored) = begin(&exchange("pump", 5, true), b"x") else { panic!("stored twice") };
    let BeginOutcome::Store(_other) = begin(&exchange("fan", 5, true), b"x") else { panic!("of another session") };
    host.exchanges.mark_stored(&first.tag, 1);
    assert!(stored.blocking_recv().is_ok());
    assert!(matches!(begin(&exchange("pump", 5, true), b"x"), BeginOutcome::AlreadyStored));
    drop(first);

    // An attempt that fails ends the wait, and the next resend is stored.
    let BeginOutcome::Store(second) = begin(&exchange("pump", 6, false), b"y") else { panic!("not stored yet") };
    let BeginOutcome::Wait(stored) = begin(&exchange("pump", 6, true), b"y") else { panic!("stored twice") };
    drop(second);
    assert!(stored.blocking_recv().is_err());
    let BeginOutcome::Store(third) = begin(&exchange("pump", 6, true), b"y") else { panic!("not stored yet") };
    // Another message under the same packet id is not kept waiting; the end of the one before is not taken for its own.
    let BeginOutcome::Store(fourth) = begin(&exchange("pump", 6, false), b"z") else { panic!("another message") };
    drop(third);
    assert!(matches!(begin(&exchange("pump", 6, true), b"z"), BeginOutcome::Wait(_)));
    drop(fourth);
}

#[test]
fn a_resend_after_the_end_is_known_until_it_is_released() {
    let host = TestHost::new();
    assert!(host.store(&exchange("pump", 5, false), "7.25", 1, &[0]));
    let host = host.kill_and_restart();
    assert!(!host.store(&exchange("pump", 5, true), "7.25", 1, &[0]), "it is stored");
    assert!(host.store(&exchange("valve", 5, true), "7.25", 1, &[0]), "another client's");
    assert!(host.store(&exchange("pump", 6, true), "7.25", 1, &[0]), "another packet id");
    assert!(host.release(&exchange("pump", 5, false)));
    assert!(!host.release(&exchange("pump", 5, false)), "once");
    let host = host.kill_and_restart();
    // The next message with this id has the same content, and was pending when the host died.
    assert!(host.store(&exchange("pump", 5, true), "7.25", 1, &[0]));
    host.exchanges.end_session("valve");
    commit_and_wait(&host.exchanges.log, Vec::new()).unwrap();
    let host = host.kill_and_restart();
    assert!(host.store(&exchange("valve", 5, true), "7.25", 1, &[0]));
    assert_eq!(host.exchanges.count(), 3);
}

#[test]
fn another_message_with_the_same_packet_id_is_another_message() {
    let host = TestHost::new();
    assert!(host.store(&exchange("pump", 5, false), "7.25", 1, &[0]));
    let host = host.kill_and_restart();
    assert!(host.store(&exchange("pump", 5, true), "7.5", 1, &[0]), "other content");
    assert!(host.store(&exchange("pump", 5, false), "7.5", 1, &[0]), "no duplicate flag");
    let host = host.kill_and_restart();
    assert!(!host.store(&exchange("pump", 5, true), "7.5", 1, &[0]));
    assert_eq!(host.exchanges.count(), 1);
}

#[test]
fn a_client_whose_session_is_gone_stores_nothing_twice() {
    let host = TestHost::new();
    assert!(host.store(&exchange("pump", 5, false), "7.25", 1, &[0]));
    let host = host.kill_and_restart();
    assert!(!host.store(&exchange("pump", 5, false), "7.25", 1, &[0]), "sent again, without the duplicate flag");
    host.exchanges.release(&exchange("pump", 5, false)).unwrap().blocking_recv().unwrap();
    assert!(host.store(&exchange("pump", 5, false), "7.25", 1, &[0]), "the next message says the same");
    assert!(host.store(&exchange("pump", 5, false), "7.25", 1, &[0]), "and so does one of this run");
}

#[test]
fn only_the_missing_part_of_a_message_is_stored() {
    let host = TestHost::new();
    assert!(host.store(&exchange("pump", 5, false), "x", 3, &[1]));
    let host = host.kill_and_restart();
    let BeginOutcome::Store(request) = host.exchanges.begin(&exchange("pump", 5, true), "t", b"x") else {
        panic!("stored")
    };
    assert_eq!([0, 1, 2].map(|part| request.is_stored(part, 3)), [false, true, false]);
    assert!(![0, 1].map(|part| request.is_stored(part, 2)).contains(&true), "another configuration, other parts");
    drop(request);
    assert!(host.store(&exchange("pump", 5, true), "x", 3, &[0, 1, 2]));
    let host = host.kill_and_restart();
    assert!(!host.store(&exchange("pump", 5, true), "x", 3, &[0, 1, 2]));
    let read = |name| {
        let reader = partition(host.folder.path(), name).reader();
        let mut records = 0;
        for_each_record(&mut reader.clone(), 0, reader.end(), |_| records += 1).unwrap();
        records
    };
    assert_eq!(["raw0", "raw1"].map(read), [2, 1], "each part once");
}

#[test]
fn snapshots_bound_the_log_of_ends() {
    let host = TestHost::new();
    for round in 0..6_u16 {
        for id in 1..300 {
            host.store(&exchange("pump", id, false), &round.to_string(), 1, &[0]);
            let kept = host.exchanges.release(&exchange("pump", id, false)).unwrap();
            if id == 299 {
                kept.blocking_recv().unwrap();
            }
        }
        host.exchanges.write_snapshot_after(Some(&host.raw)).unwrap();
    }
    commit_and_wait(&host.exchanges.log, Vec::new()).unwrap();
    let (start, end) = (host.exchanges.log_reader.start(), host.exchanges.log_reader.end());
    assert!(end > 3 * SEGMENT && end - start <= 2 * SEGMENT, "{start}..{end}");
    assert_eq!(host.kill_and_restart().exchanges.count(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Publish { session: u8, id: u16, content: u8, parts: u16 },
    Release { session: u8, id: u16 },
    Forget { session: u8 },
    Snapshot,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let (session, id) = (0..2_u8, 1..4_u16);
    prop_oneof![
        4 => (session.clone(), id.clone(), 0..2_u8, 1..4_u16)
            .prop_map(|(session, id, content, parts)| Step::Publish { session, id, content, parts }),
        3 => (session.clone(), id).prop_map(|(session, id)| Step::Release { session, id }),
        1 => session.prop_map(|session| Step::Forget { session }),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]

    #[test]
    fn open_exchanges_are_those_stored_and_not_released(steps in prop::collection::vec(step(), 1..60)) {
        let mut host = TestHost::new();
        // The content of each open exchange, and the run of the host in which it was stored.
        let mut model: BTreeMap<(u8, u16), (u8, u32)> = BTreeMap::new();
        let mut run = 0;
        let exchange_of = |session: u8, id, dup| exchange(&session.to_string(), id, dup);
        for step in steps.into_iter().chain([Step::Kill]) {
            match step {
                Step::Publish { session, id, content, parts } => {
                    let all: Vec<u16> = (0..parts).collect();
                    let before = model.get(&(session, id));
                    let known = before.is_some_and(|&(known, stored)| known == content && stored < run);
                    let stored = host.store(&exchange_of(session, id, false), &content.to_string(), parts, &all);
                    prop_assert_eq!(stored, !known);
                    if stored {
                        model.insert((session, id), (content, run));
                    }
                }
                Step::Release { session, id } => {
                    let released = host.release(&exchange_of(session, id, false));
                    prop_assert_eq!(released, model.remove(&(session, id)).is_some());
                }
                Step::Forget { session } => {
                    host.exchanges.end_session(&session.to_string());
                    commit_and_wait(&host.exchanges.log, Vec::new()).unwrap();
                    model.retain(|(known, _), _| *known != session);
                }
                Step::Snapshot => host.exchanges.write_snapshot_after(Some(&host.raw)).unwrap(),
                Step::Kill => {
                    host = host.kill_and_restart();
                    run += 1;
                    prop_assert_eq!(host.exchanges.count(), model.len());
                    for session in 0..2 {
                        for id in 1..4 {
                            for content in 0..2_u8 {
                                let resent = exchange_of(session, id, true);
                                let outcome = host.exchanges.begin(&resent, "t", content.to_string().as_bytes());
                                let stored = matches!(outcome, BeginOutcome::AlreadyStored);
                                prop_assert_eq!(stored, model.get(&(session, id)).is_some_and(|&(known, _)| known == content));
                            }
                        }
                    }
                }
            }
        }
    }
}
