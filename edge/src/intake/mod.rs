//! Intake: from an event of a trigger to durable readings.
//!
//! Decoder threads hold ingest instances. Each takes the pending events of its queue, decodes them in one call, splits
//! the readings by partition and hands them to the log's group commit; when they are durable, the senders receive the
//! reply. All small events of one lane (a connection) go through one decoder, and all large ones through another, so
//! each of the two keep their order. Large events have decoder threads of their own, because decoding one takes up to a
//! second, and small events of other senders must not wait for that long.

mod context;
mod decoder;
mod event;
pub(crate) mod exchanges;
pub(crate) mod partition_splitter;
mod sensor_limits;
pub(crate) mod site_filter;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Sender as Queue, bounded};
use tokio::sync::oneshot;
use wheeltapper_log::{Append, Committer};

use crate::{
    supervisor::{Supervisor, TaskHandle},
    topics::DeadLetterEvent,
};
pub use context::IntakeContext;
use decoder::{DecodeJob, Decoder, QueueShare};
pub use event::{Envelope, EventSender, FailureKind, IntakeError, PendingReceipts, Receipt, RejectedPart};
use exchanges::StoreRequest;

/// Events of this many bytes or more, together, go to a decoder for large events.
const LARGE_BYTES: usize = 1 << 20;

/// Accepts events from all triggers.
#[derive(Debug)]
pub struct Intake {
    lanes: Lanes,
    tasks: Vec<TaskHandle>,
    queued_bytes: Arc<AtomicUsize>,
    max_queued_bytes: usize,
    /// Bytes of the log that the line has not processed, as last set by the host, and their maximum.
    backlog: Arc<AtomicUsize>,
    max_backlog: usize,
    config: Arc<Mutex<Arc<str>>>,
    committer: Arc<Committer>,
    dead_letter_partition: usize,
}

/// The queues of the decoder threads.
#[derive(Debug, Default)]
struct Lanes {
    small: Vec<Queue<DecodeJob>>,
    large: Vec<Queue<DecodeJob>>,
}

impl Lanes {
    /// Selects the queue for events of a lane.
    fn select(&self, lane: u64, envelopes: &[Envelope], bytes: usize) -> Option<&Queue<DecodeJob>> {
        // Sparkplug births and data must use the same alias table.
        if envelopes.iter().any(|envelope| envelope.source.starts_with("spBv1.0/")) {
            return self.small.first();
        }
        let queues = if bytes < LARGE_BYTES { &self.small } else { &self.large };
        queues.get(usize::try_from(lane % queues.len().max(1) as u64).ok()?)
    }
}

impl Intake {
    /// Starts `decoders` threads for small events, and as many for large events. At most `max_queued_bytes` bytes of
    /// events may be queued, and at most `max_backlog` bytes of the log may be unprocessed.
    ///
    /// # Errors
    /// When an ingest instance cannot be opened with `config`, or no thread can be started.
    pub fn start(
        supervisor: &Supervisor,
        context: &IntakeContext,
        config: &str,
        decoders: usize,
        max_queued_bytes: usize,
        max_backlog: usize,
    ) -> anyhow::Result<Self> {
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let config: Arc<Mutex<Arc<str>>> = Arc::new(Mutex::new(config.into()));
        let mut lanes = Lanes::default();
        let mut tasks = Vec::new();
        let decoders = decoders.max(1);
        for index in 0..2 * decoders {
            let (sender, jobs) = bounded(16_384);
            let (context, config) = (context.clone(), Arc::clone(&config));
            let mut first = Some(Decoder::open(context.clone(), Arc::clone(&config), index)?);
            tasks.push(supervisor.spawn(format!("ingest-{index}"), move |task| {
                let mut decoder = match first.take() {
                    Some(decoder) => decoder,
                    None => Decoder::open(context.clone(), Arc::clone(&config), index)?,
                };
                decoder.run(&jobs, task);
                Ok(())
            })?);
            if index < decoders { &mut lanes.small } else { &mut lanes.large }.push(sender);
        }
        let backlog = Arc::new(AtomicUsize::new(0));
        Ok(Self {
            lanes,
            tasks,
            queued_bytes,
            max_queued_bytes,
            backlog,
            max_backlog,
            config,
            committer: Arc::clone(&context.committer),
            dead_letter_partition: usize::from(context.partitions),
        })
    }

    /// Submits events of one `lane`. Their order among the small events of the lane is fixed when this returns, and so
    /// is that of large events; the reply follows when they are durable.
    ///
    /// # Errors
    /// [`IntakeError::Busy`] or [`IntakeError::Closed`]: nothing was accepted.
    pub fn submit(&self, lane: u64, envelopes: Vec<Envelope>) -> Result<PendingReceipts, IntakeError> {
        self.submit_from(lane, envelopes, Arc::default())
    }

    /// Like [`Self::submit`], but rejects what `sender` may not send.
    ///
    /// # Errors
    /// See [`Self::submit`].
    pub fn submit_from(
        &self,
        lane: u64,
        envelopes: Vec<Envelope>,
        sender: Arc<EventSender>,
    ) -> Result<PendingReceipts, IntakeError> {
        self.enqueue(lane, envelopes, sender, None)
    }

    /// Like [`Self::submit_from`], for the single event of a QoS 2 exchange.
    ///
    /// # Errors
    /// See [`Self::submit`].
    pub(crate) fn submit_exchange(
        &self,
        lane: u64,
        envelope: Envelope,
        sender: Arc<EventSender>,
        request: StoreRequest,
    ) -> Result<PendingReceipts, IntakeError> {
        self.enqueue(lane, vec![envelope], sender, Some(request))
    }

    fn enqueue(
        &self,
        lane: u64,
        envelopes: Vec<Envelope>,
        sender: Arc<EventSender>,
        exchange: Option<StoreRequest>,
    ) -> Result<PendingReceipts, IntakeError> {
        let bytes = envelopes.iter().map(|envelope| envelope.payload.len() + 64).sum::<usize>();
        let waiting = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let share = QueueShare { bytes, queued_bytes: Arc::clone(&self.queued_bytes) };
        let busy = |queued_bytes| IntakeError::Busy { queued_bytes, retry_after: Duration::from_secs(1) };
        if (waiting > 0 && waiting + bytes > self.max_queued_bytes)
            || self.backlog.load(Ordering::Relaxed) > self.max_backlog
        {
            return Err(busy(waiting));
        }
        let (reply_sender, answer) = oneshot::channel();
        let sent = match self.lanes.select(lane, &envelopes, bytes) {
            Some(jobs) => jobs
                .try_send(DecodeJob { envelopes, sender, exchange, share, reply_sender })
                .map_err(|error| error.is_full()),
            None => Err(false),
        };
        match sent {
            Ok(()) => Ok(answer),
            Err(full) => Err(if full { busy(waiting) } else { IntakeError::Closed }),
        }
    }

    /// Waits for the reply to events that [`Self::submit`] accepted.
    ///
    /// # Errors
    /// [`IntakeError`], also when the decoder ended before it replied.
    pub async fn wait_for_receipts(answer: PendingReceipts) -> Result<Vec<Receipt>, IntakeError> {
        answer.await.unwrap_or_else(|_| Err(IntakeError::reply_lost()))
    }

    /// Writes an event that a trigger rejected before decoding to the dead letters; returns when it is durable.
    ///
    /// # Errors
    /// [`IntakeError::Failed`] when it could not be written.
    pub async fn record_rejected_event(&self, event: &DeadLetterEvent) -> Result<(), IntakeError> {
        let failed =
            |error: serde_json::Error| IntakeError::Failed { kind: FailureKind::Other, message: error.to_string() };
        let mut framed = Vec::new();
        wheeltapper_log::encode_frame(&serde_json::to_vec(event).map_err(failed)?, &mut framed);
        let (reply_sender, answer) = oneshot::channel();
        self.committer.append(Append {
            batches: vec![(self.dead_letter_partition, framed)],
            on_complete: Box::new(move |result| {
                let _ = reply_sender.send(result);
            }),
        });
        answer.await.map_err(|_| IntakeError::Closed)?.map_err(IntakeError::from)
    }

    /// Sets how many bytes of the log the line has not processed.
    pub fn set_backlog(&self, bytes: usize) {
        self.backlog.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of events that wait to be decoded.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Relaxed)
    }

    /// Sets a configuration that the decoders apply before their next call.
    pub fn configure(&self, config: &str) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config.into();
    }

    /// Waits until everything that was submitted is decoded, then stops the threads; each gets at most `limit`.
    pub fn stop_within(self, limit: Duration) {
        let Self { lanes, tasks, .. } = self;
        drop(lanes);
        for mut task in tasks {
            task.stop_within(limit);
        }
    }
}
