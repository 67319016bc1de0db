//! A user.

use crate::Role;

/// A user, without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name of the user; case-insensitive.
    pub name: String,
    /// Roles of the user, at least one.
    pub roles: Vec<Role>,
    /// Path prefixes of the assets that are visible; `None` means all.
    pub sites: Option<Vec<String>>,
    /// Whether the user may not sign in.
    pub disabled: bool,
    /// Whether the password is still the one-time password.
    pub must_change_password: bool,
    /// When the user was created, in nanoseconds since 1970.
    pub created: i64,
    /// When the user signed in last, in nanoseconds since 1970.
    pub last_login: Option<i64>,
}

/// A user with the password hash and its generation.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) user: User,
    pub(crate) hash: String,
    pub(crate) generation: i64,
}
