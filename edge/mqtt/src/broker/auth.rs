//! Who may connect.

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::BrokerConfig;

/// Users by the digests of their names and passwords: all have the same length, so that comparing them takes the same
/// time whatever a client sends.
pub(crate) struct Auth {
    users: Vec<([u8; 32], [u8; 32])>,
    anonymous: Option<bool>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("users", &self.users.len()).field("anonymous", &self.anonymous).finish()
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Auth {
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        let users =
            config.users.iter().map(|user| (digest(user.name.as_bytes()), digest(user.password.as_bytes()))).collect();
        Self { users, anonymous: config.anonymous }
    }

    /// Whether a client with this name and password may come from this address.
    pub(crate) fn allows(&self, peer: IpAddr, user: Option<&str>, password: Option<&[u8]>) -> bool {
        let anonymous = self.anonymous.unwrap_or_else(|| self.users.is_empty() && peer.to_canonical().is_loopback());
        let Some(user) = user.filter(|_| !self.users.is_empty()) else { return anonymous };
        let (user, password) = (digest(user.as_bytes()), digest(password.unwrap_or_default()));
        let known = self
            .users
            .iter()
            .fold(Choice::from(0), |known, (name, secret)| known | (name.ct_eq(&user) & secret.ct_eq(&password)));
        known.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::User;

    fn auth(anonymous: Option<bool>, users: &[(&str, &str)]) -> Auth {
        let users =
            users.iter().map(|(name, password)| User { name: (*name).into(), password: (*password).into() }).collect();
        Auth::new(&BrokerConfig { anonymous, users, ..BrokerConfig::default() })
    }

    #[test]
    fn names_and_passwords_are_checked() {
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        let auth_users = auth(None, &[("ann", "1"), ("bob", "2")]);
        assert!(auth_users.allows(there, Some("ann"), Some(b"1")));
        assert!(auth_users.allows(there, Some("bob"), Some(b"2")));
        assert!(!auth_users.allows(there, Some("ann"), Some(b"2")));
        assert!(!auth_users.allows(there, Some("ann"), None));
        assert!(!auth_users.allows(here, None, None));
        assert!(auth(Some(true), &[("ann", "1")]).allows(there, None, None));
        assert!(!auth(Some(true), &[("ann", "1")]).allows(there, Some("eve"), Some(b"1")));
        assert!(auth(None, &[]).allows(here, None, None));
        assert!(auth(None, &[]).allows("::ffff:127.0.0.1".parse().unwrap(), Some("any"), None));
        assert!(!auth(None, &[]).allows(there, None, None));
        assert!(!auth(Some(false), &[]).allows(here, None, None));
        assert!(auth(Some(true), &[]).allows(there, None, None));
    }
}
