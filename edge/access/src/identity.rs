//! Identities, and their roles, scopes and permissions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::AccessError;

/// A kind of action that an identity can be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Read all data.
    Read,
    /// Acknowledge, comment, plan and send readings.
    Write,
    /// Delete data.
    Delete,
    /// Manage users and keys, and read the audit log.
    Configure,
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Delete, Self::Configure];

    /// The name used in the API and in `access.db`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Configure => "configure",
        }
    }
}

/// The role of a user; it determines the permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything.
    Admin,
    /// May read, write and delete.
    Engineer,
    /// May read and write.
    Operator,
    /// May read.
    Viewer,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Engineer, Self::Operator, Self::Viewer];

    /// The name used in the API and in `access.db`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Engineer => "engineer",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// The permissions of the role.
    pub fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Admin => &Permission::ALL,
            Self::Engineer => &[Permission::Read, Permission::Write, Permission::Delete],
            Self::Operator => &[Permission::Read, Permission::Write],
            Self::Viewer => &[Permission::Read],
        }
    }
}

/// What an API key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send readings.
    Ingest,
    /// Read all data.
    Read,
    /// Acknowledge, comment and plan.
    Write,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Read, Self::Write];

    /// The name used in the API and in `access.db`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

macro_rules! impl_text {
    ($type:ty, $kind:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = AccessError;

            fn from_str(text: &str) -> Result<Self, AccessError> {
                Self::ALL.into_iter().find(|value| value.name() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|value| value.name()).collect();
                    AccessError::Invalid(format!(
                        concat!("there is no ", $kind, " {:?}; known are {}"),
                        text,
                        known.join(", ")
                    ))
                })
            }
        }
    };
}

impl_text!(Permission, "permission");
impl_text!(Role, "role");
impl_text!(Scope, "scope");

/// How an identity authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMethod {
    /// With name and password; requests carry a token of this host.
    Password,
    /// With a token of a trusted OpenID Connect issuer.
    Oidc,
    /// With an API key.
    Key,
    /// Not at all, because access control is off.
    Open,
}

/// An authenticated user or API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of the user, `key:<key id>` for an API key, or `oidc:<name>@<issuer>` for a token of an issuer.
    pub name: String,
    /// Roles of the user; empty for an API key.
    pub roles: Vec<Role>,
    /// Scopes of the API key; empty for a user.
    pub scopes: Vec<Scope>,
    /// Path prefixes of the assets that are visible, such as `plant` or `plant/hall-1`; `None` means all.
    pub sites: Option<Vec<String>>,
    /// How the identity authenticated.
    pub method: AuthMethod,
    /// Id of the token; `None` for an API key.
    pub jti: Option<String>,
    /// Id of the login that the token belongs to.
    pub session: Option<String>,
    /// When the credential expires, in nanoseconds since 1970.
    pub expires: Option<i64>,
    /// Whether the user may do nothing but change the password.
    pub must_change_password: bool,
}

impl Identity {
    /// The identity of every request while access control is off: an admin called `local`.
    pub fn local() -> Self {
        Self {
            name: "local".into(),
            roles: vec![Role::Admin],
            scopes: Vec::new(),
            sites: None,
            method: AuthMethod::Open,
            jti: None,
            session: None,
            expires: None,
            must_change_password: false,
        }
    }

    /// Whether a role or scope grants this permission.
    pub fn has_permission(&self, permission: Permission) -> bool {
        let scope = match permission {
            Permission::Read => Some(Scope::Read),
            Permission::Write => Some(Scope::Write),
            Permission::Delete | Permission::Configure => None,
        };
        self.roles.iter().any(|role| role.permissions().contains(&permission))
            || scope.is_some_and(|scope| self.scopes.contains(&scope))
    }

    /// Whether the identity may send readings. Users need the permission to write, API keys need the scope `ingest`;
    /// the scope `write` is not enough.
    pub fn can_ingest(&self) -> bool {
        self.scopes.contains(&Scope::Ingest)
            || self.roles.iter().any(|role| role.permissions().contains(&Permission::Write))
    }

    /// All permissions that a role or scope grants.
    pub fn permissions(&self) -> Vec<Permission> {
        Permission::ALL.into_iter().filter(|&permission| self.has_permission(permission)).collect()
    }

    /// Whether the asset with this path, or the sensor with this id, is visible. The site `a/b` covers `a/b` and
    /// everything below it.
    pub fn can_see(&self, path: &str) -> bool {
        let Some(sites) = &self.sites else { return true };
        sites
            .iter()
            .any(|site| path.strip_prefix(site.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

/// Validates the names of sites.
pub(crate) fn validate_sites(sites: Option<Vec<String>>) -> Result<Option<Vec<String>>, AccessError> {
    let Some(sites) = sites else { return Ok(None) };
    let mut clean = Vec::new();
    for site in sites {
        let well_formed = site.chars().count() <= 256 && site.split('/').all(|level| !level.is_empty());
        if !well_formed || site.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err(AccessError::Invalid(format!(
                "{site:?} is not a site; \
                 write the first levels of an asset's path, such as \"plant\" or \"plant/hall-1\""
            )));
        }
        clean.push(site.to_owned());
    }
    Ok(Some(clean))
}
