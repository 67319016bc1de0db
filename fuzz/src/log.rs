//! The log's recovery: what is found in a partition's folder after a power cut, or after a disk went bad.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wheeltapper_log::{LogError, Partition, encode_frame};

use crate::{bounds, byte, folder, piece};

/// Small segments, so that an input has several, in bytes.
const SEGMENT: u64 = 256;
/// Records of one input, at most.
const RECORDS: u8 = 24;

/// The bytes of one segment, whatever they are.
///
/// # Panics
/// When a record is read that does not stand there, or the partition takes nothing any more.
pub fn segment(bytes: &[u8]) {
    let place = folder();
    let path = place.path().join(format!("{:020}.log", 0));
    if let Err(error) = fs::write(&path, bytes) {
        panic!("the segment cannot be written: {error}");
    }
    let Some(found) = bounds::measured(bytes.len(), || recover(place.path())) else { return };
    for record in &found.records {
        let stands = record.is_empty() || bytes.windows(record.len()).any(|part| part == record);
        assert!(stands, "a record that was never written");
    }
    goes_on(place.path(), &found);
}

/// Records that were written and then damaged: how many, each with its length before it, and then of each harm its kind,
/// the file, and the place in it.
///
/// # Panics
/// When a record is read that was not written, the order is another, one is missing that no harm was done to, or the
/// partition takes nothing any more.
pub fn damage(mut bytes: &[u8]) {
    let place = folder();
    let mut written: Vec<Vec<u8>> = Vec::new();
    for _ in 0..byte(&mut bytes) % RECORDS {
        let payload = piece(&mut bytes);
        // A payload that looks like a record is none.
        let nested = payload.first() == Some(&0xff);
        let mut framed = Vec::new();
        if nested {
            encode_frame(payload, &mut framed);
        }
        written.push(if nested { framed } else { payload.to_vec() });
    }
    if let Err(error) = append(place.path(), &written) {
        panic!("nothing can be written to a new partition: {error}");
    }
    let mut harm = Harm::default();
    while let [what, file, high, low, rest @ ..] = bytes {
        bytes = rest;
        harm.does(place.path(), *what, usize::from(*file), usize::from(u16::from_be_bytes([*high, *low])));
    }
    let length = written.iter().map(Vec::len).sum::<usize>() + 64 * written.len();
    let Some(found) = bounds::measured(length, || recover(place.path())) else {
        assert!(harm.flipped, "a partition without a changed byte is refused");
        return;
    };
    assert!(found.whole || harm.flipped || harm.cut, "a sound partition cannot be read");
    let mut rest = written.iter();
    for record in &found.records {
        // Zeros at the end, as file systems leave them, read as a record of nothing.
        let known = record.is_empty() || rest.any(|payload| payload == record);
        assert!(known, "a record that was never written, or out of order");
    }
    if !harm.cut && !harm.flipped {
        let sound = found.records.iter().filter(|record| !record.is_empty());
        assert!(sound.eq(written.iter().filter(|payload| !payload.is_empty())), "a sound record is lost");
    }
    goes_on(place.path(), &found);
}

/// What was done to the files.
#[derive(Default)]
struct Harm {
    cut: bool,
    flipped: bool,
}

impl Harm {
    fn does(&mut self, place: &Path, what: u8, file: usize, at: usize) {
        let files = segments(place);
        let Some((path, bytes)) = files.get(file % files.len().max(1)) else { return };
        let is_last = file % files.len() + 1 == files.len();
        let mut bytes = bytes.clone();
        match what % 3 {
            0 if !bytes.is_empty() => {
                let at = at % bytes.len();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (what / 3 % 8);
                    self.flipped = true;
                }
            }
            1 => {
                self.cut |= at < bytes.len();
                bytes.truncate(at);
            }
            // What was begun and not synced: only the newest segment grows.
            2 if is_last => bytes.extend(std::iter::repeat_n(0, at % 512)),
            _ => {}
        }
        if let Err(error) = fs::write(path, bytes) {
            panic!("{}: {error}", path.display());
        }
    }
}

/// The segment files, the oldest first, and what is in them.
fn segments(place: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let read = fs::read_dir(place).and_then(|entries| {
        let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
        paths.sort();
        paths.into_iter().map(|path| Ok((path.clone(), fs::read(path)?))).collect()
    });
    match read {
        Ok(files) => files,
        Err(error) => panic!("{}: {error}", place.display()),
    }
}

/// What a partition holds.
struct Found {
    records: Vec<Vec<u8>>,
    /// Whether the reader came to the end.
    whole: bool,
}

/// Opens the partition and reads all of it; none where it is refused, which must touch nothing.
fn recover(place: &Path) -> Option<Found> {
    let before = segments(place);
    match Partition::open(place, SEGMENT) {
        Ok(partition) => Some(all(&partition)),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(segments(place), before, "a partition that is refused was changed");
            None
        }
    }
}

fn all(partition: &Partition) -> Found {
    let mut reader = partition.reader();
    let (mut at, end) = (reader.start(), reader.end());
    let mut records = Vec::new();
    while at < end {
        match reader.read(at, end, 1 << 16) {
            Ok(found) => {
                let Some(last) = found.last() else { break };
                assert!(last.next_offset > at && last.next_offset <= end, "the reader does not come forward");
                at = last.next_offset;
                records.extend(found.into_iter().map(|record| record.payload));
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
    }
    Found { records, whole: at >= end }
}

fn append(place: &Path, payloads: &[Vec<u8>]) -> Result<(), LogError> {
    let mut partition = Partition::open(place, SEGMENT)?;
    for payload in payloads {
        partition.append(payload)?;
    }
    partition.sync()
}

/// What comes after the recovery is appended, and found with what was before.
fn goes_on(place: &Path, before: &Found) {
    let new = b"the first record after the restart".to_vec();
    if let Err(error) = append(place, std::slice::from_ref(&new)) {
        panic!("nothing can be appended after the recovery: {error}");
    }
    let Some(after) = recover(place) else { panic!("the second start is refused") };
    if before.whole {
        assert!(after.records.iter().eq(before.records.iter().chain([&new])), "the second start finds something else");
    } else {
        assert!(after.records.starts_with(&before.records), "the second start finds less");
    }
}
