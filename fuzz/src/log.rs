//! The log's recovery from the files that a power cut or a damaged disk left in a partition's folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wheeltapper_log::{LogError, Partition, encode_frame};

use crate::{bounds, byte, slice, temp_folder};

/// The size of a segment: small, so that one input fills several.
const SEGMENT_BYTES: u64 = 256;
/// One input has fewer records than this.
const MAX_RECORDS: u8 = 24;

/// Recovers a partition whose single segment is the input.
///
/// # Panics
/// If a record is read that the segment does not contain, or nothing can be appended afterwards.
pub fn segment(bytes: &[u8]) {
    let folder = temp_folder();
    let path = folder.path().join(format!("{:020}.log", 0));
    if let Err(error) = fs::write(&path, bytes) {
        panic!("the segment cannot be written: {error}");
    }
    let Some(recovered) = bounds::measured(bytes.len(), || recover(folder.path())) else { return };
    for record in &recovered.records {
        let is_contained = record.is_empty() || bytes.windows(record.len()).any(|part| part == record);
        assert!(is_contained, "a record was read that was never written");
    }
    assert_appendable(folder.path(), &recovered);
}

/// Writes records, damages the files and recovers the partition. The input is the number of records, each record with
/// its length before it, and for each damage its kind, the file and the position.
///
/// # Panics
/// If a record is read that was not written, the order changes, an undamaged record is missing, or nothing can be
/// appended afterwards.
pub fn damage(mut bytes: &[u8]) {
    let folder = temp_folder();
    let mut written: Vec<Vec<u8>> = Vec::new();
    for _ in 0..byte(&mut bytes) % MAX_RECORDS {
        let payload = slice(&mut bytes);
        // A payload that looks like a record must not be read as one.
        let is_nested = payload.first() == Some(&0xff);
        let mut framed = Vec::new();
        if is_nested {
            encode_frame(payload, &mut framed);
        }
        written.push(if is_nested { framed } else { payload.to_vec() });
    }
    if let Err(error) = append(folder.path(), &written) {
        panic!("nothing can be written to a new partition: {error}");
    }
    let mut damage = Damage::default();
    while let [kind, file, high, low, rest @ ..] = bytes {
        bytes = rest;
        damage.apply(folder.path(), *kind, usize::from(*file), usize::from(u16::from_be_bytes([*high, *low])));
    }
    let length = written.iter().map(Vec::len).sum::<usize>() + 64 * written.len();
    let Some(recovered) = bounds::measured(length, || recover(folder.path())) else {
        assert!(damage.is_flipped, "a partition without a changed byte was rejected");
        return;
    };
    assert!(recovered.is_complete || damage.is_flipped || damage.is_cut, "an undamaged partition cannot be read");
    let mut rest = written.iter();
    for record in &recovered.records {
        // Zeros at the end, as file systems leave them, are read as an empty record.
        let is_known = record.is_empty() || rest.any(|payload| payload == record);
        assert!(is_known, "a record was read that was never written or is out of order");
    }
    if !damage.is_cut && !damage.is_flipped {
        let records = recovered.records.iter().filter(|record| !record.is_empty());
        assert!(records.eq(written.iter().filter(|payload| !payload.is_empty())), "an undamaged record is lost");
    }
    assert_appendable(folder.path(), &recovered);
}

/// The damage to the files.
#[derive(Default)]
struct Damage {
    /// A file was truncated.
    is_cut: bool,
    /// A bit was flipped.
    is_flipped: bool,
}

impl Damage {
    /// Damages a file: flips a bit at the position `at`, truncates the file there, or appends zeros.
    fn apply(&mut self, folder: &Path, kind: u8, file: usize, at: usize) {
        let files = segments(folder);
        let Some((path, bytes)) = files.get(file % files.len().max(1)) else { return };
        let is_last = file % files.len() + 1 == files.len();
        let mut bytes = bytes.clone();
        match kind % 3 {
            0 if !bytes.is_empty() => {
                let at = at % bytes.len();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (kind / 3 % 8);
                    self.is_flipped = true;
                }
            }
            1 => {
                self.is_cut |= at < bytes.len();
                bytes.truncate(at);
            }
            // A write that was not synced. Only the newest segment grows.
            2 if is_last => bytes.extend(std::iter::repeat_n(0, at % 512)),
            _ => {}
        }
        if let Err(error) = fs::write(path, bytes) {
            panic!("{}: {error}", path.display());
        }
    }
}

/// Returns the paths and contents of the segment files, the oldest first.
fn segments(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let read = fs::read_dir(folder).and_then(|entries| {
        let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        paths.sort();
        paths.into_iter().map(|path| Ok((path.clone(), fs::read(path)?))).collect()
    });
    match read {
        Ok(files) => files,
        Err(error) => panic!("{}: {error}", folder.display()),
    }
}

/// The readable content of a partition.
struct Recovered {
    records: Vec<Vec<u8>>,
    /// Whether the reader reached the end.
    is_complete: bool,
}

/// Opens the partition and reads all of it. `None`: the partition was rejected, which must not change its files.
fn recover(folder: &Path) -> Option<Recovered> {
    let before = segments(folder);
    match Partition::open(folder, SEGMENT_BYTES) {
        Ok(partition) => Some(read_all(&partition)),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(segments(folder), before, "a rejected partition was changed");
            None
        }
    }
}

fn read_all(partition: &Partition) -> Recovered {
    let mut reader = partition.reader();
    let (mut at, end) = (reader.start(), reader.end());
    let mut records = Vec::new();
    while at < end {
        match reader.read(at, end, 1 << 16) {
            Ok(read) => {
                let Some(last) = read.last() else { break };
                assert!(last.next_offset > at && last.next_offset <= end, "the reader does not advance");
                at = last.next_offset;
                records.extend(read.into_iter().map(|record| record.payload));
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
    }
    Recovered { records, is_complete: at >= end }
}

fn append(folder: &Path, payloads: &[Vec<u8>]) -> Result<(), LogError> {
    let mut partition = Partition::open(folder, SEGMENT_BYTES)?;
    for payload in payloads {
        partition.append(payload)?;
    }
    partition.sync()
}

/// Asserts that a record can be appended after the recovery, and is read again together with the earlier records.
fn assert_appendable(folder: &Path, before: &Recovered) {
    let new = b"the first record after the restart".to_vec();
    if let Err(error) = append(folder, std::slice::from_ref(&new)) {
        panic!("nothing can be appended after the recovery: {error}");
    }
    let Some(after) = recover(folder) else { panic!("the partition is rejected at the second start") };
    if before.is_complete {
        assert!(after.records.iter().eq(before.records.iter().chain([&new])), "the records differ at the second start");
    } else {
        assert!(after.records.starts_with(&before.records), "records are missing at the second start");
    }
}
