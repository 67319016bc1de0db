//! Decides who may connect to the broker: the configuration's users, holders of API keys, and anonymous clients where
//! no sign-in is required.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use wheeltapper_access::{Access, AuthError, Identity};
use wheeltapper_mqtt::{Authenticator, Grant, Login, LoginFuture, LoginRejection, Mapping, Users};

use super::acl::Rights;
use crate::clock;

/// The prefix of an API key.
const API_KEY_PREFIX: &str = "wt_";
/// The prefix of the owner name of a key's rights, as in the audit.
const KEY_OWNER_PREFIX: &str = "key:";
/// The number of API keys whose rights are cached, so that an unchanged key gets the same rights object again.
const MAX_CACHED_KEYS: usize = 16_384;

/// Checks the logins of MQTT clients against the configuration and the access database.
pub(super) struct BrokerAuth {
    access: Arc<Access>,
    users: Users,
    policy: AnonymousAccess,
    anonymous_rights: Arc<dyn Grant>,
    mapping: Arc<Mapping>,
    mapped_filters: Arc<[String]>,
    /// The last known rights of each key, by owner.
    keys: Mutex<std::collections::HashMap<String, Arc<Rights>>>,
}

/// Whether a client may connect without credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnonymousAccess {
    Never,
    /// From this machine's own addresses only.
    Loopback,
    Always,
}

impl AnonymousAccess {
    /// `open`: HTTP requires no sign-in either. `configured`: `[mqtt.broker] anonymous`.
    pub(super) fn from_settings(open: bool, configured: Option<bool>, users: bool) -> Self {
        match configured {
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

impl fmt::Debug for BrokerAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerAuth").field("users", &self.users).field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl BrokerAuth {
    pub(super) fn new(
        access: Arc<Access>,
        users: Users,
        policy: AnonymousAccess,
        mapping: &Arc<Mapping>,
        mapped_filters: &Arc<[String]>,
    ) -> Self {
        let anonymous_rights = Arc::new(Rights::new(String::new(), true, true, None, mapping, mapped_filters));
        let (mapping, mapped_filters) = (Arc::clone(mapping), Arc::clone(mapped_filters));
        Self { access, users, policy, anonymous_rights, mapping, mapped_filters, keys: Mutex::default() }
    }

    /// Decides a login without the database, if possible. `None`: the password is an API key that has to be looked up.
    fn check_cached(&self, login: &Login) -> Option<Result<Arc<dyn Grant>, LoginRejection>> {
        let password = login.password.as_deref().unwrap_or_default();
        if let Some(name) = &login.user_name
            && let Some(grant) = self.users.find(name, password)
        {
            return Some(Ok(grant));
        }
        if let Some(key) = api_key(password) {
            let result = self.access.authenticate_cached(key, clock::now())?;
            return Some(self.grant_for(result));
        }
        // A name proves nothing where there are no users and no sign-in is required.
        let has_name = login.user_name.is_some() && (!self.users.is_empty() || self.policy == AnonymousAccess::Never);
        Some(match has_name {
            true => Err(LoginRejection::InvalidCredentials),
            false if self.policy.allows(login.peer) => Ok(Arc::clone(&self.anonymous_rights)),
            false => Err(LoginRejection::CredentialsRequired),
        })
    }

    fn grant_for(&self, result: Result<Identity, AuthError>) -> Result<Arc<dyn Grant>, LoginRejection> {
        match result {
            Ok(identity) => Ok(self.cached_rights(&identity)),
            Err(AuthError::Access(error)) => {
                tracing::error!(%error, "the API key of an MQTT client cannot be checked");
                Err(LoginRejection::Unavailable)
            }
            Err(AuthError::Rejected(_) | AuthError::IssuerKeysNeeded(_)) => Err(LoginRejection::InvalidCredentials),
        }
    }

    /// The rights of an identity; the same object as last time if nothing has changed.
    fn cached_rights(&self, identity: &Identity) -> Arc<Rights> {
        let now = Rights::for_identity(identity, &self.mapping, &self.mapped_filters);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = keys.get(&now.owner).filter(|last| last.same_as(&now)) {
            return Arc::clone(last);
        }
        if keys.len() >= MAX_CACHED_KEYS {
            keys.clear();
        }
        let now = Arc::new(now);
        keys.insert(now.owner.clone(), Arc::clone(&now));
        now
    }
}

/// The password, if it looks like an API key.
fn api_key(password: &[u8]) -> Option<&str> {
    std::str::from_utf8(password).ok().filter(|text| text.starts_with(API_KEY_PREFIX))
}

/// [`BrokerAuth`] as the [`Authenticator`] of the broker.
#[derive(Clone, Debug)]
pub(super) struct BrokerAuthenticator(pub(super) Arc<BrokerAuth>);

impl Authenticator for BrokerAuthenticator {
    fn authenticate(&self, login: Login) -> LoginFuture {
        if let Some(result) = self.0.check_cached(&login) {
            return Box::pin(std::future::ready(result));
        }
        let auth = Arc::clone(&self.0);
        let password: Bytes = login.password.unwrap_or_default();
        Box::pin(async move {
            let lookup = tokio::task::spawn_blocking(move || {
                let key = api_key(&password).unwrap_or_default();
                auth.grant_for(auth.access.authenticate(key, clock::now()))
            });
            lookup.await.unwrap_or(Err(LoginRejection::Unavailable))
        })
    }

    fn current_grant(&self, grant: &Arc<dyn Grant>) -> Option<Arc<dyn Grant>> {
        // The configuration's users and anonymous clients keep their rights until the next start.
        let Some(id) = grant.owner().strip_prefix(KEY_OWNER_PREFIX) else { return Some(Arc::clone(grant)) };
        match self.0.access.api_key_identity(id, clock::now()) {
            Ok(identity) => Some(self.0.cached_rights(&identity)),
            Err(AuthError::Access(error)) => {
                // A failed check is no reason to disconnect the client.
                tracing::error!(%error, "the API key of an MQTT client cannot be checked again");
                Some(Arc::clone(grant))
            }
            Err(AuthError::Rejected(_) | AuthError::IssuerKeysNeeded(_)) => None,
        }
    }
}
