//! Authentication of clients, and their rights to publish and subscribe.

use std::{fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::{BrokerConfig, BrokerUser};

/// The rights of one client. The broker calls these methods before each publish and each delivery, so they must be fast
/// and must not block.
pub trait Grant: fmt::Debug + Send + Sync {
    /// The owner of these rights. Client ids are scoped by owner: a client can neither take over nor end the session of
    /// another owner's client, even with the same client id.
    fn owner(&self) -> &str;

    /// Whether the client may publish to this topic name.
    fn may_publish(&self, topic: &str) -> bool;

    /// Whether the client may receive messages of this topic name.
    fn may_read(&self, topic: &str) -> bool;

    /// Whether the client may read at least one topic that matches this filter. `false` rejects the subscription. With
    /// `true`, each message is still checked with [`Grant::may_read`].
    fn may_subscribe(&self, filter: &str) -> bool;

    /// The sites whose data the client may publish; `None` means all sites.
    fn sites(&self) -> Option<Arc<[String]>>;
}

/// Unrestricted rights; the field is the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullGrant(pub String);

impl Grant for FullGrant {
    fn owner(&self) -> &str {
        &self.0
    }

    fn may_publish(&self, _topic: &str) -> bool {
        true
    }

    fn may_read(&self, _topic: &str) -> bool {
        true
    }

    fn may_subscribe(&self, _filter: &str) -> bool {
        true
    }

    fn sites(&self) -> Option<Arc<[String]>> {
        None
    }
}

/// The identity and credentials of a CONNECT.
#[derive(Clone)]
pub struct Login {
    /// Address and port of the client.
    pub peer: SocketAddr,
    /// The requested client id.
    pub client_id: String,
    /// User name.
    pub user_name: Option<String>,
    /// Password; not shown by `Debug`.
    pub password: Option<Bytes>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("peer", &self.peer)
            .field("client_id", &self.client_id)
            .field("user", &self.user_name)
            .finish_non_exhaustive()
    }
}

/// Why a login is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRejection {
    /// The client sent no credentials, but they are required.
    CredentialsRequired,
    /// The credentials are wrong, revoked or expired.
    InvalidCredentials,
    /// The credentials cannot be checked at the moment.
    Unavailable,
}

/// The future of [`Authenticator::authenticate`].
pub type LoginFuture = Pin<Box<dyn Future<Output = Result<Arc<dyn Grant>, LoginRejection>> + Send>>;

/// Authenticates clients and provides their rights.
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Checks the credentials of a client and returns its rights.
    fn authenticate(&self, login: Login) -> LoginFuture;

    /// Returns the current rights of the owner of `grant`, or `None` if the owner has lost access, which ends the
    /// owner's connections and sessions. Called every [`crate::REVALIDATE_INTERVAL`] for each owner, on a thread that
    /// may block. Returning the same `Arc` means that nothing has changed.
    fn current_grant(&self, grant: &Arc<dyn Grant>) -> Option<Arc<dyn Grant>>;
}

/// Configured users, stored as SHA-256 digests of their names and passwords. All digests have the same length, so a
/// comparison takes the same time for any input of a client.
#[derive(Debug, Default)]
pub struct Users(Vec<UserEntry>);

struct UserEntry {
    name: [u8; 32],
    password: [u8; 32],
    grant: Arc<dyn Grant>,
}

impl fmt::Debug for UserEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.grant.fmt(f)
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Users {
    /// Adds a user with these rights.
    pub fn add(&mut self, user: &BrokerUser, grant: Arc<dyn Grant>) {
        self.0.push(UserEntry {
            name: digest(user.name.as_bytes()),
            password: digest(user.password.as_bytes()),
            grant,
        });
    }

    /// Whether no user is configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the rights of the user with this name and password, or `None` if there is no such user. The comparison
    /// takes constant time.
    pub fn find(&self, name: &str, password: &[u8]) -> Option<Arc<dyn Grant>> {
        let (name, password) = (digest(name.as_bytes()), digest(password));
        let mut found = None;
        for entry in &self.0 {
            let fits: Choice = entry.name.ct_eq(&name) & entry.password.ct_eq(&password);
            if fits.into() {
                found = Some(Arc::clone(&entry.grant));
            }
        }
        found
    }
}

/// The users of [`BrokerConfig`], each with full rights. Anonymous clients are accepted if the configuration allows
/// them.
#[derive(Debug)]
pub(crate) struct ConfiguredUsers {
    users: Users,
    anonymous: Option<bool>,
    anonymous_grant: Arc<dyn Grant>,
}

impl ConfiguredUsers {
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        let mut users = Users::default();
        for user in &config.users {
            users.add(user, Arc::new(FullGrant(format!("user:{}", user.name))));
        }
        Self { users, anonymous: config.anonymous, anonymous_grant: Arc::new(FullGrant(String::new())) }
    }

    fn check_login(&self, login: &Login) -> Result<Arc<dyn Grant>, LoginRejection> {
        let loopback = login.peer.ip().to_canonical().is_loopback();
        let anonymous = self.anonymous.unwrap_or_else(|| self.users.is_empty() && loopback);
        match login.user_name.as_deref().filter(|_| !self.users.is_empty()) {
            Some(name) => {
                let password = login.password.as_deref().unwrap_or_default();
                self.users.find(name, password).ok_or(LoginRejection::InvalidCredentials)
            }
            None if anonymous => Ok(Arc::clone(&self.anonymous_grant)),
            None => Err(LoginRejection::CredentialsRequired),
        }
    }
}

impl Authenticator for ConfiguredUsers {
    fn authenticate(&self, login: Login) -> LoginFuture {
        Box::pin(std::future::ready(self.check_login(&login)))
    }

    fn current_grant(&self, grant: &Arc<dyn Grant>) -> Option<Arc<dyn Grant>> {
        Some(Arc::clone(grant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(
        anonymous: Option<bool>,
        users: &[(&str, &str)],
        peer: &str,
        user: Option<&str>,
        password: Option<&'static [u8]>,
    ) -> bool {
        let users = users
            .iter()
            .map(|(name, password)| BrokerUser { name: (*name).into(), password: (*password).into() })
            .collect();
        let auth = ConfiguredUsers::new(&BrokerConfig { anonymous, users, ..BrokerConfig::default() });
        let login = Login {
            peer: SocketAddr::new(peer.parse().unwrap(), 1),
            client_id: "c".into(),
            user_name: user.map(Into::into),
            password: password.map(Bytes::from_static),
        };
        auth.check_login(&login).is_ok()
    }

    #[test]
    fn names_and_passwords_are_checked() {
        let (here, there) = ("127.0.0.1", "10.0.0.1");
        let both = [("ann", "1"), ("bob", "2")];
        assert!(allows(None, &both, there, Some("ann"), Some(b"1")));
        assert!(allows(None, &both, there, Some("bob"), Some(b"2")));
        assert!(!allows(None, &both, there, Some("ann"), Some(b"2")));
        assert!(!allows(None, &both, there, Some("ann"), None));
        assert!(!allows(None, &both, here, None, None));
        assert!(allows(Some(true), &both, there, None, None));
        assert!(!allows(Some(true), &both, there, Some("eve"), Some(b"1")));
        assert!(allows(None, &[], here, None, None));
        assert!(allows(None, &[], "::ffff:127.0.0.1", Some("any"), None));
        assert!(!allows(None, &[], there, None, None));
        assert!(!allows(Some(false), &[], here, None, None));
        assert!(allows(Some(true), &[], there, None, None));
    }
}
