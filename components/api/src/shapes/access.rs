//! Who may do what: the edge host's own routes, which it answers itself. Here they are but documented.
#![allow(dead_code, reason = "shapes of the document")]

use schemars::JsonSchema;
use serde::Serialize;

use super::scalars::{Loose, Moment, Name, Text};

/// A password.
type Password = Text<1, 1024>;
/// A password that will do.
type GoodPassword = Text<12, 1024>;

/// What a user's name looks like.
const USER: &str = "^[A-Za-z0-9._@+-]{1,64}$";
/// What a site looks like: the beginning of an asset's path.
const SITE: &str = r"^[^/\s\x00-\x1f\x7f-\x9f]+(/[^/\s\x00-\x1f\x7f-\x9f]+)*$";
/// What an API key's name looks like.
const KEY: &str = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f\u0085\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f])?$";

/// A site.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(crate) struct Site(#[schemars(regex(pattern = SITE), length(max = 256))] String);

/// A user and the password.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Login {
    user: Name,
    password: Password,
}

/// A token that gives new ones.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Refresh {
    refresh_token: Text<1, 4096>,
}

/// A new password.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct NewPassword {
    old_password: Password,
    new_password: GoodPassword,
}

/// A session.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Session {
    /// Sent as `Authorization: Bearer`.
    token: String,
    expires: Moment,
    refresh_token: String,
    refresh_expires: Moment,
    /// Until it is changed, nothing else is allowed.
    must_change_password: bool,
    user: Me,
}

/// Whoever asks.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Me {
    user: String,
    roles: Vec<Role>,
    permissions: Vec<Allowed>,
    /// Null: all.
    sites: Option<Vec<String>>,
    must_change_password: bool,
    /// `password`, `oidc`, `key` or `open`.
    method: String,
}

/// What somebody is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Admin,
    Engineer,
    Operator,
    Viewer,
}

/// What somebody may.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Allowed {
    Read,
    Write,
    Delete,
    Configure,
}

/// A user.
#[derive(Serialize, JsonSchema)]
pub(crate) struct User {
    user: String,
    roles: Vec<Role>,
    /// Null: all.
    sites: Option<Vec<String>>,
    disabled: bool,
    created: Moment,
    last_login: Option<Moment>,
    must_change_password: bool,
}

/// A user, with the password to begin with, which is shown once.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UserWithPassword {
    #[serde(flatten)]
    user: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_time_password: Option<String>,
}

/// A user to be.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct NewUser {
    #[schemars(regex(pattern = USER))]
    user: String,
    #[schemars(length(min = 1))]
    roles: Vec<Role>,
    /// Null or left out: all.
    sites: Option<Vec<Site>>,
}

/// What becomes of a user: at least one member.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub(crate) struct UserChange {
    #[schemars(with = "Vec<Role>", length(min = 1))]
    #[schemars(default)]
    roles: Option<Vec<Role>>,
    /// Null: all.
    sites: Option<Vec<Site>>,
    #[schemars(with = "bool")]
    #[schemars(default)]
    disabled: Option<bool>,
    /// True: gives a new one-time password.
    #[schemars(with = "bool")]
    #[schemars(default)]
    reset_password: Option<bool>,
}

/// A key.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Key {
    id: String,
    name: String,
    scopes: Vec<Scope>,
    sites: Option<Vec<String>>,
    created: Moment,
    expires: Option<Moment>,
    last_used: Option<Moment>,
}

/// What a key may.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    Ingest,
    Read,
    Write,
}

/// A key to be.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct NewKey {
    #[schemars(regex(pattern = KEY), length(max = 100))]
    name: String,
    #[schemars(length(min = 1))]
    scopes: Vec<Scope>,
    /// Null or left out: all.
    sites: Option<Vec<Site>>,
    /// Null or left out: never.
    expires: Option<Moment>,
}

/// A key with its secret, which is shown once.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeyWithSecret {
    #[serde(flatten)]
    about: Key,
    /// Sent as `Authorization: Bearer` or `X-API-Key`.
    key: String,
}

/// What somebody did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Entry {
    seq: u64,
    time: Moment,
    actor: String,
    action: String,
    target: Option<String>,
    outcome: String,
    address: Option<String>,
    /// Over this entry and the hash of the one before.
    hash: String,
}

/// Whether the log is as it was written.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Verified {
    ok: bool,
    entries: u64,
    /// `{seq, why}`.
    first_bad: Option<Loose>,
}
