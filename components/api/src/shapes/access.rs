//! Requests and responses of the edge host's own routes: users, keys and the audit log. The edge host answers these
//! routes itself; the types here only document them.
#![allow(dead_code, reason = "only for the document")]

use schemars::JsonSchema;
use serde::Serialize;

use super::scalars::{Loose, Moment, Name, Text};

/// A password.
type Password = Text<1, 1024>;
/// A password that meets the rules for new passwords.
type GoodPassword = Text<12, 1024>;

/// The pattern of a user's name.
const USER: &str = "^[A-Za-z0-9._@+-]{1,64}$";
/// The pattern of a site: the beginning of the path of a machine.
const SITE: &str = r"^[^/\s\x00-\x1f\x7f-\x9f]+(/[^/\s\x00-\x1f\x7f-\x9f]+)*$";
/// The pattern of an API key's name.
const KEY: &str = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f\u0085\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f])?$";

/// A site, the beginning of the path of a machine.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[schemars(rename = "Site")]
pub(crate) struct Site(#[schemars(regex(pattern = SITE), length(max = 256))] String);

/// The credentials of a user.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "Login")]
pub(crate) struct Login {
    user: Name,
    password: Password,
}

/// A refresh token to exchange for new tokens.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "Refresh")]
pub(crate) struct Refresh {
    refresh_token: Text<1, 4096>,
}

/// A change of the caller's password.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "NewPassword")]
pub(crate) struct NewPassword {
    old_password: Password,
    new_password: GoodPassword,
}

/// A session with its tokens.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Session {
    /// Sent as `Authorization: Bearer`.
    token: String,
    expires: Moment,
    refresh_token: String,
    refresh_expires: Moment,
    /// If true, nothing else is allowed until the password is changed.
    must_change_password: bool,
    user: Me,
}

/// The caller.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Me")]
pub(crate) struct Me {
    user: String,
    roles: Vec<Role>,
    permissions: Vec<Allowed>,
    /// The sites that the user may see. Null: all.
    sites: Option<Vec<String>>,
    must_change_password: bool,
    /// `password`, `oidc`, `key` or `open`.
    method: String,
}

/// The role of a user.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Admin,
    Engineer,
    Operator,
    Viewer,
}

/// A permission.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Allowed")]
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
    /// The sites that the user may see. Null: all.
    sites: Option<Vec<String>>,
    disabled: bool,
    created: Moment,
    last_login: Option<Moment>,
    must_change_password: bool,
}

/// A user with a one-time password, which is shown once.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UserWithPassword {
    #[serde(flatten)]
    user: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_time_password: Option<String>,
}

/// A new user.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct NewUser {
    #[schemars(regex(pattern = USER))]
    user: String,
    #[schemars(length(min = 1))]
    roles: Vec<Role>,
    /// The allowed sites. Null or omitted: all.
    sites: Option<Vec<Site>>,
}

/// Changes of a user. At least one member is required.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub(crate) struct UserChange {
    #[schemars(with = "Vec<Role>", length(min = 1))]
    #[schemars(default)]
    roles: Option<Vec<Role>>,
    /// The sites that the user may see. Null: all.
    sites: Option<Vec<Site>>,
    #[schemars(with = "bool")]
    #[schemars(default)]
    disabled: Option<bool>,
    /// True: creates a new one-time password.
    #[schemars(with = "bool")]
    #[schemars(default)]
    reset_password: Option<bool>,
}

/// An API key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(crate) struct Key {
    id: String,
    name: String,
    scopes: Vec<Scope>,
    sites: Option<Vec<String>>,
    created: Moment,
    expires: Option<Moment>,
    last_used: Option<Moment>,
}

/// The scope of an API key.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Scope")]
pub(crate) enum Scope {
    Ingest,
    Read,
    Write,
}

/// A new API key.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "NewKey")]
pub(crate) struct NewKey {
    #[schemars(regex(pattern = KEY), length(max = 100))]
    name: String,
    #[schemars(length(min = 1))]
    scopes: Vec<Scope>,
    /// The allowed sites. Null or omitted: all.
    sites: Option<Vec<Site>>,
    /// When the key expires. Null or omitted: never.
    expires: Option<Moment>,
}

/// An API key with its secret, which is shown once.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeyWithSecret {
    #[serde(flatten)]
    about: Key,
    /// Sent as `Authorization: Bearer` or `X-API-Key`.
    key: String,
}

/// An entry of the audit log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Entry")]
pub(crate) struct Entry {
    seq: u64,
    time: Moment,
    actor: String,
    action: String,
    target: Option<String>,
    outcome: String,
    address: Option<String>,
    /// The hash of this entry and the hash of the previous one.
    hash: String,
}

/// The result of verifying the hash chain of the audit log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verified")]
pub(crate) struct Verified {
    ok: bool,
    entries: u64,
    /// The first entry that does not match: `{seq, why}`.
    first_bad: Option<Loose>,
}
