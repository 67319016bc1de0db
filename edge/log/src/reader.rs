//! Reading a partition's durable records, and waiting for more.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use crate::{
    FRAME, LogError, head,
    partition::{Shared, segment_path},
};

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub offset: u64,
    /// Where the next one begins.
    pub next: u64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// Reads the durable records of a partition from any offset.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    /// The segment that was read last, by its first offset.
    open: Option<(u64, File)>,
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: None }
    }

    /// The first offset that is held.
    pub fn start(&self) -> u64 {
        self.shared.bases.read().unwrap_or_else(PoisonError::into_inner).first().copied().unwrap_or(0)
    }

    /// The offset after the last durable record.
    pub fn end(&self) -> u64 {
        self.shared.end.load(Ordering::Acquire)
    }

    /// Waits until a record at or after `offset` is durable, at most `timeout`; tells whether one is.
    pub fn wait(&self, offset: u64, timeout: Duration) -> bool {
        self.wait_or_wake(offset, timeout, self.wakes())
    }

    /// As [`Self::wait`], but ends as well when somebody has called [`Self::wake`] since there were so many wakes.
    pub fn wait_or_wake(&self, offset: u64, timeout: Duration, wakes: u64) -> bool {
        let held = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let _held = self
            .shared
            .grown
            .wait_timeout_while(held, timeout, |()| self.end() <= offset && self.wakes() == wakes)
            .unwrap_or_else(PoisonError::into_inner);
        self.end() > offset
    }

    /// How often [`Self::wake`] was called.
    pub fn wakes(&self) -> u64 {
        self.shared.wakes.load(Ordering::Acquire)
    }

    /// Wakes who waits, though there may be nothing new.
    pub fn wake(&self) {
        let _held = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.wakes.fetch_add(1, Ordering::Release);
        self.shared.grown.notify_all();
    }

    /// The records from `offset` on, up to about `max_bytes` and not past `until`, at least one when there is one. Stops
    /// at a segment's end.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] when `offset` is not held; [`LogError::Damaged`] on a checksum that does not match;
    /// [`LogError::Io`].
    pub fn read(&mut self, offset: u64, until: u64, max_bytes: usize) -> Result<Vec<Record>, LogError> {
        let end = self.end().min(until);
        if offset >= end {
            return Ok(Vec::new());
        }
        let (base, stop) = self.segment_of(offset, end)?;
        let path = segment_path(&self.shared.folder, base);
        let file = match &mut self.open {
            Some((open, file)) if *open == base => file,
            slot => {
                let file = File::open(&path).map_err(LogError::io("opening", &path))?;
                &mut slot.insert((base, file)).1
            }
        };
        let available = usize::try_from(stop - offset).unwrap_or(usize::MAX);
        let mut bytes = vec![0; available.min(max_bytes.max(FRAME))];
        file.read_exact_at(&mut bytes, offset - base).map_err(LogError::io("reading", &path))?;
        // A record larger than `max_bytes` is read whole all the same.
        if let Some((length, _)) = head(&bytes)
            && bytes.len() < FRAME + length
        {
            if available < FRAME + length {
                return Err(LogError::Damaged { path, offset });
            }
            bytes = vec![0; FRAME + length];
            file.read_exact_at(&mut bytes, offset - base).map_err(LogError::io("reading", &path))?;
        }
        let mut records = Vec::new();
        let mut at = 0;
        while let Some((length, check)) = bytes.get(at..).and_then(head) {
            let Some(payload) = bytes.get(at + FRAME..at + FRAME + length) else { break };
            let offset = offset + at as u64;
            if crc32c::crc32c(payload) != check {
                return Err(LogError::Damaged { path, offset });
            }
            at += FRAME + length;
            records.push(Record { offset, next: offset + (FRAME + length) as u64, payload: payload.to_vec() });
        }
        if records.is_empty() {
            return Err(LogError::Damaged { path, offset });
        }
        Ok(records)
    }

    /// The segment that holds `offset`, and where its durable records stop.
    fn segment_of(&self, offset: u64, end: u64) -> Result<(u64, u64), LogError> {
        let bases = self.shared.bases.read().unwrap_or_else(PoisonError::into_inner);
        let after = bases.partition_point(|&base| base <= offset);
        match after.checked_sub(1).and_then(|index| bases.get(index)) {
            Some(&base) => Ok((base, bases.get(after).copied().unwrap_or(u64::MAX).min(end))),
            None => Err(LogError::OutOfRange { offset, start: bases.first().copied().unwrap_or(0), end }),
        }
    }
}
