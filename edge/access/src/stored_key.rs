//! An API key.

use crate::Scope;

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Id of the key, the text between `wt_` and the next `_`.
    pub id: String,
    /// Name of the device or program that uses it.
    pub name: String,
    /// What the key may be used for, at least one scope.
    pub scopes: Vec<Scope>,
    /// Path prefixes of the assets that are visible; `None` means all.
    pub sites: Option<Vec<String>>,
    /// When it was created, in nanoseconds since 1970.
    pub created: i64,
    /// When it expires, in nanoseconds since 1970; `None` means never.
    pub expires: Option<i64>,
    /// When it was last used, in nanoseconds since 1970. Other processes see a use some seconds later.
    pub last_used: Option<i64>,
}

/// An API key with the BLAKE3 hash of its text.
#[derive(Debug)]
pub(crate) struct StoredKey {
    pub(crate) key: ApiKey,
    pub(crate) hash: Vec<u8>,
}
