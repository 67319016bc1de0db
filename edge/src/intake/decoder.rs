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
    Envelope, FailureKind, IntakeContext, IntakeError, Receipt, Refused, Sender,
    exchanges::Offer,
    limits, sites,
    split::{Splitter, reason_name},
};
use crate::{
    components::{
        CallError, Ingester, StageName,
        wit::{
            ingest::{Decoded, Envelope as WitEnvelope, Refusal},
            types::{Reason, Rejection},
        },
    },
    dictionary,
    line::DeadLetterEvent,
    supervisor::TaskContext,
};

/// Maximum bytes of events per call, unless a single event is larger.
const CALL_BYTES: usize = 1 << 20;
/// Maximum number of events per call.
const CALL_EVENTS: usize = 4096;
/// Maximum bytes that are kept of an event on which ingest itself failed.
const KEPT_PAYLOAD: usize = 1 << 20;

/// Events of one submit.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) envelopes: Vec<Envelope>,
    pub(super) sender: Arc<Sender>,
    /// The QoS 2 exchange of the event, if it is a single one.
    pub(super) exchange: Option<Offer>,
    /// The job's share of the queue's bytes; returned when the job is dropped, also by a panic.
    pub(super) share: QueueShare,
    pub(super) reply_sender: oneshot::Sender<Result<Vec<Receipt>, IntakeError>>,
}

/// Bytes of the event queue that a job occupies.
#[derive(Debug)]
pub(super) struct QueueShare {
    pub(super) bytes: usize,
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Drop for QueueShare {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// State of a decoder thread.
#[derive(Debug)]
pub(super) struct Decoder {
    context: IntakeContext,
    latest_config: Arc<Mutex<Arc<str>>>,
    /// The configuration with which the instance runs.
    running: Arc<str>,
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
        Ok(Self { context, latest_config: config, running, state_key, ingester, splitter })
    }

    /// Decodes until all senders of jobs are dropped.
    pub(super) fn run(&mut self, jobs: &Receiver<Job>, task: &TaskContext) {
        while let Ok(first) = jobs.recv() {
            let mut bytes = first.share.bytes;
            let mut events = first.envelopes.len();
            let mut batch = vec![first];
            while bytes < CALL_BYTES && events < CALL_EVENTS {
                let Ok(job) = jobs.try_recv() else { break };
                bytes += job.share.bytes;
                events += job.envelopes.len();
                batch.push(job);
            }
            self.take_new_config();
            // The event of an exchange has its own records, which are tagged with the exchange.
            let mut batch_without_exchange = Vec::new();
            for mut job in batch {
                match job.exchange.take() {
                    None => batch_without_exchange.push(job),
                    Some(offer) => {
                        self.take(std::mem::take(&mut batch_without_exchange), None);
                        self.take(vec![job], Some(offer));
                    }
                }
            }
            self.take(batch_without_exchange, None);
            task.healthy();
        }
    }

    fn take_new_config(&mut self) {
        let wanted = Arc::clone(&self.latest_config.lock().unwrap_or_else(PoisonError::into_inner));
        if Arc::ptr_eq(&wanted, &self.running) {
            return;
        }
        let opened = self
            .ingester
            .snapshot()
            .and_then(|snapshot| Ingester::open(&self.context.sandbox, &wanted, Some(&snapshot)));
        match opened {
            Ok(ingester) => self.ingester = ingester,
            Err(error) => {
                tracing::error!(%error, "the new configuration cannot be used; ingest keeps the previous one")
            }
        }
        self.running = wanted;
    }

    fn take(&mut self, batch: Vec<Job>, offer: Option<Offer>) {
        if batch.is_empty() {
            return;
        }
        let (mut replies, mut shares, mut envelopes) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
        let mut senders: Vec<(Range<usize>, Arc<Sender>)> = Vec::new();
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
        let decoded = match self.decode_permitted(&envelopes, &senders) {
            Ok(decoded) => decoded,
            Err(error) => {
                let kind =
                    if error.kind() == StoreErrorKind::DiskFull { FailureKind::DiskFull } else { FailureKind::Other };
                let message = format!("a new sensor could not be registered: {error}");
                return reply(replies, &[], Err(IntakeError::Failed { kind, message }));
            }
        };
        self.keep_state(decoded.state_changed);
        let arrival = envelopes.first().map_or(0, |envelope| envelope.arrival);
        let receipts = receipts(&decoded, envelopes.len());
        // A replayed dead letter of which nothing is accepted stays; it was already counted when it was rejected.
        let any_replay = senders.iter().any(|(_, sender)| sender.is_replay);
        let has_dead_letter = |at: usize| {
            let replayed = any_replay && senders.iter().any(|(range, sender)| sender.is_replay && range.contains(&at));
            replayed && receipts.get(at).is_some_and(|receipt: &Receipt| receipt.accepted == 0)
        };
        self.count(receipts.iter().enumerate().filter(|(at, _)| !has_dead_letter(*at)).map(|(_, receipt)| receipt));
        let dead_letters = dead_letters(&decoded.refusals, &envelopes, has_dead_letter);
        let registry = &self.context.registry;
        let (mut parts, records) = match &offer {
            None => (self.splitter.split(decoded, arrival, registry), 0),
            Some(offer) => self.splitter.split_tagged(decoded, arrival, registry, offer),
        };
        if !dead_letters.is_empty() {
            parts.push((usize::from(self.context.partitions), dead_letters));
        }
        if parts.is_empty() {
            return reply(replies, &receipts, Ok(()));
        }
        let commit = self.context.metrics.commit_seconds.clone();
        let started = Instant::now();
        let exchanges = Arc::clone(&self.context.exchanges);
        let done = Box::new(move |result: Result<(), wheeltapper_log::CommitError>| {
            commit.observe(started.elapsed().as_secs_f64());
            if let Some(offer) = offer.filter(|_| result.is_ok() && records > 0) {
                // Before the acknowledgement, and before the next snapshot of the exchanges.
                exchanges.stored(&offer.tag, records);
            }
            reply(replies, &receipts, result.map_err(IntakeError::from));
        });
        self.context.committer.append(Append { parts, done });
    }

    /// Decodes events, and removes readings that their senders may not send. All sensors of the result are registered.
    ///
    /// # Errors
    /// When a new sensor cannot be registered.
    fn decode_permitted(
        &mut self,
        envelopes: &[WitEnvelope],
        senders: &[(Range<usize>, Arc<Sender>)],
    ) -> Result<Decoded, StoreError> {
        let restricted = senders.iter().any(|(_, sender)| sender.sites.is_some());
        if !restricted {
            let decoded = self.decode(envelopes);
            let places = self.context.registry.look_up(dictionary::names(&decoded.sensors));
            if places.iter().all(Option::is_some) {
                return Ok(decoded);
            }
        }
        // One by one, as the result of a call does not say which event a reading came from.
        let mut combined = nothing();
        for (index, envelope) in envelopes.iter().enumerate() {
            let sender = senders.iter().find(|(range, _)| range.contains(&index)).map(|(_, sender)| sender.as_ref());
            let sites = sender.and_then(|sender| sender.sites.as_deref());
            let one = std::slice::from_ref(envelope);
            let mut decoded = match sites {
                None => self.decode(one),
                // Events rejected here must not reach ingest: they could change how Sparkplug data of others is
                // decoded.
                Some(sites) => sites::refuse_unseen(envelope, sites)
                    .unwrap_or_else(|| sites::keep(self.decode(one), envelope, sites)),
            };
            let name = sender.and_then(|sender| sender.name.as_deref());
            decoded = limits::admit(decoded, envelope, &self.context.registry, name)?;
            append(&mut combined, decoded, u32::try_from(index).unwrap_or(u32::MAX));
        }
        Ok(combined)
    }

    /// Decodes all events in one call. If the instance fails, decodes them one by one on new instances, and rejects an
    /// event that makes its instance fail twice.
    fn decode(&mut self, envelopes: &[WitEnvelope]) -> Decoded {
        let started = Instant::now();
        let result = self.ingester.decode(envelopes);
        self.context.metrics.stage(StageName::Ingest).observe(started.elapsed().as_secs_f64());
        let error = match result {
            Ok(decoded) => return decoded,
            Err(error) => error,
        };
        self.replace(&error);
        if let [envelope] = envelopes {
            return match self.ingester.decode(envelopes) {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.replace(&error);
                    refuse_whole(envelope, &error)
                }
            };
        }
        let mut combined = nothing();
        for (index, envelope) in envelopes.iter().enumerate() {
            let decoded = self.decode(std::slice::from_ref(envelope));
            append(&mut combined, decoded, u32::try_from(index).unwrap_or(u32::MAX));
        }
        combined
    }

    fn replace(&mut self, error: &CallError) {
        tracing::error!(%error, "ingest is reopened");
        self.context.metrics.restarts(StageName::Ingest).inc();
        let opened = self
            .context
            .store
            .state_get(&self.state_key)
            .map_err(anyhow::Error::from)
            .and_then(|snapshot| Ok(Ingester::open(&self.context.sandbox, &self.running, snapshot.as_deref())?));
        match opened {
            Ok(ingester) => self.ingester = ingester,
            Err(error) => tracing::error!(%error, "ingest cannot be reopened"),
        }
    }

    /// Saves the state after Sparkplug births, which are the only state: they are rare, and later data cannot be
    /// decoded without them.
    fn keep_state(&mut self, changed: bool) {
        if !changed {
            return;
        }
        let kept = self
            .ingester
            .snapshot()
            .map_err(anyhow::Error::from)
            .and_then(|snapshot| Ok(self.context.store.state_put(&self.state_key, &snapshot)?));
        if let Err(error) = kept {
            tracing::error!(%error, "a Sparkplug birth could not be saved; after a restart its data is rejected until the next birth");
        }
    }

    fn count<'a>(&self, receipts: impl Iterator<Item = &'a Receipt>) {
        let metrics = &self.context.metrics;
        let mut accepted = 0;
        for receipt in receipts {
            accepted += receipt.accepted;
            for refused in &receipt.refused {
                metrics.refused(refused.reason).inc_by(u64::from(refused.readings));
            }
        }
        metrics.readings_in.inc_by(accepted);
        metrics.items(StageName::Ingest).inc_by(accepted);
    }
}

type Told = oneshot::Sender<Result<Vec<Receipt>, IntakeError>>;

fn reply(replies: Vec<(Told, usize)>, receipts: &[Receipt], result: Result<(), IntakeError>) {
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
    for refusal in &decoded.refusals {
        if let Some(receipt) = receipts.get_mut(refusal.envelope as usize) {
            receipt.refused.push(Refused {
                position: refusal.position,
                reason: reason_name(refusal.rejection.reason),
                message: refusal.rejection.message.clone(),
                readings: refusal.readings,
            });
        }
    }
    receipts
}

/// Framed records for the dead-letter topic, except for events that already have a dead letter.
fn dead_letters(refusals: &[Refusal], envelopes: &[WitEnvelope], has_dead_letter: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut framed = Vec::new();
    for refusal in refusals.iter().filter(|refusal| !has_dead_letter(refusal.envelope as usize)) {
        let Some(envelope) = envelopes.get(refusal.envelope as usize) else { continue };
        let event = DeadLetterEvent {
            time: envelope.arrival,
            source: refusal.source.clone(),
            reason: reason_name(refusal.rejection.reason).to_owned(),
            message: refusal.rejection.message.clone(),
            payload: refusal.payload.clone(),
            readings: refusal.readings,
            sensor: envelope.sensor.clone(),
            format: refusal.format.clone(),
        };
        match serde_json::to_vec(&event) {
            Ok(json) => wheeltapper_log::frame(&json, &mut framed),
            Err(error) => tracing::error!(%error, "a dead letter cannot be written"),
        }
    }
    framed
}

fn nothing() -> Decoded {
    Decoded {
        sensors: dictionary::empty(),
        readings: crate::components::wit::types::ReadingColumns { sensor: vec![], time: vec![], value: vec![] },
        waveforms: vec![],
        accepted: vec![],
        refusals: vec![],
        state_changed: false,
    }
}

fn refuse_whole(envelope: &WitEnvelope, error: &CallError) -> Decoded {
    let kept = envelope.payload.len().min(KEPT_PAYLOAD);
    let refusal = Refusal {
        envelope: 0,
        position: 0,
        sensor: None,
        rejection: Rejection {
            reason: Reason::StageFailure,
            message: format!("{error}; the event is kept as a dead letter: replay it once the component is fixed"),
        },
        payload: envelope.payload.get(..kept).unwrap_or_default().to_vec(),
        source: envelope.source.clone(),
        format: envelope.format.clone(),
        readings: 1,
    };
    Decoded { accepted: vec![0], refusals: vec![refusal], ..nothing() }
}

/// Appends the result of one more event.
fn append(combined: &mut Decoded, decoded: Decoded, envelope: u32) {
    let shift = u32::try_from(combined.sensors.ends.len()).unwrap_or(u32::MAX);
    for name in dictionary::names(&decoded.sensors) {
        dictionary::push(&mut combined.sensors, name);
    }
    combined.readings.sensor.extend(decoded.readings.sensor.iter().map(|sensor| sensor + shift));
    combined.readings.time.extend(decoded.readings.time);
    combined.readings.value.extend(decoded.readings.value);
    combined.waveforms.extend(decoded.waveforms.into_iter().map(|mut waveform| {
        waveform.sensor += shift;
        waveform
    }));
    combined.accepted.extend(decoded.accepted);
    combined.refusals.extend(decoded.refusals.into_iter().map(|mut refusal| {
        refusal.envelope = envelope;
        refusal
    }));
    combined.state_changed |= decoded.state_changed;
}
