//! Whether a listener may go on listening: a stream outlasts the moment in which its token was looked at.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use wheeltapper_access::{AuthError, Identity};

use super::guard::Door;

/// Between two looks.
const BETWEEN: Duration = Duration::from_secs(5);

/// By what a listener was let in.
#[derive(Clone)]
pub(super) struct Standing {
    door: Arc<Door>,
    credential: String,
    identity: Identity,
}

impl std::fmt::Debug for Standing {
    // Not the credential.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Standing").field("name", &self.identity.name).finish_non_exhaustive()
    }
}

impl Standing {
    pub(super) fn new(door: Arc<Door>, credential: String, identity: Identity) -> Self {
        Self { door, credential, identity }
    }

    /// Returns when the token or key has run out or was revoked, or its owner's roles or sites have changed.
    async fn lost(&self) {
        loop {
            sleep(BETWEEN).await;
            match self.door.authenticate(&self.credential).await {
                Ok(Ok(identity)) if identity == self.identity => {}
                // What cannot be found out now is no reason to break off.
                Err(_) | Ok(Err(AuthError::Access(_) | AuthError::KeysNeeded(_))) => {}
                Ok(Ok(_) | Err(AuthError::Refused(_))) => return,
            }
        }
    }
}

/// Returns when the listener may not go on; never where nobody signs in.
pub(super) async fn lost(standing: Option<Standing>) {
    match standing {
        Some(standing) => standing.lost().await,
        None => std::future::pending().await,
    }
}
