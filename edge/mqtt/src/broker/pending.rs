//! Received packets that wait for the sink.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::message::Message;
use crate::{ReleaseFuture, Verdict, VerdictFuture};

/// A received PUBLISH that is not acknowledged yet.
#[derive(Debug)]
pub(crate) struct PendingPublish {
    /// The message, if it still has to be delivered to subscribers.
    pub(super) message: Option<Message>,
    pub(crate) id: u16,
    pub(crate) qos: u8,
    pub(crate) size: usize,
}

/// The result of handling a PUBLISH.
#[derive(Debug)]
pub(crate) enum PublishOutcome {
    SinkVerdict(Verdict),
    /// The message is not for the sink; the acknowledgement carries this reason code.
    ReasonCode(u8),
    /// The client may not publish to this topic.
    Denied,
    /// A QoS 2 message that the client sent again before its PUBREL.
    Duplicate,
}

/// A received message and its pending verdict.
pub(crate) struct PendingVerdict {
    pub(super) publish: Option<PendingPublish>,
    pub(super) verdict: Result<VerdictFuture, Option<PublishOutcome>>,
}

impl Future for PendingVerdict {
    type Output = (PendingPublish, PublishOutcome);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.verdict {
            Ok(answer) => PublishOutcome::SinkVerdict(std::task::ready!(answer.as_mut().poll(cx))),
            Err(outcome) => outcome.take().unwrap_or(PublishOutcome::Duplicate),
        };
        match self.publish.take() {
            Some(publish) => Poll::Ready((publish, outcome)),
            // Polled again after completion.
            None => Poll::Pending,
        }
    }
}

/// A released QoS 2 message whose release the sink has not stored yet.
pub(crate) struct PendingRelease {
    pub(super) id: u16,
    pub(super) code: u8,
    pub(super) was_known: bool,
    pub(super) stored: ReleaseFuture,
}

/// The result of a [`PendingRelease`].
#[derive(Debug)]
pub(crate) struct ReleaseOutcome {
    pub(super) id: u16,
    pub(super) code: u8,
    pub(super) was_known: bool,
    pub(super) is_stored: bool,
}

impl Future for PendingRelease {
    type Output = ReleaseOutcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ReleaseOutcome> {
        let is_stored = std::task::ready!(self.stored.as_mut().poll(cx));
        Poll::Ready(ReleaseOutcome { id: self.id, code: self.code, was_known: self.was_known, is_stored })
    }
}
