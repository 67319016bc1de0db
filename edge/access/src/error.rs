//! Error types: failures of the database and keyring, and the reasons why a credential or login is rejected.

use std::time::Duration;

/// An operation on users, keys or the audit log failed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// SQLite returned an error.
    #[error("access.db: {0}; check that the disk has room and the file is writable")]
    Database(#[from] rusqlite::Error),
    /// The database has a schema version that this program does not support.
    #[error(
        "access.db has schema version {found}, this program supports version {known}; \
         use the program that wrote it, or a newer one"
    )]
    Version {
        /// Schema version of the file.
        found: i64,
        /// Schema version that this program writes.
        known: i64,
    },
    /// The keyring is missing, damaged or cannot be written.
    #[error("the keyring: {0}")]
    Keyring(String),
    /// An encrypted value cannot be decrypted.
    #[error("an encrypted value cannot be decrypted: {0}")]
    Decryption(String),
    /// The system's random generator or a cryptographic function failed.
    #[error("cryptography: {0}")]
    Crypto(&'static str),
    /// The password violates the password policy.
    #[error("{0}")]
    Password(String),
    /// A name, role, scope or site is invalid.
    #[error("{0}")]
    Invalid(String),
    /// No user or API key has this name.
    #[error("there is no {what} {name}")]
    NotFound {
        /// `user` or `API key`.
        what: &'static str,
        /// The name or id that was not found.
        name: String,
    },
    /// A user of this name exists.
    #[error("there is already a user {0}; choose another name, or change that user")]
    UserExists(String),
    /// The expiry of a new API key is in the past.
    #[error("the API key would have expired already; give a time in the future")]
    ExpiryInPast,
    /// The change would leave no enabled admin.
    #[error("{0} is the last admin who can sign in; create another admin first")]
    LastAdmin(String),
    /// A row has invalid content.
    #[error("access.db contains a damaged row: {0}; restore the file from a backup")]
    DamagedRow(String),
    /// The settings are invalid, or a file or thread they need is unavailable.
    #[error("[access] {0}")]
    Settings(String),
}

/// Why a credential is rejected. For the log and the audit log only; the client does not learn the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RejectReason {
    /// It is neither a token nor an API key.
    #[error("malformed")]
    Malformed,
    /// The algorithm in its header is not the algorithm of the key.
    #[error("algorithm")]
    WrongAlgorithm,
    /// The key it names is unknown or retired.
    #[error("unknown key")]
    UnknownKey,
    /// The signature does not match.
    #[error("signature")]
    InvalidSignature,
    /// It has expired.
    #[error("expired")]
    Expired,
    /// It is not valid yet.
    #[error("not yet valid")]
    NotYetValid,
    /// It was revoked.
    #[error("revoked")]
    Revoked,
    /// Its issuer is not trusted.
    #[error("issuer")]
    UntrustedIssuer,
    /// It was issued for another audience.
    #[error("audience")]
    WrongAudience,
    /// Its user was removed or disabled, or has changed the password since.
    #[error("account")]
    InvalidAccount,
    /// It is a refresh token that was used before.
    #[error("used before")]
    Reused,
}

/// Authentication failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The credential is rejected.
    #[error("rejected: {0}")]
    Rejected(RejectReason),
    /// The token names a key of this issuer that has not been fetched. Call [`crate::Access::fetch_issuer_keys`], then retry
    /// once.
    #[error("a key of issuer {0} has not been fetched")]
    IssuerKeysNeeded(usize),
    /// The credential could not be checked.
    #[error(transparent)]
    Access(#[from] AccessError),
}

impl From<RejectReason> for AuthError {
    fn from(reason: RejectReason) -> Self {
        Self::Rejected(reason)
    }
}

impl From<rusqlite::Error> for AuthError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Access(error.into())
    }
}

/// A login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The name or password is wrong, or the user is disabled. The error does not say which.
    #[error("the name or the password is wrong")]
    WrongCredentials,
    /// Too many wrong passwords for this name; the time until the next attempt is allowed.
    #[error("too many failed logins; try again in {} s", .0.as_secs().max(1))]
    LockedOut(Duration),
    /// The password could not be checked.
    #[error(transparent)]
    Access(#[from] AccessError),
}
