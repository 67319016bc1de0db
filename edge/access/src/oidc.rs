//! Single sign-on: tokens of trusted issuers, by their published keys.
//!
//! The algorithm comes from the key, never from the token, so a token that is signed with a public key as if it were a
//! shared secret, or not at all, cannot pass.

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
    AccessError, AuthError, Identity, Method, Refusal, Role,
    token::{SECOND, refusal, timely, validation},
};

/// Clocks of others may be off by so many seconds.
const LEEWAY: i64 = 60;
/// An issuer is asked for its keys at most once in this time.
const BETWEEN_FETCHES: Duration = Duration::from_secs(60);

/// Somebody whose tokens are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuerSettings {
    /// What `iss` says.
    pub issuer: String,
    /// What `aud` has to say or contain.
    pub audience: String,
    /// Where the keys are.
    pub keys: Jwks,
    /// The claim that names roles, with dots for what lies within: `realm_access.roles`.
    pub roles_claim: String,
    /// The claim that names sites; without it all are seen, with it a token that lacks it sees none.
    pub sites_claim: Option<String>,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// A JWKS file.
    File(PathBuf),
    /// A JWKS behind https.
    Url(String),
}

impl Default for Jwks {
    fn default() -> Self {
        Self::Url(String::new())
    }
}

/// Gets the text behind a URL; the host brings it, as it has an HTTP client.
pub type Fetch = Box<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

type Keys = BTreeMap<String, (Algorithm, DecodingKey)>;

pub(crate) struct Issuer {
    pub(crate) settings: IssuerSettings,
    keys: RwLock<Arc<Keys>>,
    /// By the monotonic clock.
    fetched: Mutex<Option<Duration>>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Issuer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Issuer {
    /// An issuer's keys in a file are read now, those behind a URL when the first token comes.
    pub(crate) fn new(settings: IssuerSettings) -> Result<Self, AccessError> {
        let keys = match &settings.keys {
            Jwks::File(file) => {
                let wrong = |error: String| {
                    AccessError::Settings(format!("oidc {}: {}: {error}", settings.issuer, file.display()))
                };
                parse(&fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?).map_err(wrong)?
            }
            Jwks::Url(_) => Keys::new(),
        };
        Ok(Self { settings, keys: RwLock::new(Arc::new(keys)), fetched: Mutex::default() })
    }

    /// Whether its keys may be asked for now.
    fn may_fetch(&self, now: Duration) -> bool {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.is_none_or(|last| now.saturating_sub(last) >= BETWEEN_FETCHES)
    }

    /// Reads the keys anew, at most once a minute; whether it did.
    pub(crate) fn fetch(&self, fetch: &Fetch, now: Duration) -> Result<bool, String> {
        {
            let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            if fetched.is_some_and(|last| now.saturating_sub(last) < BETWEEN_FETCHES) {
                return Ok(false);
            }
            *fetched = Some(now);
        }
        let text = match &self.settings.keys {
            Jwks::File(file) => fs::read_to_string(file).map_err(|error| error.to_string())?,
            Jwks::Url(url) => fetch(url)?,
        };
        let keys = parse(&text)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(true)
    }

    /// Who a token of this issuer is about. `number` is the issuer's own.
    pub(crate) fn identify(
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
            let may = self.may_fetch(uptime);
            return Err(if may { AuthError::KeysNeeded(number) } else { Refusal::Key.into() });
        };
        if header.alg != *algorithm || header.crit.is_some() {
            return Err(Refusal::Algorithm.into());
        }
        let validation = validation(*algorithm, &self.settings.issuer, &self.settings.audience);
        let claims = decode::<Map<String, Value>>(token, key, &validation).map_err(refusal)?.claims;
        let exp = seconds(&claims, "exp")?;
        timely(exp, seconds(&claims, "nbf")?, seconds(&claims, "iat")?, now, LEEWAY)?;
        self.person(&claims, token, exp)
    }

    fn person(&self, claims: &Map<String, Value>, token: &str, exp: Option<i64>) -> Result<Identity, AuthError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let subject = text("sub").ok_or(Refusal::Malformed)?;
        let name = text("preferred_username").or_else(|| text("email")).unwrap_or(subject);
        let roles = list(claims, &self.settings.roles_claim);
        // An issuer knows roles of other programs too.
        let roles: Vec<Role> = roles.iter().filter_map(|role| Role::from_str(role).ok()).collect();
        let sites = self.settings.sites_claim.as_deref().map(|claim| list(claims, claim));
        // A token with a site that is none is the issuer's mistake: what is wrong is the token, nothing here.
        let sites = crate::identity::clean_sites(sites).map_err(|_| Refusal::Malformed)?;
        let issuer = &self.settings.issuer;
        Ok(Identity {
            name: format!("oidc:{}@{}", shown(name), place(issuer)),
            roles,
            scopes: Vec::new(),
            sites,
            method: Method::Oidc,
            // Another issuer may use the same ids.
            jti: Some(match text("jti") {
                Some(jti) => format!("{issuer}#{jti}"),
                None => format!("{issuer}#signed:{}", fingerprint(token)),
            }),
            session: None,
            expires: exp.map(|exp| exp.saturating_mul(SECOND)),
            must_change_password: false,
        })
    }
}

/// A claim that is a time. One of another type must not count as one that is missing.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_i64().or(value.as_f64().map(whole)).map(Some).ok_or(Refusal::Malformed),
    }
}

/// An issuer without what is the same for all: of two issuers, two people may have one name.
fn place(issuer: &str) -> &str {
    let bare = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    bare.trim_end_matches('/')
}

/// A name as it may be written anywhere: what does not show, or turns the text around it, is replaced where it can be seen,
/// so that nobody is taken for another.
fn shown(name: &str) -> String {
    let hides = |letter: char| {
        letter.is_control()
            || matches!(
                letter,
                '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            )
    };
    name.chars().map(|letter| if hides(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// Stands for a token that has no id. The signature is left out: for what is signed there may be others as good.
fn fingerprint(token: &str) -> String {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    blake3::hash(signed.as_bytes()).to_hex().to_string()
}

#[allow(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn whole(seconds: f64) -> i64 {
    seconds as i64
}

/// The texts of a claim: a list, or one text with spaces between.
fn list(claims: &Map<String, Value>, path: &str) -> Vec<String> {
    // A claim may have dots in its own name, as in `https://example.com/roles`.
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

/// The keys of a JWKS that verify RS256 or ES256; others are passed over.
fn parse(text: &str) -> Result<Keys, String> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    crate::crypto::install();
    let set: Set = serde_json::from_str(text).map_err(|error| format!("this is no JWKS: {error}"))?;
    let keys: Keys = set.keys.into_iter().filter_map(usable).collect();
    if keys.is_empty() {
        return Err("the JWKS holds no key for RS256 or ES256".into());
    }
    Ok(keys)
}

fn usable(value: Value) -> Option<(String, (Algorithm, DecodingKey))> {
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
