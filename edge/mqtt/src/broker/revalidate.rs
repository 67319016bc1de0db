//! Changes of rights while clients are connected, or disconnected with a session.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    hub::{Hub, lock},
    session::Session,
};
use crate::{codec::reason, rights::Grant};

/// Refreshes the rights of all owners that have a session.
pub(super) async fn revalidate_grants(hub: Arc<Hub>, revalidating: Arc<AtomicBool>) {
    let grants = hub.grants();
    let auth = Arc::clone(&hub.auth);
    let renewed = tokio::task::spawn_blocking(move || {
        let renew = |grant| (auth.current_grant(&grant), grant);
        grants.into_iter().map(renew).collect::<Vec<_>>()
    });
    match renewed.await {
        Ok(renewed) => {
            for (current, grant) in renewed {
                if current.as_ref().is_none_or(|current| !Arc::ptr_eq(current, &grant)) {
                    hub.apply_grant(grant.owner(), current.as_ref());
                }
            }
        }
        Err(error) => tracing::error!(%error, "the rights of MQTT clients could not be refreshed"),
    }
    revalidating.store(false, Ordering::Release);
}

impl Hub {
    /// Returns the rights of each owner that has a session.
    pub(crate) fn grants(&self) -> Vec<Arc<dyn Grant>> {
        let mut grants = HashMap::new();
        for session in lock(&self.sessions).values() {
            let grant = session.grant();
            grants.entry(grant.owner().to_owned()).or_insert(grant);
        }
        grants.into_values().collect()
    }

    /// Applies changed rights to the sessions of an owner. `None` ends these sessions and their connections, and drops
    /// their wills.
    pub(crate) fn apply_grant(&self, owner: &str, grant: Option<&Arc<dyn Grant>>) {
        let mut sessions = lock(&self.sessions);
        let own: Vec<Arc<Session>> =
            sessions.values().filter(|session| session.grant().owner() == owner).map(Arc::clone).collect();
        for session in own {
            if let Some(grant) = grant {
                session.set_grant(grant);
                continue;
            }
            let mut state = session.lock();
            state.will = None;
            state.expiry_interval = Duration::ZERO;
            match &state.link {
                // The session ends together with its connection.
                Some((link, _)) => link.close(reason::NOT_AUTHORIZED),
                None => {
                    drop(state);
                    sessions.remove(&session.name);
                    self.end_session(&session);
                }
            }
        }
    }
}
