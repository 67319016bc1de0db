//! Open QoS 2 exchanges of MQTT: stored messages that their senders may still send again.
//!
//! A client that did not receive its PUBREC sends the message again, also to a host that was killed meanwhile. So the
//! exchange is written into the records that contain the message's readings, as an [`ExchangeTag`]: a record's checksum
//! covers both, so neither is ever on the disk without the other, in whichever order partitions are synced. If a
//! message has records in several partitions, each contains its number and the total, and a resend adds only the
//! missing ones.
//!
//! The exchange ends with PUBREL. PUBCOMP waits until the end is durable in a small separate log, because the client
//! then reuses the packet id for another message, possibly with the same content. Every PUBLISH that begins an exchange
//! gets an increasing number; a release names it, so the order of records in different files is irrelevant: an exchange
//! is open if its number is greater than the last one that was released for its packet id.
//!
//! Periodic snapshots (the open exchanges and the offsets up to which the logs were read) bound how much is read at the
//! start. A snapshot first notes the ends of the logs; then an empty append goes through each committer, so that
//! everything that was durable at those ends is known; only then the open exchanges are copied. Records written in
//! between are read twice, which is harmless.
//!
//! A message with other content is another message. So is a message without the duplicate flag, unless its exchange is
//! open from before a restart: sessions end with the host, and a client that learns this sends its pending messages
//! again without the flag. One case remains: a client that lost its own session starts a new message with the same
//! packet id and content as one that was pending when the host died.

mod records;
mod state;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::sync::oneshot;
use wheeltapper_log::{Append, Committer, LogRetention, Partition, Reader};
use wheeltapper_mqtt::Exchange;

use self::{
    records::{ExchangeLogContent, digest, encode_end, encode_snapshot, session_key},
    state::{ExchangeState, OpenExchange, Pending},
};
use crate::{
    clock,
    topics::{ExchangeTag, RawRecord, ReadOutcome, SessionKey, read_or_skip},
};

/// Maximum number of open exchanges, about 100 MB. Beyond it new ones are answered as busy.
const MAX_OPEN_EXCHANGES: usize = 1 << 20;
/// An exchange is dropped after this time: the broker keeps no session for longer than 7 days.
const EXCHANGE_TTL: Duration = Duration::from_secs(8 * 24 * 3600);
/// Minimum interval between snapshots. A snapshot is made when an exchange has changed, or the raw topic has grown by
/// `MIN_SNAPSHOT_GROWTH` bytes.
const MIN_SNAPSHOT_INTERVAL: Duration = Duration::from_secs(30);
const MIN_SNAPSHOT_GROWTH: u64 = 16 << 20;
/// Bytes of a log per read.
const READ_BYTES: usize = 4 << 20;
/// Maximum number of ends of exchanges that wait to be written.
const MAX_PENDING_ENDS: usize = 65_536;
/// How long a snapshot waits for the committers.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A message to be stored, and its parts that are already stored.
#[derive(Debug)]
pub(crate) struct StoreRequest {
    pub(crate) tag: ExchangeTag,
    /// The parts that an earlier attempt has stored, and the number of parts then.
    stored: Option<(Vec<u16>, u16)>,
    _attempt: Attempt,
}

/// An attempt to store a message. A resend waits for it: while the disk hangs, a client may reconnect and send the message again
/// before the first attempt ends.
#[derive(Debug)]
struct Attempt {
    state: Arc<Mutex<ExchangeState>>,
    exchange: (SessionKey, u16),
    number: u64,
}

impl Drop for Attempt {
    /// Ends the attempt. If it stored nothing, the channels of the waiting resends close.
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.finish(self.exchange, self.number);
    }
}

impl StoreRequest {
    /// Whether a part is already stored. If the message now has another number of records, because the configuration
    /// has changed, its parts cannot be matched and all are stored.
    pub(crate) fn is_stored(&self, part: u16, parts: u16) -> bool {
        self.stored.as_ref().is_some_and(|(stored, of)| *of == parts && stored.contains(&part))
    }
}

/// What to do with a QoS 2 message.
#[derive(Debug)]
pub(crate) enum BeginOutcome {
    /// It is already stored: an earlier acknowledgement was lost.
    AlreadyStored,
    /// It must be stored.
    Store(StoreRequest),
    /// An earlier copy is still being stored. The channel reports when it is stored; it closes when storing failed.
    Wait(oneshot::Receiver<()>),
    /// The maximum number of open exchanges is reached.
    Full,
}

/// The open exchanges and their log.
#[derive(Debug)]
pub(crate) struct Exchanges {
    state: Arc<Mutex<ExchangeState>>,
    /// The first exchange number since the host started.
    first_number: u64,
    next_number: AtomicU64,
    /// The log of their ends and of snapshots.
    log: Committer,
    log_reader: Reader,
    raw_readers: Vec<Reader>,
}

impl Exchanges {
    /// Restores the open exchanges: from the last snapshot, the records of the raw topic since, and the ends.
    /// `partition` is the log of exchanges, `raw` are the partitions of the raw topic.
    ///
    /// # Errors
    /// When no thread can be started, or the log cannot be written.
    pub(crate) fn open(partition: Partition, raw: Vec<Reader>) -> anyhow::Result<Self> {
        let own = partition.reader();
        let mut found = ExchangeLogContent::default();
        let whole = own.end();
        if let Err(error) = for_each_record(&mut own.clone(), own.start(), whole, |payload| found.add_record(payload)) {
            // The host starts anyway: accepting readings matters more than possible duplicates.
            tracing::error!(
                error = format!("{error:#}"),
                "MQTT messages of QoS 2 that are sent again may be stored twice"
            );
        }
        let ExchangeLogContent { mut state, ends, from, mut last } = found;
        // Without a snapshot there has been no exchange.
        for (reader, start) in raw.iter().zip(from) {
            let start = start.max(reader.start());
            let scanned = for_each_record(&mut reader.clone(), start, reader.end(), |payload| {
                if let Some((tag, part, parts)) = RawRecord::tag(payload).and_then(ExchangeTag::read) {
                    last = last.max(tag.number);
                    state.record_part(&tag, part, parts, clock::now());
                }
            });
            if let Err(error) = scanned {
                tracing::error!(
                    error = format!("{error:#}"),
                    "MQTT messages of QoS 2 that are sent again may be stored twice"
                );
            }
        }
        for (session, id, number) in ends {
            last = last.max(number);
            state.end_exchanges(&session, id, number);
        }
        if state.count > 0 {
            tracing::info!(exchanges = state.count, "QoS 2 exchanges of MQTT are open from before the restart");
        }
        let log = Committer::start(vec![partition], MAX_PENDING_ENDS, Duration::ZERO)?;
        let first = last + 1;
        let exchanges = Self {
            state: Arc::new(Mutex::new(state)),
            first_number: first,
            next_number: AtomicU64::new(first),
            log,
            log_reader: own,
            raw_readers: raw,
        };
        // Immediately, so that there is a snapshot before the first exchange.
        exchanges.write_snapshot().context("saving MQTT's QoS 2 exchanges")?;
        Ok(exchanges)
    }

    fn lock(&self) -> MutexGuard<'_, ExchangeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of open exchanges.
    pub(crate) fn count(&self) -> usize {
        self.lock().count
    }

    /// Decides what to do with a message that belongs to this exchange.
    pub(crate) fn begin(&self, exchange: &Exchange, topic: &str, payload: &[u8]) -> BeginOutcome {
        let session = session_key(&exchange.session);
        let digest = digest(topic, payload);
        let mut state = self.lock();
        let key = (session, exchange.packet_id);
        if let Some(pending) = state.pending.get_mut(&key).filter(|pending| exchange.dup && pending.digest == digest) {
            // Drops the resends whose connections have closed.
            pending.waiting.retain(|waiting| !waiting.is_closed());
            let (sender, receiver) = oneshot::channel();
            pending.waiting.push(sender);
            return BeginOutcome::Wait(receiver);
        }
        let known = state.get(&session, exchange.packet_id);
        // A client that learns that its session is gone sends pending messages without the duplicate flag.
        let again = |open: &&OpenExchange| (exchange.dup || open.number < self.first_number) && open.digest == digest;
        if let Some(open) = known.filter(again) {
            if open.is_complete() {
                return BeginOutcome::AlreadyStored;
            }
            let tag = ExchangeTag { session, id: exchange.packet_id, number: open.number, digest };
            let stored = Some((open.stored.clone(), open.parts));
            return BeginOutcome::Store(self.store_request(&mut state, tag, stored));
        }
        if known.is_none() && state.count >= MAX_OPEN_EXCHANGES {
            return BeginOutcome::Full;
        }
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        BeginOutcome::Store(self.store_request(
            &mut state,
            ExchangeTag { session, id: exchange.packet_id, number, digest },
            None,
        ))
    }

    fn store_request(
        &self,
        state: &mut ExchangeState,
        tag: ExchangeTag,
        stored: Option<(Vec<u16>, u16)>,
    ) -> StoreRequest {
        let exchange = (tag.session, tag.id);
        let (number, digest) = (tag.number, tag.digest);
        state.pending.insert(exchange, Pending { number, digest, waiting: Vec::new() });
        StoreRequest { tag, stored, _attempt: Attempt { state: Arc::clone(&self.state), exchange, number } }
    }

    /// Records that all parts of a message are durable.
    pub(crate) fn mark_stored(&self, tag: &ExchangeTag, parts: u16) {
        let mut state = self.lock();
        for part in 0..parts {
            state.record_part(tag, part, parts, clock::now());
        }
        for waiting in state.finish((tag.session, tag.id), tag.number) {
            // The connection of the resend may have closed.
            let _ = waiting.send(());
        }
    }

    /// Ends an exchange. Returns `None` when it is not open, so nothing needs to be written; otherwise a channel that
    /// receives when the end is durable, and is closed when it could not be written.
    pub(crate) fn release(self: &Arc<Self>, exchange: &Exchange) -> Option<oneshot::Receiver<()>> {
        let session = session_key(&exchange.session);
        let number = self.lock().get(&session, exchange.packet_id)?.number;
        let (done, released) = oneshot::channel();
        self.write_end(session, Some(exchange.packet_id), number, Some(done));
        Some(released)
    }

    /// Ends all exchanges of a session.
    pub(crate) fn end_session(self: &Arc<Self>, session: &str) {
        let session = session_key(session);
        let number = {
            let state = self.lock();
            let Some(known) = state.sessions.get(&session) else { return };
            known.values().map(|open| open.number).max().unwrap_or(0)
        };
        self.write_end(session, None, number, None);
    }

    fn write_end(
        self: &Arc<Self>,
        session: SessionKey,
        id: Option<u16>,
        number: u64,
        done: Option<oneshot::Sender<()>>,
    ) {
        let exchanges = Arc::downgrade(self);
        self.log.append(Append {
            batches: vec![(0, frame_record(&encode_end(&session, id, number)))],
            on_complete: Box::new(move |result| {
                if let Err(error) = result {
                    tracing::warn!(%error, "the end of a QoS 2 exchange could not be written");
                    return;
                }
                if let Some(exchanges) = exchanges.upgrade() {
                    exchanges.lock().end_exchanges(&session, id, number);
                }
                // The receiver may be gone.
                let _ = done.map(|done| done.send(()));
            }),
        });
    }

    /// Makes a snapshot if one is due. `raw` is the committer of the raw topic. Waits for the disk.
    ///
    /// # Errors
    /// When it could not be written; the next call tries again.
    pub(crate) fn snapshot_if_due(&self, raw: &Committer) -> anyhow::Result<()> {
        let grown = self.raw_readers.iter().map(Reader::end).sum();
        {
            let state = self.lock();
            let due = state.snapshot.is_none_or(|(at, sum)| {
                at.elapsed() >= MIN_SNAPSHOT_INTERVAL
                    && (state.has_changed || sum.abs_diff(grown) >= MIN_SNAPSHOT_GROWTH)
            });
            if !due {
                return Ok(());
            }
        }
        self.write_snapshot_after(Some(raw))
    }

    fn write_snapshot(&self) -> anyhow::Result<()> {
        self.write_snapshot_after(None)
    }

    fn write_snapshot_after(&self, raw: Option<&Committer>) -> anyhow::Result<()> {
        let ends: Vec<u64> = self.raw_readers.iter().map(Reader::end).collect();
        let own = self.log_reader.end();
        // Everything that was durable at those ends is known once these appends have returned.
        for committer in raw.into_iter().chain([&self.log]) {
            commit_and_wait(committer, Vec::new())?;
        }
        let snapshot = {
            let mut state = self.lock();
            let oldest = clock::now().saturating_sub(i64::try_from(EXCHANGE_TTL.as_nanos()).unwrap_or(i64::MAX));
            state.drop_opened_before(oldest);
            state.has_changed = false;
            state.snapshot = Some((Instant::now(), ends.iter().sum()));
            encode_snapshot(&state, self.next_number.load(Ordering::Relaxed), &ends)
        };
        let written = commit_and_wait(&self.log, vec![(0, frame_record(&snapshot))]);
        if written.is_err() {
            self.lock().has_changed = true;
        }
        written?;
        // Ends from before the snapshot are in it.
        self.log.expire(LogRetention { max_age: Duration::ZERO, max_bytes: 0 }, vec![own]);
        Ok(())
    }
}

/// Appends, and waits until it is durable.
fn commit_and_wait(committer: &Committer, parts: Vec<(usize, Vec<u8>)>) -> anyhow::Result<()> {
    let (done, result) = crossbeam_channel::bounded(1);
    committer.append(Append {
        batches: parts,
        on_complete: Box::new(move |result| {
            let _ = done.send(result);
        }),
    });
    Ok(result.recv_timeout(COMMIT_TIMEOUT)??)
}

fn frame_record(payload: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    wheeltapper_log::encode_frame(payload, &mut framed);
    framed
}

/// Calls `each` with the records from `offset` up to `end`.
fn for_each_record(reader: &mut Reader, mut offset: u64, end: u64, mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
    while offset < end {
        let records = match read_or_skip(reader, offset, end, READ_BYTES)? {
            ReadOutcome::Records(records) => records,
            // The worker reports it; later records still count.
            ReadOutcome::Lost(resume) => {
                offset = resume;
                continue;
            }
        };
        let Some(last) = records.last() else { break };
        offset = last.next_offset;
        records.iter().for_each(|record| each(&record.payload));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
