//! Validation of `[access]`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::{Checker, address::ListenAddress};
use crate::{ByteSize, Duration};

/// `[access]` with the spans of its values.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct SpannedAccess {
    token_lifetime: Spanned<Duration>,
    refresh_lifetime: Spanned<Duration>,
    limits: SpannedLimits,
    audit: BTreeMap<String, Spanned<String>>,
    oidc: Vec<SpannedIssuer>,
}

impl Default for SpannedAccess {
    fn default() -> Self {
        let default = crate::AccessSettings::default();
        Self {
            token_lifetime: Spanned::new(0..0, default.token_lifetime),
            refresh_lifetime: Spanned::new(0..0, default.refresh_lifetime),
            limits: SpannedLimits::default(),
            audit: BTreeMap::new(),
            oidc: Vec::new(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SpannedLimits {
    detect: Option<Spanned<u64>>,
    schedule: Option<Spanned<u64>>,
    login: Option<Spanned<u64>>,
    other: Option<Spanned<u64>>,
    ingest: Option<Spanned<ByteSize>>,
}

#[derive(Debug, Deserialize)]
struct SpannedIssuer {
    issuer: Spanned<String>,
    audience: Spanned<String>,
    #[serde(default)]
    jwks_file: Option<Spanned<String>>,
    #[serde(default)]
    jwks_url: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SpannedConfig {
    access: SpannedAccess,
}

pub(super) fn check(checker: &mut Checker<'_>) {
    let Ok(SpannedConfig { access: spanned }) = toml::from_str(checker.text) else { return };
    let (token, refresh) = (&spanned.token_lifetime, &spanned.refresh_lifetime);
    if token.get_ref().seconds() < 60.0 {
        checker.report_at_span(
            token.span(),
            "the lifetime of a token must be at least 1 minute",
            "leave it out for 24 hours",
        );
    }
    if refresh.get_ref() < token.get_ref() {
        let at = if refresh.span().is_empty() { token.span() } else { refresh.span() };
        checker.report_at_span(
            at,
            "a refresh token must not expire before a token",
            "leave both out for 30 days and 24 hours",
        );
    }
    let SpannedLimits { detect, schedule, login, other, ingest } = &spanned.limits;
    let limits = [detect, schedule, login, other].into_iter().flatten();
    let limits = limits.filter(|limit| *limit.get_ref() == 0).map(Spanned::span);
    let ingest = ingest.iter().filter(|limit| limit.get_ref().bytes() == 0).map(Spanned::span);
    for span in limits.chain(ingest) {
        checker.report_at_span(span, "a limit of 0 rejects all requests", "write a large number for no limit");
    }
    if let Some(syslog) = spanned.audit.get("syslog").filter(|target| !is_syslog_target(target.get_ref())) {
        let message = format!("{:?} is not a syslog target", syslog.get_ref());
        checker.report_at_span(syslog.span(), message, "write \"udp://host:514\" or \"unix:/dev/log\"");
    }
    let mut seen = BTreeSet::new();
    for oidc in &spanned.oidc {
        check_issuer(checker, oidc);
        if !seen.insert(oidc.issuer.get_ref()) {
            checker.report_at_span(oidc.issuer.span(), "this issuer occurs twice", "remove one of the two tables");
        }
    }
}

fn check_issuer(checker: &mut Checker<'_>, oidc: &SpannedIssuer) {
    let issuer = oidc.issuer.get_ref();
    if !(issuer.starts_with("https://") || issuer.starts_with("http://")) {
        checker.report_at_span(
            oidc.issuer.span(),
            "an issuer must be a URL",
            "write exactly the value of the claim `iss` in its tokens",
        );
    }
    if oidc.audience.get_ref().is_empty() {
        let help = "write the value of the claim `aud` in tokens for this program";
        checker.report_at_span(oidc.audience.span(), "the audience must not be empty", help);
    }
    match (&oidc.jwks_file, &oidc.jwks_url) {
        (None, Some(url)) if !url.get_ref().starts_with("https://") => {
            let message = "keys must be fetched with TLS";
            checker.report_at_span(
                url.span(),
                message,
                "write an https URL, or a jwks_file: without TLS an attacker could replace the keys",
            );
        }
        (Some(_), None) | (None, Some(_)) => {}
        _ => {
            let message = "an issuer needs either jwks_file or jwks_url";
            checker.report_at_span(oidc.issuer.span(), message, "jwks_url is the jwks_uri of its discovery document");
        }
    }
}

fn is_syslog_target(target: &str) -> bool {
    let udp = target.strip_prefix("udp://").map(ListenAddress::parse);
    udp.is_some_and(|address| address.is_ok_and(|address| address.port != 0)) || target.starts_with("unix:/")
}
