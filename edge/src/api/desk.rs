//! The host's side of `front`: where the component's questions end up.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use wheeltapper_front::Reason as Named;

use super::{
    detect::Judges,
    guest::{
        Caller,
        bindings::wheeltapper::pipeline::front::{FrontError, Receipt, Refused, Submission},
    },
};
use crate::{
    clock,
    components::wit::types::Reason,
    host::Host,
    intake::{Envelope, IntakeError, Sender},
};

/// Whoever sends readings waits no longer than this until they are durable.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers the component.
pub struct Desk {
    pub(super) host: Arc<Host>,
    pub(super) judges: Judges,
}

impl fmt::Debug for Desk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// In front of a host.
    pub fn new(host: Arc<Host>) -> Self {
        Self { host, judges: Judges::default() }
    }

    /// Runs what waits for the disk, or computes, on a thread of its own: an instance's thread serves others meanwhile.
    pub(super) async fn apart<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, FrontError> + Send + 'static,
    ) -> Result<T, FrontError> {
        let desk = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&desk)).await;
        done.unwrap_or_else(|_| Err(FrontError::Broken("the host gave up on this; its log tells why".into())))
    }

    /// The host.
    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    pub(super) async fn submit(&self, caller: &Caller, event: Submission) -> Result<Receipt, FrontError> {
        // All of a caller's events in one lane keep their order.
        let lane = blake3::hash(caller.actor.as_bytes());
        let lane = lane.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let envelope = Envelope {
            source: event.source,
            format: event.format,
            sensor: event.sensor,
            arrival: clock::now(),
            payload: Bytes::from(event.payload),
        };
        let sender = Sender { name: Some(caller.actor.clone()), sites: caller.sites.clone(), is_replay: false };
        let taken = self.host.intake.submit_from(lane, vec![envelope], Arc::new(sender));
        let answer = taken.map_err(refused)?;
        let answer = tokio::time::timeout(PATIENCE, answer).await.map_err(|_| {
            FrontError::Unavailable(format!(
                "the readings were not durable within {PATIENCE:?}, and may still become it"
            ))
        })?;
        let receipts = answer.unwrap_or(Err(IntakeError::Closed)).map_err(refused)?;
        let receipt = receipts.into_iter().next().unwrap_or_default();
        let told = receipt.refused.into_iter().map(|refused| Refused {
            position: refused.position,
            reason: reason(refused.reason),
            message: refused.message,
            readings: refused.readings,
        });
        Ok(Receipt { accepted: u32::try_from(receipt.accepted).unwrap_or(u32::MAX), refused: told.collect() })
    }
}

fn reason(name: &str) -> Reason {
    let named = Named::ALL.into_iter().find(|reason| reason.name() == name).unwrap_or(Named::Malformed);
    wheeltapper_front::reason!(named, Named => Reason)
}

fn refused(error: IntakeError) -> FrontError {
    match error {
        IntakeError::Busy { .. } | IntakeError::Failed { .. } | IntakeError::Closed => {
            FrontError::Unavailable(error.to_string())
        }
    }
}

/// What the store says when it cannot be read.
pub(super) fn unreadable(error: wheeltapper_store::StoreError) -> FrontError {
    FrontError::Unavailable(format!("the store cannot be read: {error}"))
}
