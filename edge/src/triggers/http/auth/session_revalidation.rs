//! Checks repeatedly whether a listener may go on listening: a stream outlasts the check of its token.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use wheeltapper_access::{AuthError, Identity};

use super::auth_state::AuthState;

/// The time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The credential with which a listener was admitted, and its identity at that time.
#[derive(Clone)]
pub(crate) struct StreamSession {
    auth: Arc<AuthState>,
    credential: String,
    identity: Identity,
}

impl std::fmt::Debug for StreamSession {
    // The credential is a secret.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("StreamSession").field("name", &self.identity.name).finish_non_exhaustive()
    }
}

impl StreamSession {
    pub(crate) fn new(auth: Arc<AuthState>, credential: String, identity: Identity) -> Self {
        Self { auth, credential, identity }
    }

    /// Returns when the token or key has expired or was revoked, or its owner's roles or sites have changed.
    async fn wait_for_revocation(&self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            match self.auth.authenticate(&self.credential).await {
                Ok(Ok(identity)) if identity == self.identity => {}
                // A failed check is no reason to end the stream.
                Err(_) | Ok(Err(AuthError::Access(_) | AuthError::IssuerKeysNeeded(_))) => {}
                Ok(Ok(_) | Err(AuthError::Rejected(_))) => return,
            }
        }
    }
}

/// Returns when the listener may not go on; never if no sign-in is required.
pub(crate) async fn revoked(session: Option<StreamSession>) {
    match session {
        Some(session) => session.wait_for_revocation().await,
        None => std::future::pending().await,
    }
}
