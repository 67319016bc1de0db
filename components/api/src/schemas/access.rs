//! Requests and responses of the edge host's own routes: users, keys and the audit log. The edge host answers these
//! routes itself; the types here only document them.
#![allow(dead_code, reason = "only for the document")]

use schemars::JsonSchema;
use serde::Serialize;

use super::scalars::{BoundedText, JsonObject, Name, Timestamp};

/// A password.
type Password = BoundedText<1, 1024>;
/// A password that meets the rules for new passwords.
type ValidPassword = BoundedText<12, 1024>;

/// The pattern of a user's name.
const USER_PATTERN: &str = "^[A-Za-z0-9._@+-]{1,64}$";
/// The pattern of a site: the beginning of the path of a machine.
const SITE_PATTERN: &str = r"^[^/\s\x00-\x1f\x7f-\x9f]+(/[^/\s\x00-\x1f\x7f-\x9f]+)*$";
/// The pattern of an API key's name.
const KEY_NAME_PATTERN: &str =
    r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f\u0085\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f])?$";

/// A site, the beginning of the path of a machine.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(crate) struct SitePath(#[schemars(regex(pattern = SITE_PATTERN), length(max = 256))] String);

/// The credentials of a user.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct LoginBody {
    user: Name,
    password: Password,
}

/// A refresh token to exchange for new tokens.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RefreshBody {
    refresh_token: BoundedText<1, 4096>,
}

/// A change of the caller's password.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    old_password: Password,
    new_password: ValidPassword,
}

/// A session with its tokens.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Session {
    /// Sent as `Authorization: Bearer`.
    token: String,
    expires: Timestamp,
    refresh_token: String,
    refresh_expires: Timestamp,
    /// If true, nothing else is allowed until the password is changed.
    must_change_password: bool,
    user: Caller,
}

/// The caller.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Caller {
    user: String,
    roles: Vec<Role>,
    permissions: Vec<PermissionName>,
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
pub(crate) enum PermissionName {
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
    created: Timestamp,
    last_login: Option<Timestamp>,
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
    #[schemars(regex(pattern = USER_PATTERN))]
    user: String,
    #[schemars(length(min = 1))]
    roles: Vec<Role>,
    /// The allowed sites. Null or omitted: all.
    sites: Option<Vec<SitePath>>,
}

/// Changes of a user. At least one member is required.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub(crate) struct UserChange {
    #[schemars(with = "Vec<Role>", length(min = 1))]
    #[schemars(default)]
    roles: Option<Vec<Role>>,
    /// The sites that the user may see. Null: all.
    sites: Option<Vec<SitePath>>,
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
pub(crate) struct ApiKey {
    id: String,
    name: String,
    scopes: Vec<KeyScope>,
    sites: Option<Vec<String>>,
    created: Timestamp,
    expires: Option<Timestamp>,
    last_used: Option<Timestamp>,
}

/// The scope of an API key.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyScope {
    Ingest,
    Read,
    Write,
}

/// A new API key.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    #[schemars(regex(pattern = KEY_NAME_PATTERN), length(max = 100))]
    name: String,
    #[schemars(length(min = 1))]
    scopes: Vec<KeyScope>,
    /// The allowed sites. Null or omitted: all.
    sites: Option<Vec<SitePath>>,
    /// When the key expires. Null or omitted: never.
    expires: Option<Timestamp>,
}

/// An API key with its secret, which is shown once.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeyWithSecret {
    #[serde(flatten)]
    about: ApiKey,
    /// Sent as `Authorization: Bearer` or `X-API-Key`.
    key: String,
}

/// An entry of the audit log.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AuditEntry {
    seq: u64,
    time: Timestamp,
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
pub(crate) struct AuditVerification {
    ok: bool,
    entries: u64,
    /// The first entry that does not match: `{seq, why}`.
    first_bad: Option<JsonObject>,
}
