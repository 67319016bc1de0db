//! Settings of access control.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{ByteSize, Duration};

/// `[access]`: access control.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// When users have to sign in.
    pub mode: AccessMode,
    /// Lifetime of a token.
    pub token_lifetime: Duration,
    /// Lifetime of a refresh token.
    pub refresh_lifetime: Duration,
    /// Rate limits of requests.
    pub limits: AccessLimits,
    /// Trusted OpenID Connect issuers.
    pub oidc: Vec<OidcIssuer>,
    /// The audit log.
    pub audit: AuditSettings,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            mode: AccessMode::Auto,
            token_lifetime: Duration::from_secs(24 * 3600),
            refresh_lifetime: Duration::from_secs(30 * 24 * 3600),
            limits: AccessLimits::default(),
            oidc: Vec::new(),
            audit: AuditSettings::default(),
        }
    }
}

/// When users have to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessMode {
    /// Only if HTTP listens on an address that other machines can reach.
    Auto,
    /// Always.
    On,
    /// Never: another system in front of this host controls access.
    Off,
}

/// `[access.limits]`: rate limits of each identity.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLimits {
    /// Scoring requests per minute.
    pub detect: u64,
    /// Planning requests per minute.
    pub schedule: u64,
    /// Logins per minute, from one client address.
    pub login: u64,
    /// Other requests per minute.
    pub other: u64,
    /// Bytes of readings per second.
    pub ingest: ByteSize,
}

impl Default for AccessLimits {
    fn default() -> Self {
        Self { detect: 100, schedule: 10, login: 10, other: 1200, ingest: ByteSize::mib(64) }
    }
}

/// `[access.audit]`: the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// Syslog target to which entries are also sent: `udp://host:514` or `unix:/dev/log`.
    pub syslog: Option<String>,
}

/// `[[access.oidc]]`: a trusted OpenID Connect issuer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcIssuer {
    /// Value of the claim `iss` in its tokens.
    pub issuer: String,
    /// Required value of the claim `aud`.
    pub audience: String,
    /// JWKS file with its keys.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// https URL of its JWKS.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Claim with the roles; dots separate nested names.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// Claim with the sites; `None` makes all sites visible.
    #[serde(default)]
    pub sites_claim: Option<String>,
}

fn default_roles_claim() -> String {
    "roles".into()
}
