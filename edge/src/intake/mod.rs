//! From a trigger's event to a durable reading.
//!
//! Decoder threads hold ingest instances. Each takes what has gathered in its queue, decodes it in one call, splits the
//! readings by partition and hands them to the log's group commit; when that is durable, the senders are told. Events of
//! one lane (a connection) go through one decoder, so they keep their order.

mod decoder;
pub(crate) mod exchanges;
mod limits;
pub(crate) mod sites;
pub(crate) mod split;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use crossbeam_channel::{Sender as Queue, bounded};
use tokio::sync::oneshot;
use wheeltapper_log::{Append, CommitError, CommitErrorKind, Committer};
use wheeltapper_store::Store;

use crate::{
    components::Sandbox,
    line::DeadLetterEvent,
    metrics::Metrics,
    registry::Registry,
    supervisor::{Supervisor, TaskHandle},
};
use decoder::{Decoder, Job, QueueShare};
use exchanges::{Exchanges, Offer};

/// One event as a trigger received it.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// MQTT topic, HTTP path or NATS subject.
    pub source: String,
    /// Media type or a format's short name.
    pub format: Option<String>,
    /// The sensor that the topic mapping names.
    pub sensor: Option<String>,
    /// When it was received, in nanoseconds since 1970.
    pub arrival: i64,
    /// The bytes.
    pub payload: Bytes,
}

/// A part that was refused; it lies in the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Line or element from 1; 0 for the whole event.
    pub position: u32,
    /// The reason's name, such as `malformed`.
    pub reason: &'static str,
    /// What was expected, what came, what to do.
    pub message: String,
    /// How many readings were refused with it.
    pub readings: u32,
}

/// What became of one event. All of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Readings taken.
    pub accepted: u64,
    /// What was refused.
    pub refused: Vec<Refused>,
}

/// Why an event was not taken at all; it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntakeError {
    /// Too much is waiting already.
    #[error(
        "the host is busy: {waiting} bytes wait to be decoded or the line is behind; send again in {retry_after:?}"
    )]
    Busy {
        /// Bytes that wait.
        waiting: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// It could not be made durable.
    #[error("{message}")]
    Failed {
        /// What kind of failure it is.
        kind: FailureKind,
        /// What happened and what to do.
        message: String,
    },
    /// The host is stopping.
    #[error("the host is stopping; send again when it is back")]
    Closed,
}

/// Why events could not be made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The disk is full.
    DiskFull,
    /// Another fault, of the disk or of the host.
    Other,
}

impl IntakeError {
    /// The answer to an event whose decoder ended before it replied: whether it was taken is not known.
    fn lost() -> Self {
        let message = "the decoder failed on this event or on one beside it; send it again".to_owned();
        Self::Failed { kind: FailureKind::Other, message }
    }
}

impl From<CommitError> for IntakeError {
    fn from(error: CommitError) -> Self {
        let kind = match error.kind() {
            CommitErrorKind::Closed => return Self::Closed,
            CommitErrorKind::DiskFull => FailureKind::DiskFull,
            CommitErrorKind::TryLater | CommitErrorKind::Invalid => FailureKind::Other,
        };
        Self::Failed { kind, message: error.to_string() }
    }
}

/// Who sends events, as far as it matters to what is taken of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The API key or the user; none for one that is not known by name.
    pub name: Option<String>,
    /// Where the sensors have to lie; none: anywhere.
    pub sites: Option<Vec<String>>,
    /// The events were rejected before and are sent again. Where nothing of one is taken, no dead letter is written: the one
    /// that it comes from tells the true reason.
    pub is_replay: bool,
}

/// Resolves when the events are durable.
pub type Answer = oneshot::Receiver<Result<Vec<Receipt>, IntakeError>>;

/// What the decoders need.
#[derive(Clone, Debug)]
pub struct IntakeContext {
    /// The compiled stages.
    pub sandbox: Sandbox,
    /// The sensors.
    pub registry: Arc<Registry>,
    /// Where Sparkplug births are kept.
    pub store: Store,
    /// Where readings go; after the raw topic's partitions comes ingest's of the dead letters.
    pub committer: Arc<Committer>,
    /// Partitions of the line.
    pub partitions: u16,
    /// What MQTT clients may send again.
    pub(crate) exchanges: Arc<Exchanges>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The way in for every trigger.
#[derive(Debug)]
pub struct Intake {
    lanes: Vec<Queue<Job>>,
    tasks: Vec<TaskHandle>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
    /// Bytes of the log that the line has not gone through, as the host last saw it, and how many are allowed.
    behind: Arc<AtomicUsize>,
    behind_limit: usize,
    config: Arc<Mutex<Arc<str>>>,
    committer: Arc<Committer>,
    dead_letters: usize,
}

impl Intake {
    /// Starts `decoders` threads. At most `limit` bytes of events wait to be decoded.
    ///
    /// # Errors
    /// When an ingest instance cannot be opened with `config`, or no thread can be started.
    pub fn start(
        supervisor: &Supervisor,
        context: &IntakeContext,
        config: &str,
        decoders: usize,
        limit: usize,
        behind_limit: usize,
    ) -> anyhow::Result<Self> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let config: Arc<Mutex<Arc<str>>> = Arc::new(Mutex::new(config.into()));
        let mut lanes = Vec::new();
        let mut tasks = Vec::new();
        for index in 0..decoders.max(1) {
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
            lanes.push(sender);
        }
        let behind = Arc::new(AtomicUsize::new(0));
        Ok(Self {
            lanes,
            tasks,
            waiting,
            limit,
            behind,
            behind_limit,
            config,
            committer: Arc::clone(&context.committer),
            dead_letters: usize::from(context.partitions),
        })
    }

    /// Hands over events of one `lane`. They are in order with what the lane handed over before as soon as this returns;
    /// the answer comes when they are durable.
    ///
    /// # Errors
    /// [`IntakeError::Busy`] or [`IntakeError::Closed`]: nothing was taken.
    pub fn submit(&self, lane: u64, envelopes: Vec<Envelope>) -> Result<Answer, IntakeError> {
        self.submit_from(lane, envelopes, Arc::default())
    }

    /// As [`Self::submit`], but what `sender` may not send is refused.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_from(&self, lane: u64, envelopes: Vec<Envelope>, sender: Arc<Sender>) -> Result<Answer, IntakeError> {
        self.hand_over(lane, envelopes, sender, None)
    }

    /// As [`Self::submit_from`], for the one event of a QoS 2 exchange.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub(crate) fn submit_exchange(
        &self,
        lane: u64,
        envelope: Envelope,
        sender: Arc<Sender>,
        offer: Offer,
    ) -> Result<Answer, IntakeError> {
        self.hand_over(lane, vec![envelope], sender, Some(offer))
    }

    fn hand_over(
        &self,
        lane: u64,
        envelopes: Vec<Envelope>,
        sender: Arc<Sender>,
        exchange: Option<Offer>,
    ) -> Result<Answer, IntakeError> {
        let bytes = envelopes.iter().map(|envelope| envelope.payload.len() + 64).sum::<usize>();
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let share = QueueShare { bytes, waiting: Arc::clone(&self.waiting) };
        let busy = |waiting| IntakeError::Busy { waiting, retry_after: Duration::from_secs(1) };
        if (waiting > 0 && waiting + bytes > self.limit) || self.behind.load(Ordering::Relaxed) > self.behind_limit {
            return Err(busy(waiting));
        }
        // Sparkplug's births and data must meet the same alias table.
        let lane = if envelopes.iter().any(|envelope| envelope.source.starts_with("spBv1.0/")) { 0 } else { lane };
        let index = usize::try_from(lane % self.lanes.len().max(1) as u64).unwrap_or(0);
        let (told, answer) = oneshot::channel();
        let sent = match self.lanes.get(index) {
            Some(jobs) => {
                jobs.try_send(Job { envelopes, sender, exchange, share, told }).map_err(|error| error.is_full())
            }
            None => Err(false),
        };
        match sent {
            Ok(()) => Ok(answer),
            Err(full) => Err(if full { busy(waiting) } else { IntakeError::Closed }),
        }
    }

    /// The reply to events that [`Self::submit`] took.
    ///
    /// # Errors
    /// [`IntakeError`], also where the decoder ended before it replied.
    pub async fn receive(answer: Answer) -> Result<Vec<Receipt>, IntakeError> {
        answer.await.unwrap_or_else(|_| Err(IntakeError::lost()))
    }

    /// Keeps what a trigger refused before it could be decoded; returns when that is durable.
    ///
    /// # Errors
    /// [`IntakeError::Failed`]: it could not be written.
    pub async fn refuse(&self, event: &DeadLetterEvent) -> Result<(), IntakeError> {
        let failed =
            |error: serde_json::Error| IntakeError::Failed { kind: FailureKind::Other, message: error.to_string() };
        let mut framed = Vec::new();
        wheeltapper_log::frame(&serde_json::to_vec(event).map_err(failed)?, &mut framed);
        let (told, answer) = oneshot::channel();
        self.committer.append(Append {
            parts: vec![(self.dead_letters, framed)],
            done: Box::new(move |result| {
                let _ = told.send(result);
            }),
        });
        answer.await.map_err(|_| IntakeError::Closed)?.map_err(IntakeError::from)
    }

    /// Tells how far the line is behind, in bytes.
    pub fn set_behind(&self, bytes: usize) {
        self.behind.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that wait to be decoded.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The decoders take the new configuration before their next call.
    pub fn configure(&self, config: &str) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config.into();
    }

    /// Waits until everything that was submitted is decoded, then ends the threads.
    pub fn stop_within(self, limit: Duration) {
        let Self { lanes, tasks, .. } = self;
        drop(lanes);
        for mut task in tasks {
            task.stop_within(limit);
        }
    }
}
