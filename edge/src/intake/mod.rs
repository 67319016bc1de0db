//! From a trigger's event to a durable reading.
//!
//! Decoder threads hold ingest instances. Each takes what has gathered in its queue, decodes it in one call, splits the
//! readings by partition and hands them to the log's group commit; when that is durable, the senders are told. Events of
//! one lane (a connection) go through one decoder, so they keep their order.

mod decoder;
pub(crate) mod sites;
pub(crate) mod split;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use crossbeam_channel::{Sender, bounded};
use tokio::sync::oneshot;
use wheeltapper_log::{Append, Committer};
use wheeltapper_store::Store;

use crate::{components::Sandbox, line::DeadLetterEvent, metrics::Metrics, registry::Registry};
use decoder::{Decoder, Job};

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
    #[error("{0}")]
    Failed(String),
    /// The host is stopping.
    #[error("the host is stopping; send again when it is back")]
    Closed,
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
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The way in for every trigger.
#[derive(Debug)]
pub struct Intake {
    lanes: Vec<Sender<Job>>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
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
        context: &IntakeContext,
        config: &str,
        decoders: usize,
        limit: usize,
        behind_limit: usize,
    ) -> anyhow::Result<Self> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let config: Arc<Mutex<Arc<str>>> = Arc::new(Mutex::new(config.into()));
        let mut lanes = Vec::new();
        let mut threads = Vec::new();
        for index in 0..decoders.max(1) {
            let (sender, jobs) = bounded(16_384);
            let decoder = Decoder::open(context.clone(), Arc::clone(&config), Arc::clone(&waiting), index)?;
            threads.push(thread::Builder::new().name(format!("ingest-{index}")).spawn(move || decoder.run(&jobs))?);
            lanes.push(sender);
        }
        let behind = Arc::new(AtomicUsize::new(0));
        Ok(Self {
            lanes,
            threads: Mutex::new(threads),
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
        self.submit_within(lane, envelopes, None)
    }

    /// As [`Self::submit`], but readings of sensors outside of `sites` are refused.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_within(
        &self,
        lane: u64,
        envelopes: Vec<Envelope>,
        sites: Option<Vec<String>>,
    ) -> Result<Answer, IntakeError> {
        self.hand_over(lane, envelopes, sites, false)
    }

    /// Takes what was rejected before in again. Where nothing of it is taken, no dead letter is written: the one that it
    /// comes from tells the true reason.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn replay(&self, envelope: Envelope, sites: Option<Vec<String>>) -> Result<Answer, IntakeError> {
        self.hand_over(0, vec![envelope], sites, true)
    }

    fn hand_over(
        &self,
        lane: u64,
        envelopes: Vec<Envelope>,
        sites: Option<Vec<String>>,
        replayed: bool,
    ) -> Result<Answer, IntakeError> {
        let bytes = envelopes.iter().map(|envelope| envelope.payload.len() + 64).sum::<usize>();
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let busy = |waiting| IntakeError::Busy { waiting, retry_after: Duration::from_secs(1) };
        if (waiting > 0 && waiting + bytes > self.limit) || self.behind.load(Ordering::Relaxed) > self.behind_limit {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return Err(busy(waiting));
        }
        // Sparkplug's births and data must meet the same alias table.
        let lane = if envelopes.iter().any(|envelope| envelope.source.starts_with("spBv1.0/")) { 0 } else { lane };
        let index = usize::try_from(lane % self.lanes.len().max(1) as u64).unwrap_or(0);
        let (told, answer) = oneshot::channel();
        let sent = match self.lanes.get(index) {
            Some(jobs) => {
                jobs.try_send(Job { envelopes, sites, replayed, bytes, told }).map_err(|error| error.is_full())
            }
            None => Err(false),
        };
        match sent {
            Ok(()) => Ok(answer),
            Err(full) => {
                self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                Err(if full { busy(waiting) } else { IntakeError::Closed })
            }
        }
    }

    /// Keeps what a trigger refused before it could be decoded; returns when that is durable.
    ///
    /// # Errors
    /// [`IntakeError::Failed`]: it could not be written.
    pub async fn refuse(&self, event: &DeadLetterEvent) -> Result<(), IntakeError> {
        let failed = |error: &dyn std::fmt::Display| IntakeError::Failed(error.to_string());
        let mut framed = Vec::new();
        wheeltapper_log::frame(&serde_json::to_vec(event).map_err(|error| failed(&error))?, &mut framed);
        let (told, answer) = oneshot::channel();
        self.committer.append(Append {
            parts: vec![(self.dead_letters, framed)],
            done: Box::new(move |result| {
                let _ = told.send(result);
            }),
        });
        answer.await.map_err(|_| IntakeError::Closed)?.map_err(|error| failed(&error))
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
    pub fn stop(self) {
        drop(self.lanes);
        for thread in self.threads.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let _ = thread.join();
        }
    }
}
