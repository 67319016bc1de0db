//! Recovery and reading of a damaged, shortened or missing log.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::single_range_in_vec_init, reason = "lists of ranges are what is compared")]

use std::{fs, sync::Arc};

use crate::support::{Random, folder, open, payloads, read_all, read_from, segment_file};
use wheeltapper_log::{
    FRAME_HEADER_LEN, LogError, Partition, Record, SEGMENT_HEADER_LEN, encode_frame,
    storage::{
        Storage as _,
        simulated::{Fault, Operation, SimulatedStorage},
    },
};

fn append_numbers(partition: &mut Partition, count: u32) {
    for number in 0..count {
        partition.append(&number.to_le_bytes()).unwrap();
    }
    partition.sync().unwrap();
}

fn decode_number(record: &Record) -> u32 {
    u32::from_le_bytes(record.payload.clone().try_into().unwrap())
}

const RECORD_BYTES: u64 = FRAME_HEADER_LEN as u64 + 4;

#[test]
fn a_flipped_bit_in_the_middle_loses_only_that_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut partition = Partition::open(folder.path(), 1 << 20).unwrap();
    append_numbers(&mut partition, 500);
    let path = folder.path().join(format!("{:020}.log", 0));
    let lost = 245 * RECORD_BYTES..246 * RECORD_BYTES;
    // Any byte of the record: length, checksums, payload.
    for byte in 0..RECORD_BYTES {
        let mut bytes = fs::read(&path).unwrap();
        let at = SEGMENT_HEADER_LEN + usize::try_from(lost.start + byte).unwrap();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let result = read_all(&partition);
        assert_eq!(result.damaged, std::slice::from_ref(&lost), "byte {byte}");
        assert_eq!(
            result.records.iter().map(decode_number).collect::<Vec<_>>(),
            (0..500).filter(|n| *n != 245).collect::<Vec<_>>()
        );
        {
            let mut again = Partition::open(folder.path(), 1 << 20).unwrap();
            let damaged = &again.recovery().damaged;
            assert_eq!(
                damaged.iter().map(|damage| damage.range.clone()).collect::<Vec<_>>(),
                std::slice::from_ref(&lost)
            );
            assert_eq!(damaged[0].path, path);
            assert_eq!((again.recovery().torn_bytes, again.recovery().lost_bytes()), (0, RECORD_BYTES));
            assert_eq!(read_all(&again).records.len(), 499);
            assert_eq!(again.end(), 500 * RECORD_BYTES);
            again.sync().unwrap();
        }
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_flipped_bit_in_the_last_synced_record_is_damage_and_not_cut() {
    let storage = SimulatedStorage::new(1);
    append_numbers(&mut open(&storage, 1 << 20).unwrap(), 10);
    let length = storage.contents(&segment_file(0)).unwrap().len();
    storage.kill_process();
    storage.flip_bit(&segment_file(0), SEGMENT_HEADER_LEN as u64 + 10 * RECORD_BYTES - 1, 3);
    for _ in 0..2 {
        let partition = open(&storage, 1 << 20).unwrap();
        assert_eq!(partition.recovery().torn_bytes, 0);
        assert_eq!(storage.contents(&segment_file(0)).unwrap().len(), length, "the damaged bytes are kept");
        assert_eq!(partition.end(), 10 * RECORD_BYTES, "no offset is assigned twice");
        assert_eq!(read_all(&partition).records.len(), 9);
        assert_eq!(read_all(&partition).damaged, [9 * RECORD_BYTES..10 * RECORD_BYTES]);
        storage.kill_process();
    }
    let mut partition = open(&storage, 1 << 20).unwrap();
    partition.append(b"next").unwrap();
    partition.sync().unwrap();
    let result = read_all(&partition);
    assert_eq!((result.records.len(), result.records.last().unwrap().offset), (10, 10 * RECORD_BYTES));
}

#[test]
fn a_torn_tail_is_truncated_and_not_reported_as_damage() {
    let storage = SimulatedStorage::new(1);
    append_numbers(&mut open(&storage, 1 << 20).unwrap(), 10);
    storage.kill_process();
    let mut torn = Vec::new();
    encode_frame(b"never finished", &mut torn);
    for length in 1..torn.len() {
        storage.corrupt(&segment_file(0), |bytes| bytes.extend_from_slice(&torn[..length]));
        let partition = open(&storage, 1 << 20).unwrap();
        assert!(partition.recovery().is_intact());
        assert_eq!(partition.recovery().torn_bytes, length as u64);
        assert_eq!(partition.end(), 10 * RECORD_BYTES);
        assert_eq!(read_all(&partition).records.len(), 10);
        storage.kill_process();
    }
}

#[test]
fn damage_before_a_sound_record_is_kept_also_when_the_synced_file_is_older() {
    let storage = SimulatedStorage::new(1);
    let mut partition = open(&storage, 1 << 20).unwrap();
    let stale = storage.contents(&folder().join("synced")).unwrap();
    partition.append(b"first").unwrap();
    partition.sync().unwrap();
    partition.append(b"second").unwrap();
    partition.sync().unwrap();
    storage.kill_process();
    storage.corrupt(&folder().join("synced"), |bytes| bytes.clone_from(&stale));
    // The file `synced` does not cover the record any more, but a valid record follows it.
    storage.flip_bit(&segment_file(0), SEGMENT_HEADER_LEN as u64 + 1, 0);
    let partition = open(&storage, 1 << 20).unwrap();
    assert_eq!((partition.recovery().torn_bytes, partition.recovery().lost_bytes()), (0, FRAME_HEADER_LEN as u64 + 5));
    assert_eq!(payloads(&read_all(&partition)), [b"second"]);
}

#[test]
fn a_deleted_log_continues_at_the_stores_offset() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("raw").join("0");
    let committed = {
        let mut partition = Partition::open(&folder, 500).unwrap();
        append_numbers(&mut partition, 200);
        partition.end()
    };
    fs::remove_dir_all(&folder).unwrap();
    let mut partition = Partition::open(&folder, 500).unwrap();
    assert_eq!(partition.end(), 0);
    let mut reader = partition.reader();
    let error = reader.read(committed, u64::MAX, 100).unwrap_err();
    assert!(matches!(error, LogError::OutOfRange { .. }), "a stored offset beyond the end is noticed: {error}");
    assert!(matches!(partition.advance_to(1 << 63).unwrap_err(), LogError::OutOfRange { .. }));
    partition.advance_to(committed).unwrap();
    partition.advance_to(committed).unwrap();
    assert_eq!(partition.recovery().missing, [0..committed]);
    assert!(matches!(partition.advance_to(1).unwrap_err(), LogError::OutOfRange { .. }));
    assert_eq!(partition.append(b"new").unwrap(), committed + FRAME_HEADER_LEN as u64 + 3);
    partition.sync().unwrap();
    drop(partition);
    let partition = Partition::open(&folder, 500).unwrap();
    assert_eq!(partition.recovery().missing, [0..committed], "also after the next start");
    let mut reader = partition.reader();
    assert_eq!(reader.read(committed, u64::MAX, 100).unwrap()[0].payload, b"new");
    // A consumer that is further behind gets an error and can continue.
    let error = reader.read(17, u64::MAX, 100).unwrap_err();
    assert!(matches!(error, LogError::Damaged { offset: 17, resume, .. } if resume == committed), "{error}");
}

#[test]
fn deleted_segments_are_reported_and_their_offsets_not_reused() {
    let storage = SimulatedStorage::new(1);
    append_numbers(&mut open(&storage, 100).unwrap(), 20);
    storage.kill_process();
    let segments: Vec<_> = storage.files().into_iter().filter(|path| path.extension().is_some()).collect();
    assert!(segments.len() >= 3);
    // One segment in the middle.
    storage.remove_behind_log(&segments[1]);
    let partition = open(&storage, 100).unwrap();
    let missing = partition.recovery().missing.clone();
    assert_eq!((missing.len(), partition.end()), (1, 20 * RECORD_BYTES));
    let result = read_all(&partition);
    assert_eq!(result.damaged, missing);
    assert_eq!(result.records.len() as u64, 20 - (missing[0].end - missing[0].start) / RECORD_BYTES);
    // All segments.
    storage.kill_process();
    segments.iter().for_each(|path| storage.remove_behind_log(path));
    let mut partition = open(&storage, 100).unwrap();
    assert_eq!(partition.recovery().missing, [0..20 * RECORD_BYTES]);
    partition.append(b"new").unwrap();
    partition.sync().unwrap();
    let result = read_all(&partition);
    assert_eq!((payloads(&result), result.damaged), (vec![b"new".to_vec()], vec![0..20 * RECORD_BYTES]));
}

#[test]
fn a_segment_deleted_while_being_read_is_damage() {
    let storage = SimulatedStorage::new(1);
    let mut partition = open(&storage, 100).unwrap();
    append_numbers(&mut partition, 20);
    storage.remove_behind_log(&segment_file(5 * RECORD_BYTES));
    let result = read_all(&partition);
    assert_eq!(result.damaged, [5 * RECORD_BYTES..10 * RECORD_BYTES]);
    assert_eq!(result.records.len(), 15);
    // A segment that became shorter loses its end.
    storage.corrupt(&segment_file(0), |bytes| bytes.truncate(bytes.len() - 1));
    let result = read_all(&partition);
    assert_eq!((result.damaged, result.records.len()), (vec![4 * RECORD_BYTES..10 * RECORD_BYTES], 14));
}

#[test]
fn a_segment_with_a_damaged_header_is_still_read() {
    let storage = SimulatedStorage::new(1);
    append_numbers(&mut open(&storage, 100).unwrap(), 12);
    storage.kill_process();
    for (path, byte) in [(segment_file(0), 9), (segment_file(10 * RECORD_BYTES), 30)] {
        storage.flip_bit(&path, byte, 0);
    }
    let mut partition = open(&storage, 100).unwrap();
    assert_eq!(partition.recovery().damaged.len(), 2);
    assert_eq!((partition.recovery().lost_bytes(), partition.recovery().torn_bytes), (0, 0));
    assert_eq!(read_all(&partition).records.len(), 12);
    partition.append(b"next").unwrap();
    partition.sync().unwrap();
    assert_eq!(read_all(&partition).records.len(), 13);
    // The key is lost: nothing can be read, but nothing is deleted either.
    drop(partition);
    let storage = SimulatedStorage::new(1);
    append_numbers(&mut open(&storage, 1000).unwrap(), 12);
    storage.kill_process();
    storage.flip_bit(&segment_file(0), 30, 0);
    storage.remove_behind_log(&folder().join("synced"));
    let partition = open(&storage, 1000).unwrap();
    assert_eq!((partition.recovery().lost_bytes(), partition.recovery().torn_bytes), (12 * RECORD_BYTES, 0));
}

#[test]
fn a_log_of_another_version_is_an_error_and_stays_unchanged() {
    let storage = SimulatedStorage::new(1);
    storage.create_dir_all(folder()).unwrap();
    let mut old = Vec::new();
    for payload in [&b"one"[..], b"two"] {
        old.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        old.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
        old.extend_from_slice(payload);
    }
    storage.open(&segment_file(0)).unwrap().append(&old).unwrap();
    let error = open(&storage, 100).unwrap_err();
    assert!(matches!(error, LogError::Format { version: 1, .. }), "{error}");
    assert!(error.to_string().contains("version 1"), "{error}");
    assert_eq!(storage.contents(&segment_file(0)).unwrap(), old);
}

#[test]
fn records_inside_a_damaged_record_are_not_taken_for_records() {
    let storage = SimulatedStorage::new(1);
    let mut partition = open(&storage, 1 << 20).unwrap();
    partition.append(b"true").unwrap();
    partition.sync().unwrap();
    // A sender knows the file and sends a record exactly as it is stored on the disk.
    let forged = storage.contents(&segment_file(0)).unwrap()[SEGMENT_HEADER_LEN..].to_vec();
    let mut payload = forged.clone();
    for _ in 0..50 {
        encode_frame(b"forged", &mut payload);
    }
    let begins = partition.written_end();
    partition.append(&payload).unwrap();
    partition.append(b"after").unwrap();
    partition.sync().unwrap();
    storage.flip_bit(&segment_file(0), SEGMENT_HEADER_LEN as u64 + begins, 0);
    let result = read_all(&partition);
    assert_eq!(payloads(&result), [b"true".to_vec(), b"after".to_vec()]);
    storage.kill_process();
    assert_eq!(payloads(&read_all(&open(&storage, 1 << 20).unwrap())), [b"true".to_vec(), b"after".to_vec()]);
}

#[test]
fn a_record_forged_for_its_offset_is_invalid_without_the_partitions_key() {
    let (mine, theirs) = (SimulatedStorage::new(1), SimulatedStorage::new(2));
    let mut forger = open(&theirs, 1 << 20).unwrap();
    forger.append(b"").unwrap();
    forger.append(b"forged").unwrap();
    forger.sync().unwrap();
    // Starts at the offset at which the payload of a first record starts.
    let forged = theirs.contents(&segment_file(0)).unwrap()[SEGMENT_HEADER_LEN + FRAME_HEADER_LEN..].to_vec();
    let mut partition = open(&mine, 1 << 20).unwrap();
    partition.append(&forged).unwrap();
    partition.append(b"after").unwrap();
    partition.sync().unwrap();
    mine.flip_bit(&segment_file(0), SEGMENT_HEADER_LEN as u64, 0);
    assert_eq!(payloads(&read_all(&partition)), [b"after"]);
}

#[test]
fn pages_of_a_failed_sync_are_written_again_before_they_are_trusted() {
    for seed in 0..50 {
        let storage = SimulatedStorage::new(seed);
        let mut partition = open(&storage, 1 << 20).unwrap();
        partition.append(&[7; 500]).unwrap();
        storage.inject(Fault::new(Operation::Sync));
        assert!(partition.sync().is_err());
        assert!(partition.append(b"more").is_err(), "no append may follow an unsynced write");
        // The process is killed and restarted: the page cache still contains everything.
        storage.kill_process();
        let partition = open(&storage, 1 << 20).unwrap();
        assert_eq!(read_all(&partition).records.len(), 1);
        let mut random = Random(seed);
        storage.lose_power(|| random.next());
        assert_eq!(read_all(&open(&storage, 1 << 20).unwrap()).records.len(), 1, "seed {seed}");
    }
}

#[test]
fn healing_needs_no_restart_and_keeps_readers_and_offsets() {
    let storage = SimulatedStorage::new(1);
    let mut partition = open(&storage, 1 << 20).unwrap();
    let mut reader = partition.reader();
    partition.append(b"durable").unwrap();
    partition.sync().unwrap();
    let first = reader.read(0, u64::MAX, 100).unwrap().remove(0);
    partition.append(b"lost").unwrap();
    storage.inject(Fault::new(Operation::Sync));
    assert!(partition.sync().is_err());
    assert!(partition.failure().is_some());
    assert!(matches!(partition.sync().unwrap_err(), LogError::Broken { .. }), "a second sync could wrongly succeed");
    storage.inject(Fault::new(Operation::SetLen));
    assert!(partition.heal().is_err());
    assert!(partition.append(b"too early").is_err());
    partition.heal().unwrap();
    assert_eq!((partition.end(), partition.written_end()), (first.next_offset, first.next_offset));
    partition.append(b"again").unwrap();
    partition.sync().unwrap();
    assert_eq!(reader.read(first.next_offset, u64::MAX, 100).unwrap()[0].payload, b"again");
    storage.lose_power(|| 0);
    assert_eq!(payloads(&read_all(&open(&storage, 1 << 20).unwrap())), [b"durable".to_vec(), b"again".to_vec()]);
}

#[test]
fn nothing_follows_a_partial_record_that_cannot_be_truncated() {
    let storage = SimulatedStorage::new(1);
    let mut partition = open(&storage, 1 << 20).unwrap();
    append_numbers(&mut partition, 2);
    storage.inject(Fault::new(Operation::Write).under(&segment_file(0)).partial_write(9));
    storage.inject(Fault::new(Operation::SetLen).under(&segment_file(0)));
    assert!(partition.append(b"half").is_err());
    assert!(matches!(partition.append(b"whole").unwrap_err(), LogError::Broken { .. }));
    partition.heal().unwrap();
    partition.append(&2u32.to_le_bytes()).unwrap();
    partition.sync().unwrap();
    assert_eq!(read_all(&partition).records.iter().map(decode_number).collect::<Vec<_>>(), [0, 1, 2]);
    storage.kill_process();
    assert_eq!(read_all(&open(&storage, 1 << 20).unwrap()).records.len(), 3);
}

#[test]
fn a_reader_does_not_continue_in_a_replaced_file() {
    let storage = SimulatedStorage::new(1);
    let mut partition = open(&storage, 100).unwrap();
    append_numbers(&mut partition, 12);
    let mut reader = partition.reader();
    read_from(&mut reader, 10 * RECORD_BYTES, 100);
    partition.truncate(3 * RECORD_BYTES).unwrap();
    append_numbers(&mut partition, 12);
    assert_eq!(
        read_from(&mut reader, 10 * RECORD_BYTES, 100).records.iter().map(decode_number).collect::<Vec<_>>(),
        [7, 8, 9, 10, 11]
    );
}

#[test]
fn a_damaged_length_takes_no_memory() {
    let storage = SimulatedStorage::new(1);
    let mut partition = open(&storage, 1 << 20).unwrap();
    append_numbers(&mut partition, 2);
    let mut reader = partition.reader();
    storage.corrupt(&segment_file(0), |bytes| bytes[SEGMENT_HEADER_LEN..SEGMENT_HEADER_LEN + 4].fill(0x3f));
    let result = read_from(&mut reader, 0, usize::MAX);
    assert_eq!((result.records.len(), result.damaged), (1, vec![0..RECORD_BYTES]));
    let mut framed = vec![0xff; 40];
    let error = partition.append_framed(&mut framed).unwrap_err();
    assert!(matches!(error, LogError::NotFramed { at: 0, .. }), "{error}");
    let _: Arc<dyn wheeltapper_log::storage::Storage> = Arc::clone(partition.storage());
}
