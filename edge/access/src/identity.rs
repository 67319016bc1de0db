//! Who somebody is, and what they may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::AccessError;

/// What somebody may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Look.
    Read,
    /// Acknowledge, comment, plan, send readings.
    Write,
    /// Delete.
    Delete,
    /// Users, keys, the audit.
    Configure,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Delete, Self::Configure];

    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Configure => "configure",
        }
    }
}

/// What a person is to the plant.
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
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Engineer, Self::Operator, Self::Viewer];

    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Engineer => "engineer",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// What the role allows.
    pub fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Admin => &Permission::ALL,
            Self::Engineer => &[Permission::Read, Permission::Write, Permission::Delete],
            Self::Operator => &[Permission::Read, Permission::Write],
            Self::Viewer => &[Permission::Read],
        }
    }
}

/// What an API key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send readings.
    Ingest,
    /// Look.
    Read,
    /// Acknowledge, comment, plan.
    Write,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Read, Self::Write];

    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

macro_rules! named {
    ($type:ty, $what:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = AccessError;

            fn from_str(text: &str) -> Result<Self, AccessError> {
                Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|one| one.name()).collect();
                    AccessError::Invalid(format!(
                        concat!("there is no ", $what, " {:?}; there are {}"),
                        text,
                        known.join(", ")
                    ))
                })
            }
        }
    };
}

named!(Permission, "permission");
named!(Role, "role");
named!(Scope, "scope");

/// How somebody showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Name and password, then our token.
    Password,
    /// A token of a trusted issuer.
    Oidc,
    /// An API key.
    Key,
    /// Not at all: access is off.
    Open,
}

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name, or `key:` and the key's id, or `oidc:`, the name the issuer gives, `@` and where the issuer is.
    pub name: String,
    /// Roles; a key has none.
    pub roles: Vec<Role>,
    /// What a key is for.
    pub scopes: Vec<Scope>,
    /// Sites, or parts of them, that are seen; all without a list.
    pub sites: Option<Vec<String>>,
    /// How they came.
    pub method: Method,
    /// The token's id.
    pub jti: Option<String>,
    /// The login that the token comes from.
    pub session: Option<String>,
    /// When the token ends, in nanoseconds since 1970.
    pub expires: Option<i64>,
    /// Whether nothing goes but changing the password.
    pub must_change_password: bool,
}

impl Identity {
    /// Who acts where access is off: an admin without a name.
    pub fn local() -> Self {
        Self {
            name: "local".into(),
            roles: vec![Role::Admin],
            scopes: Vec::new(),
            sites: None,
            method: Method::Open,
            jti: None,
            session: None,
            expires: None,
            must_change_password: false,
        }
    }

    /// Whether they may do this.
    pub fn may(&self, permission: Permission) -> bool {
        let scope = match permission {
            Permission::Read => Some(Scope::Read),
            Permission::Write => Some(Scope::Write),
            Permission::Delete | Permission::Configure => None,
        };
        self.roles.iter().any(|role| role.permissions().contains(&permission))
            || scope.is_some_and(|scope| self.scopes.contains(&scope))
    }

    /// Whether they may send readings: who may write, and keys made for it. A key that may only write may not.
    pub fn may_ingest(&self) -> bool {
        self.scopes.contains(&Scope::Ingest)
            || self.roles.iter().any(|role| role.permissions().contains(&Permission::Write))
    }

    /// All that they may do.
    pub fn permissions(&self) -> Vec<Permission> {
        Permission::ALL.into_iter().filter(|&permission| self.may(permission)).collect()
    }

    /// Whether they see the asset of this path, or the sensor of this id. `a/b` covers `a/b` and what is below.
    pub fn sees(&self, path: &str) -> bool {
        let Some(sites) = &self.sites else { return true };
        sites
            .iter()
            .any(|site| path.strip_prefix(site.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

/// Checks the names of sites and takes off slashes at their ends.
pub(crate) fn clean_sites(sites: Option<Vec<String>>) -> Result<Option<Vec<String>>, AccessError> {
    let Some(sites) = sites else { return Ok(None) };
    let mut clean = Vec::new();
    for site in sites {
        let whole = site.chars().count() <= 256 && site.split('/').all(|part| !part.is_empty());
        if !whole || site.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err(AccessError::Invalid(format!(
                "{site:?} is no site; write the first part of an asset's path, such as \"plant\" or \"plant/hall-1\""
            )));
        }
        clean.push(site.to_owned());
    }
    Ok(Some(clean))
}
