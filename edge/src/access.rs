//! The access control of this host: [`wheeltapper_access`] with the settings of the configuration.

use std::{env, net::IpAddr, time::Duration};

use anyhow::Context as _;
use wheeltapper_access::{
    Access, FetchUrl, IssuerSettings, JwksSource, KEY_VARIABLE, Quota, Quotas, Settings, SyslogTarget,
};
use wheeltapper_config::{AccessMode, Config, OidcIssuer};

use crate::clock;

/// The maximum time that an issuer may take to return its keys.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum size of a JWKS, in bytes.
const MAX_JWKS_BYTES: u64 = 1 << 20;

/// Opens `access.db` in the data folder, or creates it. A running host may have it open at the same time.
///
/// # Errors
/// If it cannot be opened; the message says what to do.
pub fn open(config: &Config) -> anyhow::Result<Access> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("creating the data folder {}", config.data.display()))?;
    Ok(Access::open(&config.data, settings(config)?, clock::now())?)
}

/// Whether no sign-in is required.
pub fn is_open(config: &Config) -> bool {
    match config.access.mode {
        AccessMode::On => false,
        AccessMode::Off => true,
        AccessMode::Auto => is_loopback(&config.http.listen),
    }
}

/// Whether an address to listen on is reachable from this machine only.
pub fn is_loopback(listen: &str) -> bool {
    let Some((host, _)) = listen.rsplit_once(':') else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn settings(config: &Config) -> anyhow::Result<Settings> {
    let access = &config.access;
    let limits = &access.limits;
    let issuers = access.oidc.iter().map(issuer).collect::<anyhow::Result<_>>()?;
    let syslog = access.audit.syslog.as_deref().map(SyslogTarget::parse).transpose()?;
    Ok(Settings {
        token_lifetime: access.token_lifetime.to_std(),
        refresh_lifetime: access.refresh_lifetime.to_std(),
        quotas: Quotas {
            detect: Quota::per_minute(limits.detect),
            schedule: Quota::per_minute(limits.schedule),
            login: Quota::per_minute(limits.login),
            other: Quota::per_minute(limits.other),
            ingest: Quota::per_second(limits.ingest.bytes()),
        },
        issuers,
        syslog,
        keyring: env::var(KEY_VARIABLE).ok(),
    })
}

fn issuer(oidc: &OidcIssuer) -> anyhow::Result<IssuerSettings> {
    let keys = match (&oidc.jwks_file, &oidc.jwks_url) {
        (Some(file), _) => JwksSource::File(file.clone()),
        (None, Some(url)) => JwksSource::Url(url.clone()),
        (None, None) => anyhow::bail!("[[access.oidc]] {}: give jwks_file or jwks_url", oidc.issuer),
    };
    Ok(IssuerSettings {
        issuer: oidc.issuer.clone(),
        audience: oidc.audience.clone(),
        keys,
        roles_claim: oidc.roles_claim.clone(),
        sites_claim: oidc.sites_claim.clone(),
    })
}

/// Fetches an issuer's keys, over https only.
pub(crate) fn key_fetcher() -> FetchUrl {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().https_only(true).timeout_global(Some(FETCH_TIMEOUT)).build().into();
    Box::new(move |url| {
        let mut response = agent.get(url).call().map_err(|error| error.to_string())?;
        response.body_mut().with_config().limit(MAX_JWKS_BYTES).read_to_string().map_err(|error| error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_need_no_sign_in() {
        for (listen, open) in [
            ("127.0.0.1:8080", true),
            ("127.8.0.1:0", true),
            ("[::1]:8080", true),
            ("localhost:8080", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("192.0.2.1:80", false),
            ("plant.example:80", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_loopback(listen), open, "{listen}");
        }
    }
}
