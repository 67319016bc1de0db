//! What can go wrong, and why somebody is not let in.

use std::time::Duration;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// SQLite refused.
    #[error("access.db: {0}; check that the disk has room and the file is writable")]
    Database(#[from] rusqlite::Error),
    /// The file was made by another version.
    #[error(
        "access.db is of version {found}, this program knows version {known}; use the program that made it, or a newer one"
    )]
    Version {
        /// The file's.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The keyring cannot be used.
    #[error("the keyring: {0}")]
    Keyring(String),
    /// A sealed value cannot be opened.
    #[error("a sealed value cannot be opened: {0}")]
    Seal(String),
    /// The system gives no randomness, or a cipher refuses.
    #[error("cryptography: {0}")]
    Crypto(&'static str),
    /// The password does not do.
    #[error("{0}")]
    Password(String),
    /// A name, role, scope or site does not do.
    #[error("{0}")]
    Invalid(String),
    /// There is none of that name.
    #[error("there is no {what} {name}")]
    Missing {
        /// User or API key.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It is there already.
    #[error("there is a user {0} already; pick another name, or change that one")]
    Exists(String),
    /// A time that has passed.
    #[error("the API key would be over already; give a time to come")]
    Over,
    /// Nobody could configure any more.
    #[error("{0} is the last admin who may sign in; make another one first")]
    LastAdmin(String),
    /// A row that does not hold what it should.
    #[error("access.db holds a damaged row: {0}; restore it from a backup")]
    Damaged(String),
    /// The settings cannot be used.
    #[error("[access] {0}")]
    Settings(String),
}

/// Why a token or key is not taken. For the log and the audit: a client is only told that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no token.
    #[error("malformed")]
    Malformed,
    /// Its algorithm is not that of the key.
    #[error("algorithm")]
    Algorithm,
    /// The key it names is not known, or no longer good.
    #[error("unknown key")]
    Key,
    /// The signature does not match.
    #[error("signature")]
    Signature,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Its time has not come.
    #[error("not yet valid")]
    NotYetValid,
    /// It was revoked.
    #[error("revoked")]
    Revoked,
    /// Nobody here trusts who issued it.
    #[error("issuer")]
    Issuer,
    /// It is meant for somebody else.
    #[error("audience")]
    Audience,
    /// Its user is gone, disabled, or has another password since.
    #[error("account")]
    Account,
    /// A refresh token that was used before.
    #[error("used before")]
    Reused,
}

/// Why an identity was not found.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// What was shown is not good.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// An issuer's token names a key that is not here yet: [`crate::Access::fetch_keys`], then try once more.
    #[error("a key of issuer {0} is not known yet")]
    KeysNeeded(usize),
    /// It could not be checked.
    #[error(transparent)]
    Access(#[from] AccessError),
}

impl From<Refusal> for AuthError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for AuthError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Access(error.into())
    }
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Name or password is wrong, or the user is disabled; which of them is not told.
    #[error("the name or the password is wrong")]
    Wrong,
    /// Too many wrong passwords for this name.
    #[error("too many failed logins; try again in {} s", .0.as_secs().max(1))]
    Locked(Duration),
    /// It could not be checked.
    #[error(transparent)]
    Access(#[from] AccessError),
}
