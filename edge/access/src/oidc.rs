//! Single sign-on with OpenID Connect: verifies tokens of trusted issuers with their published keys.
//!
//! The algorithm is determined by the key, never by the token. So a token without a signature, or one that uses a
//! public key as an HMAC secret, is rejected.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    str::FromStr as _,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey, Header, decode,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde_json::{Map, Value};

use crate::{
    AccessError, AuthError, AuthMethod, Identity, RejectReason, Role,
    token::{NANOSECONDS_PER_SECOND, check_times, reject_reason, validation},
};

/// Tolerance for the clocks of issuers, in seconds.
const LEEWAY_SECONDS: i64 = 60;
/// Minimum interval between two fetches of the keys of an issuer.
const FETCH_INTERVAL: Duration = Duration::from_secs(60);

/// A trusted issuer of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuerSettings {
    /// Required value of the claim `iss`.
    pub issuer: String,
    /// Value that the claim `aud` has to be or to contain.
    pub audience: String,
    /// Where the public keys are.
    pub keys: JwksSource,
    /// Claim with the roles; dots separate nested names: `realm_access.roles`.
    pub roles_claim: String,
    /// Claim with the sites. `None`: all sites are visible. If it is set and a token lacks the claim, no site is
    /// visible.
    pub sites_claim: Option<String>,
}

/// Location of the public keys of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// A JWKS file.
    File(PathBuf),
    /// An https URL that returns a JWKS.
    Url(String),
}

impl Default for JwksSource {
    fn default() -> Self {
        Self::Url(String::new())
    }
}

/// Function that fetches the text at a URL. The host provides it, because it has an HTTP client.
pub type FetchUrl = Box<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

type VerificationKeys = BTreeMap<String, (Algorithm, DecodingKey)>;

pub(crate) struct Issuer {
    pub(crate) settings: IssuerSettings,
    keys: RwLock<Arc<VerificationKeys>>,
    /// Time of the last fetch, by the monotonic clock.
    last_fetch: Mutex<Option<Duration>>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Issuer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Reads the keys now if they are in a file. Keys at a URL are fetched when the first token arrives.
    pub(crate) fn new(settings: IssuerSettings) -> Result<Self, AccessError> {
        let keys = match &settings.keys {
            JwksSource::File(file) => {
                let wrong = |error: String| {
                    AccessError::Settings(format!("oidc {}: {}: {error}", settings.issuer, file.display()))
                };
                parse_jwks(&fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?).map_err(wrong)?
            }
            JwksSource::Url(_) => VerificationKeys::new(),
        };
        Ok(Self { settings, keys: RwLock::new(Arc::new(keys)), last_fetch: Mutex::default() })
    }

    /// Whether the fetch interval has passed.
    fn can_fetch(&self, now: Duration) -> bool {
        let fetched = self.last_fetch.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.is_none_or(|last| now.saturating_sub(last) >= FETCH_INTERVAL)
    }

    /// Fetches or reads the keys again, at most once a minute. Returns whether it did.
    pub(crate) fn fetch(&self, fetch: &FetchUrl, now: Duration) -> Result<bool, String> {
        {
            let mut fetched = self.last_fetch.lock().unwrap_or_else(PoisonError::into_inner);
            if fetched.is_some_and(|last| now.saturating_sub(last) < FETCH_INTERVAL) {
                return Ok(false);
            }
            *fetched = Some(now);
        }
        let text = match &self.settings.keys {
            JwksSource::File(file) => fs::read_to_string(file).map_err(|error| error.to_string())?,
            JwksSource::Url(url) => fetch(url)?,
        };
        let keys = parse_jwks(&text)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(true)
    }

    /// Verifies a token of this issuer and returns its identity. `number` is the index of the issuer in the settings.
    pub(crate) fn authenticate(
        &self,
        number: usize,
        header: &Header,
        token: &str,
        now: i64,
        uptime: Duration,
    ) -> Result<Identity, AuthError> {
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let key = match header.kid.as_deref() {
            Some(id) => keys.get(id),
            None if keys.len() == 1 => keys.values().next(),
            None => None,
        };
        let Some((algorithm, key)) = key else {
            let can_fetch = self.can_fetch(uptime);
            return Err(if can_fetch { AuthError::IssuerKeysNeeded(number) } else { RejectReason::UnknownKey.into() });
        };
        if header.alg != *algorithm || header.crit.is_some() {
            return Err(RejectReason::WrongAlgorithm.into());
        }
        let validation = validation(*algorithm, &self.settings.issuer, &self.settings.audience);
        let claims = decode::<Map<String, Value>>(token, key, &validation).map_err(reject_reason)?.claims;
        let exp = time_claim(&claims, "exp")?;
        check_times(exp, time_claim(&claims, "nbf")?, time_claim(&claims, "iat")?, now, LEEWAY_SECONDS)?;
        self.identity_from_claims(&claims, token, exp)
    }

    fn identity_from_claims(
        &self,
        claims: &Map<String, Value>,
        token: &str,
        exp: Option<i64>,
    ) -> Result<Identity, AuthError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let subject = text("sub").ok_or(RejectReason::Malformed)?;
        let name = text("preferred_username").or_else(|| text("email")).unwrap_or(subject);
        let roles = list_claim(claims, &self.settings.roles_claim);
        // Ignore unknown roles: an issuer also lists roles of other programs.
        let roles: Vec<Role> = roles.iter().filter_map(|role| Role::from_str(role).ok()).collect();
        let sites = self.settings.sites_claim.as_deref().map(|claim| list_claim(claims, claim));
        // An invalid site is an error in the token, not in this host.
        let sites = crate::identity::validate_sites(sites).map_err(|_| RejectReason::Malformed)?;
        let issuer = &self.settings.issuer;
        Ok(Identity {
            name: format!("oidc:{}@{}", printable_name(name), issuer_label(issuer)),
            roles,
            scopes: Vec::new(),
            sites,
            method: AuthMethod::Oidc,
            // Prefix the id with the issuer, because another issuer may use the same ids.
            jti: Some(match text("jti") {
                Some(jti) => format!("{issuer}#{jti}"),
                None => format!("{issuer}#signed:{}", fingerprint(token)),
            }),
            session: None,
            expires: exp.map(|exp| exp.saturating_mul(NANOSECONDS_PER_SECOND)),
            must_change_password: false,
        })
    }
}

/// Reads a time claim. A claim of another type is an error; it must not be treated as missing.
fn time_claim(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, RejectReason> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_i64().or(value.as_f64().map(saturating_seconds)).map(Some).ok_or(RejectReason::Malformed)
        }
    }
}

/// Returns the issuer URL without scheme and trailing slashes. It is part of the identity's name, because two issuers
/// may use the same user name for two people.
fn issuer_label(issuer: &str) -> &str {
    let bare = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    bare.trim_end_matches('/')
}

/// Replaces control characters, invisible characters and direction marks of a name by U+FFFD, so that nobody can
/// imitate another user's name.
fn printable_name(name: &str) -> String {
    let is_hidden = |character: char| {
        character.is_control()
            || matches!(
                character,
                '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            )
    };
    name.chars().map(|character| if is_hidden(character) { char::REPLACEMENT_CHARACTER } else { character }).collect()
}

/// Returns an id for a token without `jti`: the hash of its header and claims. The signature is excluded, because the
/// same claims can have several valid signatures.
fn fingerprint(token: &str) -> String {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    blake3::hash(signed.as_bytes()).to_hex().to_string()
}

#[allow(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn saturating_seconds(seconds: f64) -> i64 {
    seconds as i64
}

/// Returns the values of a claim that is a list, or a text with values separated by spaces.
fn list_claim(claims: &Map<String, Value>, path: &str) -> Vec<String> {
    // The name of a claim may itself contain dots, as in `https://example.com/roles`.
    let found = claims.get(path).or_else(|| {
        let mut parts = path.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    });
    match found {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Parses the keys of a JWKS that verify RS256 or ES256; other keys are ignored.
fn parse_jwks(text: &str) -> Result<VerificationKeys, String> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    crate::crypto::install();
    let set: Set = serde_json::from_str(text).map_err(|error| format!("this is not a JWKS: {error}"))?;
    let keys: VerificationKeys = set.keys.into_iter().filter_map(parse_verification_key).collect();
    if keys.is_empty() {
        return Err("the JWKS contains no key for RS256 or ES256".into());
    }
    Ok(keys)
}

fn parse_verification_key(value: Value) -> Option<(String, (Algorithm, DecodingKey))> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match (&jwk.algorithm, jwk.common.key_algorithm) {
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Algorithm::RS256,
        (AlgorithmParameters::EllipticCurve(point), None | Some(KeyAlgorithm::ES256))
            if point.curve == EllipticCurve::P256 =>
        {
            Algorithm::ES256
        }
        _ => return None,
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id.unwrap_or_default(), (algorithm, key)))
}
