//! Reads a topic and skips records that are damaged or deleted.

use wheeltapper_log::{LogError, Reader, Record};

/// Result of reading at an offset of a topic.
#[derive(Debug)]
pub(crate) enum ReadOutcome {
    /// The records from the offset on; empty when there are no more.
    Records(Vec<Record>),
    /// Nothing is readable before this offset: the reader reports it and continues there.
    Lost(u64),
}

/// Reads records from `at` up to `until`, about `max_bytes`. A reader that stopped at damaged or deleted records would
/// wait forever.
///
/// # Errors
/// [`LogError`] when reading may succeed later.
pub(crate) fn read_or_skip(
    reader: &mut Reader,
    at: u64,
    until: u64,
    max_bytes: usize,
) -> Result<ReadOutcome, LogError> {
    match reader.read(at, until, max_bytes) {
        Ok(records) => Ok(ReadOutcome::Records(records)),
        Err(LogError::Damaged { resume, .. }) if resume > at => Ok(ReadOutcome::Lost(resume.min(until))),
        // The topic now starts after the reader's offset.
        Err(LogError::OutOfRange { start, .. }) if at < start => Ok(ReadOutcome::Lost(start.min(until))),
        Err(error) => Err(error),
    }
}
