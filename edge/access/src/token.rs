//! Tokens issued by this host: signed with HS256 and the newest key of the keyring, verified with every key that is not
//! retired.

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, dangerous::insecure_decode_claims, decode,
    errors::ErrorKind,
};
use serde::{Deserialize, Serialize};

use crate::{AccessError, AuthError, RejectReason, Role, keyring::KeySet};

/// Value of `iss` and `aud` in tokens of this host.
pub(crate) const LOCAL_ISSUER: &str = "wheeltapper";
/// Nanoseconds per second.
pub(crate) const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// Claims of a token of this host. Roles and sites are informative only; requests use the current ones of the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) user_id: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) sites: Option<Vec<String>>,
    pub(crate) iss: String,
    pub(crate) aud: String,
    /// Time of issue. All times are in seconds since 1970.
    pub(crate) iat: i64,
    pub(crate) nbf: i64,
    pub(crate) exp: i64,
    pub(crate) jti: String,
    /// Id of the login that the token belongs to.
    pub(crate) sid: String,
    /// Generation of the user's password. A new password increases it, which invalidates older tokens.
    pub(crate) generation: i64,
}

/// Signs claims with the newest key.
pub(crate) fn sign(ring: &KeySet, claims: &Claims) -> Result<String, AccessError> {
    let key = ring.newest()?;
    let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&key.token_key()))
        .map_err(|_| AccessError::Crypto("a token could not be signed"))
}

/// Returns the claim `iss` of a token without verifying anything.
pub(crate) fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    insecure_decode_claims::<Issuer>(token).ok().map(|claims| claims.iss)
}

/// Checks signature, issuer and times.
pub(crate) fn verify(ring: &KeySet, header: &Header, token: &str, now: i64) -> Result<Claims, AuthError> {
    if header.alg != Algorithm::HS256 {
        return Err(RejectReason::WrongAlgorithm.into());
    }
    let key = header
        .kid
        .as_deref()
        .and_then(|id| ring.find(id))
        .filter(|key| !key.retired)
        .ok_or(RejectReason::UnknownKey)?;
    let validation = validation(Algorithm::HS256, LOCAL_ISSUER, LOCAL_ISSUER);
    let claims = decode::<Claims>(token, &DecodingKey::from_secret(&key.token_key()), &validation)
        .map_err(reject_reason)?
        .claims;
    check_times(Some(claims.exp), Some(claims.nbf), Some(claims.iat), now, 0)?;
    Ok(claims)
}

/// Validation rules for jsonwebtoken. It does not check times: [`check_times`] does, against the time that the caller
/// passes.
pub(crate) fn validation(algorithm: Algorithm, issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_exp = false;
    validation
}

/// Checks the times of a token (in seconds) at `now` (in nanoseconds), with a tolerance of `leeway` seconds.
pub(crate) fn check_times(
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
    now: i64,
    leeway: i64,
) -> Result<(), RejectReason> {
    let now = now.div_euclid(NANOSECONDS_PER_SECOND);
    if exp.is_none_or(|exp| now >= exp.saturating_add(leeway)) {
        return Err(RejectReason::Expired);
    }
    let valid_from = nbf.into_iter().chain(iat).max();
    if valid_from.is_some_and(|valid_from| now < valid_from.saturating_sub(leeway)) {
        return Err(RejectReason::NotYetValid);
    }
    Ok(())
}

/// Converts an error of jsonwebtoken.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn reject_reason(error: jsonwebtoken::errors::Error) -> RejectReason {
    match error.kind() {
        ErrorKind::InvalidSignature => RejectReason::InvalidSignature,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::InvalidKeyFormat => {
            RejectReason::WrongAlgorithm
        }
        ErrorKind::InvalidIssuer => RejectReason::UntrustedIssuer,
        ErrorKind::InvalidAudience => RejectReason::WrongAudience,
        _ => RejectReason::Malformed,
    }
}
