//! Who may connect, and what a client may publish and read.

use std::{fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::{BrokerConfig, User};

/// The rights of one client. The broker asks before each publish and each delivery, so an answer must be quick and must not
/// block.
pub trait Grant: fmt::Debug + Send + Sync {
    /// Whose rights these are. Clients of one owner share the name space of client ids: a client can neither take over nor
    /// end the session of another owner's client, whatever id it sends.
    fn owner(&self) -> &str;

    /// Whether the client may publish to this topic name.
    fn may_publish(&self, topic: &str) -> bool;

    /// Whether the client may receive messages of this topic name.
    fn may_read(&self, topic: &str) -> bool;

    /// Whether any topic that matches this filter could be read. `false` refuses the subscription; where it is `true`, each
    /// message is still checked by [`Grant::may_read`].
    fn may_subscribe(&self, filter: &str) -> bool;

    /// The sites that the content of a publish has to keep to; `None`: any.
    fn sites(&self) -> Option<Arc<[String]>>;
}

/// The rights of a client that may do everything.
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

/// What a CONNECT shows.
#[derive(Clone)]
pub struct Login {
    /// Where the client connects from.
    pub peer: SocketAddr,
    /// The client id it asks for.
    pub client_id: String,
    /// User name.
    pub user: Option<String>,
    /// Password; not shown by `Debug`.
    pub password: Option<Bytes>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("peer", &self.peer)
            .field("client_id", &self.client_id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRefusal {
    /// It has to show who it is.
    Anonymous,
    /// What it shows is wrong, revoked or expired.
    Wrong,
    /// It cannot be checked now.
    Unavailable,
}

/// The future of [`Authenticator::authenticate`].
pub type LoginAnswer = Pin<Box<dyn Future<Output = Result<Arc<dyn Grant>, LoginRefusal>> + Send>>;

/// Decides who may connect.
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Checks what a client shows.
    fn authenticate(&self, login: Login) -> LoginAnswer;

    /// The rights that the owner of `grant` has now; `None` where the owner is no longer let in, which ends the owner's
    /// connections and sessions. Called every [`crate::REVALIDATE`] for each owner, on a thread that may block. The same
    /// `Arc` says that nothing has changed.
    fn current(&self, grant: &Arc<dyn Grant>) -> Option<Arc<dyn Grant>>;
}

/// Configured users by the digests of their names and passwords: all digests have the same length, so comparing them takes
/// the same time whatever a client sends.
#[derive(Debug, Default)]
pub struct Users(Vec<Entry>);

struct Entry {
    name: [u8; 32],
    password: [u8; 32],
    grant: Arc<dyn Grant>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.grant.fmt(f)
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Users {
    /// Adds a user with these rights.
    pub fn add(&mut self, user: &User, grant: Arc<dyn Grant>) {
        self.0.push(Entry { name: digest(user.name.as_bytes()), password: digest(user.password.as_bytes()), grant });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rights of the user with this name and password.
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

/// The users of [`BrokerConfig`], each with all rights, and anonymous clients where it allows them.
#[derive(Debug)]
pub(crate) struct ConfiguredUsers {
    users: Users,
    anonymous: Option<bool>,
    nobody: Arc<dyn Grant>,
}

impl ConfiguredUsers {
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        let mut users = Users::default();
        for user in &config.users {
            users.add(user, Arc::new(FullGrant(format!("user:{}", user.name))));
        }
        Self { users, anonymous: config.anonymous, nobody: Arc::new(FullGrant(String::new())) }
    }

    fn check(&self, login: &Login) -> Result<Arc<dyn Grant>, LoginRefusal> {
        let loopback = login.peer.ip().to_canonical().is_loopback();
        let anonymous = self.anonymous.unwrap_or_else(|| self.users.is_empty() && loopback);
        match login.user.as_deref().filter(|_| !self.users.is_empty()) {
            Some(name) => {
                let password = login.password.as_deref().unwrap_or_default();
                self.users.find(name, password).ok_or(LoginRefusal::Wrong)
            }
            None if anonymous => Ok(Arc::clone(&self.nobody)),
            None => Err(LoginRefusal::Anonymous),
        }
    }
}

impl Authenticator for ConfiguredUsers {
    fn authenticate(&self, login: Login) -> LoginAnswer {
        Box::pin(std::future::ready(self.check(&login)))
    }

    fn current(&self, grant: &Arc<dyn Grant>) -> Option<Arc<dyn Grant>> {
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
        let users =
            users.iter().map(|(name, password)| User { name: (*name).into(), password: (*password).into() }).collect();
        let auth = ConfiguredUsers::new(&BrokerConfig { anonymous, users, ..BrokerConfig::default() });
        let login = Login {
            peer: SocketAddr::new(peer.parse().unwrap(), 1),
            client_id: "c".into(),
            user: user.map(Into::into),
            password: password.map(Bytes::from_static),
        };
        auth.check(&login).is_ok()
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
