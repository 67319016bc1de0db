//! Events of the triggers, and the replies to them.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use wheeltapper_log::{CommitError, CommitErrorKind};

/// An event as a trigger received it.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// MQTT topic, HTTP path or NATS subject.
    pub source: String,
    /// Media type, or the short name of a format.
    pub format: Option<String>,
    /// The sensor that the topic mapping names.
    pub sensor: Option<String>,
    /// When it was received, in nanoseconds since 1970.
    pub arrival: i64,
    /// The payload.
    pub payload: Bytes,
}

/// A rejected part of an event; it is kept as a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPart {
    /// Number of the line or element, from 1; 0 for the whole event.
    pub position: u32,
    /// Name of the reason, such as `malformed`.
    pub reason: &'static str,
    /// What was expected, what was received and what to do.
    pub message: String,
    /// Number of readings that were rejected with it.
    pub readings: u32,
}

/// The result of one event. All of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Number of accepted readings.
    pub accepted: u64,
    /// The rejected parts.
    pub rejected: Vec<RejectedPart>,
}

/// Why an event was not accepted at all; it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntakeError {
    /// Too many bytes are queued.
    #[error(
        "the host is busy: {queued_bytes} bytes wait to be decoded or the line is behind; send again in {retry_after:?}"
    )]
    Busy {
        /// Queued bytes.
        queued_bytes: usize,
        /// How long to wait before sending again.
        retry_after: Duration,
    },
    /// The event could not be made durable.
    #[error("{message}")]
    Failed {
        /// The kind of failure.
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
    /// Another fault of the disk or the host.
    Other,
}

impl IntakeError {
    /// The reply to an event whose decoder ended before it replied: it is unknown whether the event was accepted.
    pub(super) fn reply_lost() -> Self {
        let message = "the decoder failed on this event or on another one of the same call; send it again".to_owned();
        Self::Failed { kind: FailureKind::Other, message }
    }
}

impl From<CommitError> for IntakeError {
    fn from(error: CommitError) -> Self {
        let kind = match error.kind() {
            CommitErrorKind::Closed => return Self::Closed,
            CommitErrorKind::DiskFull => FailureKind::DiskFull,
            CommitErrorKind::RetryLater | CommitErrorKind::Invalid => FailureKind::Other,
        };
        Self::Failed { kind, message: error.to_string() }
    }
}

/// The sender of events, with the rights that matter for their acceptance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventSender {
    /// The API key or the user; `None` for an anonymous sender.
    pub name: Option<String>,
    /// Sites of the sensors for which it may send; `None`: all.
    pub sites: Option<Vec<String>>,
    /// The events are replayed dead letters. If nothing of an event is accepted, no new dead letter is written: the
    /// existing one has the original reason.
    pub is_replay: bool,
}

/// Resolves when the events are durable.
pub type PendingReceipts = oneshot::Receiver<Result<Vec<Receipt>, IntakeError>>;
