//! Who may connect to the broker: the configuration's users, API keys, and where nobody has to sign in, anybody.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use wheeltapper_access::{Access, AuthError, Identity};
use wheeltapper_mqtt::{Authenticator, Grant, Login, LoginAnswer, LoginRefusal, Mapping, Users};

use super::acl::Rights;
use crate::clock;

/// How an API key begins.
const KEY: &str = "wt_";
/// How the owner of a key's rights is called, as in the audit.
const KEY_OWNER: &str = "key:";
/// Keys that were checked once, whose rights are kept so that an unchanged one is known as such.
const KEPT: usize = 16_384;

/// Asks the configuration and the door.
pub(super) struct Door {
    access: Arc<Access>,
    users: Users,
    policy: Anonymous,
    nobody: Arc<dyn Grant>,
    mapping: Arc<Mapping>,
    mapped: Arc<[String]>,
    /// The rights of each key as they were last.
    keys: Mutex<std::collections::HashMap<String, Arc<Rights>>>,
}

/// Whether a client may come without showing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anonymous {
    Never,
    /// From this machine's own addresses only.
    Loopback,
    Always,
}

impl Anonymous {
    /// `open`: nobody has to sign in over HTTP either. `asked`: `[mqtt.broker] anonymous`.
    pub(super) fn of(open: bool, asked: Option<bool>, users: bool) -> Self {
        match asked {
            Some(true) => Self::Always,
            Some(false) => Self::Never,
            None if open && !users => Self::Loopback,
            None => Self::Never,
        }
    }

    fn allows(self, peer: SocketAddr) -> bool {
        match self {
            Self::Never => false,
            Self::Loopback => peer.ip().to_canonical().is_loopback(),
            Self::Always => true,
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("users", &self.users).field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Door {
    pub(super) fn new(
        access: Arc<Access>,
        users: Users,
        policy: Anonymous,
        mapping: &Arc<Mapping>,
        mapped: &Arc<[String]>,
    ) -> Self {
        let nobody = Arc::new(Rights::new(String::new(), true, true, None, mapping, mapped));
        let (mapping, mapped) = (Arc::clone(mapping), Arc::clone(mapped));
        Self { access, users, policy, nobody, mapping, mapped, keys: Mutex::default() }
    }

    /// What can be told without the database; `None`: an API key that has to be looked up.
    fn check(&self, login: &Login) -> Option<Result<Arc<dyn Grant>, LoginRefusal>> {
        let password = login.password.as_deref().unwrap_or_default();
        if let Some(name) = &login.user
            && let Some(grant) = self.users.find(name, password)
        {
            return Some(Ok(grant));
        }
        if let Some(key) = api_key(password) {
            let told = self.access.authenticate_cached(key, clock::now())?;
            return Some(self.granted(told));
        }
        // Where there are no users and nobody has to sign in, a name says nothing.
        let named = login.user.is_some() && (!self.users.is_empty() || self.policy == Anonymous::Never);
        Some(match named {
            true => Err(LoginRefusal::Wrong),
            false if self.policy.allows(login.peer) => Ok(Arc::clone(&self.nobody)),
            false => Err(LoginRefusal::Anonymous),
        })
    }

    fn granted(&self, told: Result<Identity, AuthError>) -> Result<Arc<dyn Grant>, LoginRefusal> {
        match told {
            Ok(identity) => Ok(self.rights(&identity)),
            Err(AuthError::Access(error)) => {
                tracing::error!(%error, "an API key of an MQTT client cannot be checked");
                Err(LoginRefusal::Unavailable)
            }
            Err(AuthError::Refused(_) | AuthError::KeysNeeded(_)) => Err(LoginRefusal::Wrong),
        }
    }

    /// The rights of an identity; the same as last time where nothing has changed.
    fn rights(&self, identity: &Identity) -> Arc<Rights> {
        let now = Rights::of(identity, &self.mapping, &self.mapped);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = keys.get(&now.owner).filter(|last| last.same(&now)) {
            return Arc::clone(last);
        }
        if keys.len() >= KEPT {
            keys.clear();
        }
        let now = Arc::new(now);
        keys.insert(now.owner.clone(), Arc::clone(&now));
        now
    }
}

/// The password, where it looks like an API key.
fn api_key(password: &[u8]) -> Option<&str> {
    std::str::from_utf8(password).ok().filter(|text| text.starts_with(KEY))
}

/// [`Door`], as the broker takes it.
#[derive(Clone, Debug)]
pub(super) struct DoorKeeper(pub(super) Arc<Door>);

impl Authenticator for DoorKeeper {
    fn authenticate(&self, login: Login) -> LoginAnswer {
        if let Some(told) = self.0.check(&login) {
            return Box::pin(std::future::ready(told));
        }
        let door = Arc::clone(&self.0);
        let password: Bytes = login.password.unwrap_or_default();
        Box::pin(async move {
            let looked_up = tokio::task::spawn_blocking(move || {
                let key = api_key(&password).unwrap_or_default();
                door.granted(door.access.authenticate(key, clock::now()))
            });
            looked_up.await.unwrap_or(Err(LoginRefusal::Unavailable))
        })
    }

    fn current(&self, grant: &Arc<dyn Grant>) -> Option<Arc<dyn Grant>> {
        // The configuration's users and anonymous clients stay as they are until the next start.
        let Some(id) = grant.owner().strip_prefix(KEY_OWNER) else { return Some(Arc::clone(grant)) };
        match self.0.access.api_key_identity(id, clock::now()) {
            Ok(identity) => Some(self.0.rights(&identity)),
            Err(AuthError::Access(error)) => {
                // What cannot be found out now is no reason to break off.
                tracing::error!(%error, "an API key of an MQTT client cannot be checked anew");
                Some(Arc::clone(grant))
            }
            Err(AuthError::Refused(_) | AuthError::KeysNeeded(_)) => None,
        }
    }
}
