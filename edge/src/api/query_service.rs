//! The host's side of `line-api`: implements the functions that the API's component calls.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use wheeltapper_line_api::RejectionReason as LineReason;

use super::{
    bindings::wheeltapper::pipeline::line_api::{LineApiError, Receipt, Rejection, Submission},
    caller::Caller,
    scorer_pool::ScorerPool,
};
use crate::{
    clock,
    components::wit::types::Reason,
    host::Host,
    intake::{Envelope, EventSender, IntakeError},
};

/// The maximum time that a sender waits until its readings are durable.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Answers the component's calls from the store, the line and the intake.
pub struct QueryService {
    pub(super) host: Arc<Host>,
    pub(super) scorers: ScorerPool,
}

impl fmt::Debug for QueryService {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("QueryService").finish_non_exhaustive()
    }
}

impl QueryService {
    /// A service for this host.
    pub fn new(host: Arc<Host>) -> Self {
        Self { host, scorers: ScorerPool::default() }
    }

    /// Runs work that waits for the disk, or computes, on a thread of its own, so that an instance's thread serves
    /// others meanwhile.
    pub(super) async fn run_blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, LineApiError> + Send + 'static,
    ) -> Result<T, LineApiError> {
        let service = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || work(&service)).await;
        task.unwrap_or_else(|_| {
            Err(LineApiError::Internal("the request failed inside the host; see the host's log for the reason".into()))
        })
    }

    /// The host whose store and line are queried.
    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    pub(super) async fn submit(&self, caller: &Caller, event: Submission) -> Result<Receipt, LineApiError> {
        // All events of a caller share a lane, so that they keep their order.
        let lane = blake3::hash(caller.actor.as_bytes());
        let lane = lane.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let envelope = Envelope {
            source: event.source,
            format: event.format,
            sensor: event.sensor,
            arrival: clock::now(),
            payload: Bytes::from(event.payload),
        };
        let sender = EventSender { name: Some(caller.actor.clone()), sites: caller.sites.clone(), is_replay: false };
        let submitted = self.host.intake.submit_from(lane, vec![envelope], Arc::new(sender));
        let answer = submitted.map_err(intake_error)?;
        let answer = tokio::time::timeout(COMMIT_TIMEOUT, answer).await.map_err(|_| {
            LineApiError::Unavailable(format!(
                "the readings were not durable within {COMMIT_TIMEOUT:?}, but may become durable later"
            ))
        })?;
        let receipts = answer.unwrap_or(Err(IntakeError::Closed)).map_err(intake_error)?;
        let receipt = receipts.into_iter().next().unwrap_or_default();
        let rejected = receipt.rejected.into_iter().map(|rejection| Rejection {
            position: rejection.position,
            reason: reason(rejection.reason),
            message: rejection.message,
            readings: rejection.readings,
        });
        Ok(Receipt { accepted: u32::try_from(receipt.accepted).unwrap_or(u32::MAX), rejections: rejected.collect() })
    }
}

fn reason(name: &str) -> Reason {
    let reason = LineReason::ALL.into_iter().find(|reason| reason.name() == name).unwrap_or(LineReason::Malformed);
    wheeltapper_line_api::convert_reason!(reason, LineReason => Reason)
}

fn intake_error(error: IntakeError) -> LineApiError {
    match error {
        IntakeError::Busy { .. } | IntakeError::Failed { .. } | IntakeError::Closed => {
            LineApiError::Unavailable(error.to_string())
        }
    }
}
