//! Reading a topic past what is damaged or gone.

use wheeltapper_log::{LogError, Reader, Record};

/// What lies at an offset of a topic.
#[derive(Debug)]
pub(crate) enum Read {
    /// The records from there on; none when there are no more.
    Records(Vec<Record>),
    /// Nothing readable before this offset: a follower says so and goes on there.
    Lost(u64),
}

/// Reads from `at` on and before `until`, about `max_bytes`. A follower that stopped at damaged or deleted records would
/// wait for ever for what nobody can bring back.
///
/// # Errors
/// [`LogError`], when reading may work later.
pub(crate) fn read(reader: &mut Reader, at: u64, until: u64, max_bytes: usize) -> Result<Read, LogError> {
    match reader.read(at, until, max_bytes) {
        Ok(records) => Ok(Read::Records(records)),
        Err(LogError::Damaged { resume, .. }) if resume > at => Ok(Read::Lost(resume.min(until))),
        // The topic begins later than the follower left off.
        Err(LogError::OutOfRange { start, .. }) if at < start => Ok(Read::Lost(start.min(until))),
        Err(error) => Err(error),
    }
}
