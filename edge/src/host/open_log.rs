//! Opens the log, and reports what was lost.

use wheeltapper_log::{Partition, Reader};
use wheeltapper_store::Store;

use crate::{
    line::DEAD_LETTER_OWNER,
    metrics::Metrics,
    topics::{Topic, Topics},
};

/// Store key of the log's identity; it is present if the store has ever had a log.
pub(crate) const LOG_IDENTITY_KEY: &str = "log";

/// Logs an error if the store had a log and the log is gone: readings that were only in the log are lost.
pub(super) fn report_lost_log(store: &Store, is_new: bool) -> anyhow::Result<()> {
    // A backup has another identity and starts with an empty log on purpose.
    let identity = store.identity().as_bytes();
    let had_one = store.state_get(LOG_IDENTITY_KEY)?.is_some_and(|known| known == identity);
    if is_new && had_one {
        tracing::error!(
            "the log folder was deleted: acknowledged readings that were not in the store yet are lost; the host \
             continues with an empty log"
        );
    }
    if !had_one {
        store.state_put(LOG_IDENTITY_KEY, identity)?;
    }
    Ok(())
}

/// The partitions with several writers, and readers of them.
pub(crate) struct OpenedLog {
    pub(crate) raw: Vec<Reader>,
    pub(super) dead_letters: Reader,
    /// The partitions of raw-sensor-data, then the one of ingest's dead letters.
    pub(crate) partitions: Vec<Partition>,
}

/// Opens the log, advances it to the store's offsets where it ends earlier, and reports what was lost.
pub(crate) fn open_log(topics: &Topics, store: &Store, metrics: &Metrics) -> anyhow::Result<OpenedLog> {
    let states = store.checkpoints()?;
    let stored = |owner: u16| {
        let state = states.iter().find(|state| state.partition == owner);
        state.map_or(0, |state| state.applied_offset.max(state.snapshot_offset))
    };
    let mut raw = Vec::new();
    let mut owned = Vec::new();
    for number in 0..topics.partitions() {
        let mut partition = topics.open(Topic::Raw, number)?;
        let lost = report_recovery(&format!("raw-sensor-data/{number}"), &partition);
        metrics.log_damaged_bytes(number).inc_by(lost);
        advance_to_store_offset(&mut partition, stored(number), &format!("raw-sensor-data/{number}"))?;
        raw.push(partition.reader());
        owned.push(partition);
    }
    let mut dead_letter_partition = topics.open(Topic::DeadLetters, topics.ingest_dead_letter_partition())?;
    report_recovery("dlq-sensor-data", &dead_letter_partition);
    advance_to_store_offset(&mut dead_letter_partition, stored(DEAD_LETTER_OWNER), "dlq-sensor-data")?;
    let dead_letters = dead_letter_partition.reader();
    owned.push(dead_letter_partition);
    Ok(OpenedLog { raw, dead_letters, partitions: owned })
}

/// Reports damage that was found when the log was opened; returns the number of lost bytes.
fn report_recovery(name: &str, partition: &Partition) -> u64 {
    let recovery = partition.recovery();
    for damage in &recovery.damaged {
        tracing::error!(
            partition = name, from = damage.range.start, to = damage.range.end, file = %damage.path.display(),
            "the log is damaged: acknowledged records in this range cannot be read and are lost; the intact ones around it \
             are kept. Check the disk"
        );
    }
    for missing in &recovery.missing {
        tracing::error!(
            partition = name,
            from = missing.start,
            to = missing.end,
            "files of the log are missing: the records in this range are lost; those around it are kept"
        );
    }
    if recovery.torn_bytes > 0 {
        tracing::info!(
            partition = name,
            bytes = recovery.torn_bytes,
            "a torn record that was never acknowledged was truncated"
        );
    }
    recovery.lost_bytes()
}

/// Advances the log to the store's offset where the log was deleted or its end was lost. New records must not reuse
/// offsets that the store has already passed, because no reader would see them.
fn advance_to_store_offset(partition: &mut Partition, stored: u64, name: &str) -> anyhow::Result<()> {
    let end = partition.end();
    if stored > end {
        tracing::error!(
            partition = name,
            log_end = end,
            store = stored,
            "the log ends before the offset up to which the store has it: the log was deleted, or its end was lost. \
             Acknowledged readings that were not in the store yet are lost; the log continues at the store's offset"
        );
        partition.advance_to(stored)?;
    }
    Ok(())
}
