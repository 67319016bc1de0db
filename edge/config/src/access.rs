//! Who may come in.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{ByteSize, Duration};

/// `[access]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// Whether one has to sign in.
    pub mode: AccessMode,
    /// How long a token is good.
    pub token_lifetime: Duration,
    /// How long a refresh token is good.
    pub refresh_lifetime: Duration,
    /// Rate limits.
    pub limits: AccessLimits,
    /// Trusted issuers of tokens.
    pub oidc: Vec<Oidc>,
    /// The audit.
    pub audit: Audit,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            mode: AccessMode::Auto,
            token_lifetime: Duration::from_secs(24 * 3600),
            refresh_lifetime: Duration::from_secs(30 * 24 * 3600),
            limits: AccessLimits::default(),
            oidc: Vec::new(),
            audit: Audit::default(),
        }
    }
}

/// Whether one has to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessMode {
    /// Where others than this machine can reach HTTP.
    Auto,
    /// Always.
    On,
    /// Never: something before this host sees to it.
    Off,
}

/// `[access.limits]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLimits {
    /// Samples to judge, a minute.
    pub detect: u64,
    /// Plans, a minute.
    pub schedule: u64,
    /// Passwords from one address, a minute.
    pub login: u64,
    /// All else, a minute.
    pub other: u64,
    /// Readings, a second.
    pub ingest: ByteSize,
}

impl Default for AccessLimits {
    fn default() -> Self {
        Self { detect: 100, schedule: 10, login: 10, other: 1200, ingest: ByteSize::mib(64) }
    }
}

/// `[access.audit]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Where entries go besides: `udp://host:514` or `unix:/dev/log`.
    pub syslog: Option<String>,
}

/// `[[access.oidc]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// What `iss` of its tokens says.
    pub issuer: String,
    /// What `aud` has to say.
    pub audience: String,
    /// A file with its keys.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// Where it publishes its keys.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// The claim that names roles; dots lead inwards.
    #[serde(default = "roles")]
    pub roles_claim: String,
    /// The claim that names sites; all are seen without.
    #[serde(default)]
    pub sites_claim: Option<String>,
}

fn roles() -> String {
    "roles".into()
}
