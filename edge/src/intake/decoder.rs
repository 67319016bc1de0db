//! A decoder thread: an ingest instance and its queue of events.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use crossbeam_channel::Receiver;
use tokio::sync::oneshot;
use wheeltapper_log::Append;
use wheeltapper_store::{StoreError, StoreErrorKind};

use super::{
    context::IntakeContext,
    event::{Envelope, EventSender, FailureKind, IntakeError, Receipt, RejectedPart},
    exchanges::StoreRequest,
    partition_splitter::Splitter,
    sensor_limits, site_filter,
};
use crate::{
    components::{
        CallError, Ingester, StageName,
        wit::{
            ingest::{Decoded, Envelope as WitEnvelope, RejectedPart as WitRejectedPart},
            types::{Reason, Rejection},
        },
    },
    name_dictionary,
    rows::reason_name,
    supervisor::TaskContext,
    topics::DeadLetterEvent,
};

/// Maximum bytes of events per call, unless a single event is larger.
const MAX_CALL_BYTES: usize = 1 << 20;
/// Maximum number of events per call.
const MAX_CALL_EVENTS: usize = 4096;
/// Maximum bytes that are kept of an event on which ingest itself failed.
const MAX_KEPT_PAYLOAD: usize = 1 << 20;

/// Events of one submit.
#[derive(Debug)]
pub(super) struct DecodeJob {
    pub(super) envelopes: Vec<Envelope>,
    pub(super) sender: Arc<EventSender>,
    /// The QoS 2 exchange of the event, if it is a single one.
    pub(super) exchange: Option<StoreRequest>,
    /// The job's share of the queue's bytes; returned when the job is dropped, also by a panic.
    pub(super) share: QueueShare,
    pub(super) reply_sender: oneshot::Sender<Result<Vec<Receipt>, IntakeError>>,
}

/// Bytes of the event queue that a job occupies.
#[derive(Debug)]
pub(super) struct QueueShare {
    pub(super) bytes: usize,
    pub(super) queued_bytes: Arc<AtomicUsize>,
}

impl Drop for QueueShare {
    fn drop(&mut self) {
        self.queued_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// State of a decoder thread.
#[derive(Debug)]
pub(super) struct Decoder {
    context: IntakeContext,
    latest_config: Arc<Mutex<Arc<str>>>,
    /// The configuration with which the instance runs.
    active_config: Arc<str>,
    state_key: String,
    ingester: Ingester,
    splitter: Splitter,
}

impl Decoder {
    pub(super) fn open(context: IntakeContext, config: Arc<Mutex<Arc<str>>>, index: usize) -> anyhow::Result<Self> {
        let running = Arc::clone(&config.lock().unwrap_or_else(PoisonError::into_inner));
        let state_key = format!("ingest/{index}");
        let snapshot = context.store.state_get(&state_key)?;
        let ingester = Ingester::open(&context.sandbox, &running, snapshot.as_deref())?;
        let splitter = Splitter::new(context.partitions);
        Ok(Self { context, latest_config: config, active_config: running, state_key, ingester, splitter })
    }

    /// Decodes until all senders of jobs are dropped.
    pub(super) fn run(&mut self, jobs: &Receiver<DecodeJob>, task: &TaskContext) {
        while let Ok(first) = jobs.recv() {
            let mut bytes = first.share.bytes;
            let mut events = first.envelopes.len();
            let mut batch = vec![first];
            while bytes < MAX_CALL_BYTES && events < MAX_CALL_EVENTS {
                let Ok(job) = jobs.try_recv() else { break };
                bytes += job.share.bytes;
                events += job.envelopes.len();
                batch.push(job);
            }
            self.apply_latest_config();
            // The event of an exchange has its own records, which are tagged with the exchange.
            let mut batch_without_exchange = Vec::new();
            for mut job in batch {
                match job.exchange.take() {
                    None => batch_without_exchange.push(job),
                    Some(request) => {
                        self.decode_batch(std::mem::take(&mut batch_without_exchange), None);
                        self.decode_batch(vec![job], Some(request));
                    }
                }
            }
            self.decode_batch(batch_without_exchange, None);
            task.mark_healthy();
        }
    }

    fn apply_latest_config(&mut self) {
        let latest = Arc::clone(&self.latest_config.lock().unwrap_or_else(PoisonError::into_inner));
        if Arc::ptr_eq(&latest, &self.active_config) {
            return;
        }
        let opened = self
            .ingester
            .snapshot()
            .and_then(|snapshot| Ingester::open(&self.context.sandbox, &latest, Some(&snapshot)));
        match opened {
            Ok(ingester) => self.ingester = ingester,
            Err(error) => {
                tracing::error!(%error, "the new configuration cannot be used; ingest keeps the previous one")
            }
        }
        self.active_config = latest;
    }

    fn decode_batch(&mut self, batch: Vec<DecodeJob>, request: Option<StoreRequest>) {
        if batch.is_empty() {
            return;
        }
        let (mut replies, mut shares, mut envelopes) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
        let mut senders: Vec<(Range<usize>, Arc<EventSender>)> = Vec::new();
        for job in batch {
            replies.push((job.reply_sender, job.envelopes.len()));
            // Returned when the batch is done.
            shares.push(job.share);
            senders.push((envelopes.len()..envelopes.len() + job.envelopes.len(), job.sender));
            envelopes.extend(job.envelopes.into_iter().map(|envelope| WitEnvelope {
                source: envelope.source,
                format: envelope.format,
                sensor: envelope.sensor,
                arrival: envelope.arrival,
                payload: envelope.payload.into(),
            }));
        }
        let decoded = match self.decode_for_senders(&envelopes, &senders) {
            Ok(decoded) => decoded,
            Err(error) => {
                let kind =
                    if error.kind() == StoreErrorKind::DiskFull { FailureKind::DiskFull } else { FailureKind::Other };
                let message = format!("a new sensor could not be registered: {error}");
                return send_replies(replies, &[], Err(IntakeError::Failed { kind, message }));
            }
        };
        self.save_state(decoded.state_changed);
        let arrival = envelopes.first().map_or(0, |envelope| envelope.arrival);
        let receipts = receipts(&decoded, envelopes.len());
        // A replayed dead letter of which nothing is accepted stays; it was already counted when it was rejected.
        let any_replay = senders.iter().any(|(_, sender)| sender.is_replay);
        let has_dead_letter = |at: usize| {
            let replayed = any_replay && senders.iter().any(|(range, sender)| sender.is_replay && range.contains(&at));
            replayed && receipts.get(at).is_some_and(|receipt: &Receipt| receipt.accepted == 0)
        };
        self.count_receipts(
            receipts.iter().enumerate().filter(|(at, _)| !has_dead_letter(*at)).map(|(_, receipt)| receipt),
        );
        let dead_letters = dead_letters(&decoded.rejected, &envelopes, has_dead_letter);
        let registry = &self.context.registry;
        let (mut parts, records) = match &request {
            None => (self.splitter.split(decoded, arrival, registry), 0),
            Some(request) => self.splitter.split_tagged(decoded, arrival, registry, request),
        };
        if !dead_letters.is_empty() {
            parts.push((usize::from(self.context.partitions), dead_letters));
        }
        if parts.is_empty() {
            return send_replies(replies, &receipts, Ok(()));
        }
        let commit = self.context.metrics.commit_seconds.clone();
        let started = Instant::now();
        let exchanges = Arc::clone(&self.context.exchanges);
        let done = Box::new(move |result: Result<(), wheeltapper_log::CommitError>| {
            commit.observe(started.elapsed().as_secs_f64());
            if let Some(request) = request.filter(|_| result.is_ok() && records > 0) {
                // Before the acknowledgement, and before the next snapshot of the exchanges.
                exchanges.mark_stored(&request.tag, records);
            }
            send_replies(replies, &receipts, result.map_err(IntakeError::from));
        });
        self.context.committer.append(Append { batches: parts, on_complete: done });
    }

    /// Decodes events, and removes readings that their senders may not send. All sensors of the result are registered.
    ///
    /// # Errors
    /// When a new sensor cannot be registered.
    fn decode_for_senders(
        &mut self,
        envelopes: &[WitEnvelope],
        senders: &[(Range<usize>, Arc<EventSender>)],
    ) -> Result<Decoded, StoreError> {
        let restricted = senders.iter().any(|(_, sender)| sender.sites.is_some());
        if !restricted {
            let decoded = self.decode_with_retry(envelopes);
            let locations = self.context.registry.lookup(name_dictionary::names(&decoded.sensors));
            if locations.iter().all(Option::is_some) {
                return Ok(decoded);
            }
        }
        // One by one, as the result of a call does not say which event a reading came from.
        let mut combined = empty_decoded();
        for (index, envelope) in envelopes.iter().enumerate() {
            let sender = senders.iter().find(|(range, _)| range.contains(&index)).map(|(_, sender)| sender.as_ref());
            let sites = sender.and_then(|sender| sender.sites.as_deref());
            let one = std::slice::from_ref(envelope);
            let mut decoded = match sites {
                None => self.decode_with_retry(one),
                // Events rejected here must not reach ingest: they could change how Sparkplug data of others is
                // decoded.
                Some(sites) => site_filter::reject_before_decoding(envelope, sites).unwrap_or_else(|| {
                    site_filter::remove_foreign_readings(self.decode_with_retry(one), envelope, sites)
                }),
            };
            let name = sender.and_then(|sender| sender.name.as_deref());
            decoded = sensor_limits::admit(decoded, envelope, &self.context.registry, name)?;
            append_decoded(&mut combined, decoded, u32::try_from(index).unwrap_or(u32::MAX));
        }
        Ok(combined)
    }

    /// Decodes all events in one call. If the instance fails, decodes them one by one on new instances, and rejects an
    /// event that makes its instance fail twice.
    fn decode_with_retry(&mut self, envelopes: &[WitEnvelope]) -> Decoded {
        let started = Instant::now();
        let result = self.ingester.decode(envelopes);
        self.context.metrics.stage(StageName::Ingest).observe(started.elapsed().as_secs_f64());
        let error = match result {
            Ok(decoded) => return decoded,
            Err(error) => error,
        };
        self.reopen_ingester(&error);
        if let [envelope] = envelopes {
            return match self.ingester.decode(envelopes) {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.reopen_ingester(&error);
                    reject_event(envelope, &error)
                }
            };
        }
        let mut combined = empty_decoded();
        for (index, envelope) in envelopes.iter().enumerate() {
            let decoded = self.decode_with_retry(std::slice::from_ref(envelope));
            append_decoded(&mut combined, decoded, u32::try_from(index).unwrap_or(u32::MAX));
        }
        combined
    }

    fn reopen_ingester(&mut self, error: &CallError) {
        tracing::error!(%error, "ingest is reopened");
        self.context.metrics.restarts(StageName::Ingest).inc();
        let opened =
            self.context.store.state_get(&self.state_key).map_err(anyhow::Error::from).and_then(|snapshot| {
                Ok(Ingester::open(&self.context.sandbox, &self.active_config, snapshot.as_deref())?)
            });
        match opened {
            Ok(ingester) => self.ingester = ingester,
            Err(error) => tracing::error!(%error, "ingest cannot be reopened"),
        }
    }

    /// Saves the state after Sparkplug births, which are the only state: they are rare, and later data cannot be
    /// decoded without them.
    fn save_state(&mut self, changed: bool) {
        if !changed {
            return;
        }
        let saved = self
            .ingester
            .snapshot()
            .map_err(anyhow::Error::from)
            .and_then(|snapshot| Ok(self.context.store.state_put(&self.state_key, &snapshot)?));
        if let Err(error) = saved {
            tracing::error!(%error, "a Sparkplug birth could not be saved; after a restart its data is rejected until the next birth");
        }
    }

    fn count_receipts<'a>(&self, receipts: impl Iterator<Item = &'a Receipt>) {
        let metrics = &self.context.metrics;
        let mut accepted = 0;
        for receipt in receipts {
            accepted += receipt.accepted;
            for rejected in &receipt.rejected {
                metrics.rejected(rejected.reason).inc_by(u64::from(rejected.readings));
            }
        }
        metrics.readings_in.inc_by(accepted);
        metrics.items(StageName::Ingest).inc_by(accepted);
    }
}

type ReplySender = oneshot::Sender<Result<Vec<Receipt>, IntakeError>>;

fn send_replies(replies: Vec<(ReplySender, usize)>, receipts: &[Receipt], result: Result<(), IntakeError>) {
    let mut rest = receipts;
    for (reply_sender, events) in replies {
        let (own, later) = rest.split_at(events.min(rest.len()));
        rest = later;
        // A sender that no longer waits needs no reply.
        let _ = reply_sender.send(result.clone().map(|()| own.to_vec()));
    }
}

fn receipts(decoded: &Decoded, events: usize) -> Vec<Receipt> {
    let mut receipts = vec![Receipt::default(); events];
    for (receipt, &accepted) in receipts.iter_mut().zip(&decoded.accepted) {
        receipt.accepted = u64::from(accepted);
    }
    for part in &decoded.rejected {
        if let Some(receipt) = receipts.get_mut(part.envelope as usize) {
            receipt.rejected.push(RejectedPart {
                position: part.position,
                reason: reason_name(part.rejection.reason),
                message: part.rejection.message.clone(),
                readings: part.readings,
            });
        }
    }
    receipts
}

/// Framed records for the dead-letter topic, except for events that already have a dead letter.
fn dead_letters(
    rejected_parts: &[WitRejectedPart],
    envelopes: &[WitEnvelope],
    has_dead_letter: impl Fn(usize) -> bool,
) -> Vec<u8> {
    let mut framed = Vec::new();
    for part in rejected_parts.iter().filter(|part| !has_dead_letter(part.envelope as usize)) {
        let Some(envelope) = envelopes.get(part.envelope as usize) else { continue };
        let event = DeadLetterEvent {
            time: envelope.arrival,
            source: part.source.clone(),
            reason: reason_name(part.rejection.reason).to_owned(),
            message: part.rejection.message.clone(),
            payload: part.payload.clone(),
            readings: part.readings,
            sensor: envelope.sensor.clone(),
            format: part.format.clone(),
        };
        match serde_json::to_vec(&event) {
            Ok(json) => wheeltapper_log::encode_frame(&json, &mut framed),
            Err(error) => tracing::error!(%error, "a dead letter cannot be written"),
        }
    }
    framed
}

fn empty_decoded() -> Decoded {
    Decoded {
        sensors: name_dictionary::empty(),
        readings: crate::components::wit::types::ReadingColumns { sensor: vec![], time: vec![], value: vec![] },
        waveforms: vec![],
        accepted: vec![],
        rejected: vec![],
        state_changed: false,
    }
}

fn reject_event(envelope: &WitEnvelope, error: &CallError) -> Decoded {
    let kept_length = envelope.payload.len().min(MAX_KEPT_PAYLOAD);
    let part = WitRejectedPart {
        envelope: 0,
        position: 0,
        sensor: None,
        rejection: Rejection {
            reason: Reason::StageFailure,
            message: format!("{error}; the event is kept as a dead letter: replay it once the component is fixed"),
        },
        payload: envelope.payload.get(..kept_length).unwrap_or_default().to_vec(),
        source: envelope.source.clone(),
        format: envelope.format.clone(),
        readings: 1,
    };
    Decoded { accepted: vec![0], rejected: vec![part], ..empty_decoded() }
}

/// Appends the result of one more event.
fn append_decoded(combined: &mut Decoded, decoded: Decoded, envelope: u32) {
    let shift = u32::try_from(combined.sensors.ends.len()).unwrap_or(u32::MAX);
    for name in name_dictionary::names(&decoded.sensors) {
        name_dictionary::push_name(&mut combined.sensors, name);
    }
    combined.readings.sensor.extend(decoded.readings.sensor.iter().map(|sensor| sensor + shift));
    combined.readings.time.extend(decoded.readings.time);
    combined.readings.value.extend(decoded.readings.value);
    combined.waveforms.extend(decoded.waveforms.into_iter().map(|mut waveform| {
        waveform.sensor += shift;
        waveform
    }));
    combined.accepted.extend(decoded.accepted);
    combined.rejected.extend(decoded.rejected.into_iter().map(|mut part| {
        part.envelope = envelope;
        part
    }));
    combined.state_changed |= decoded.state_changed;
}
