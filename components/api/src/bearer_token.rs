//! Access control by a shared secret that is sent as a bearer token (RFC 6750).

use http::{HeaderMap, HeaderValue, StatusCode, header};
use subtle::ConstantTimeEq as _;

use crate::problem::Problem;

/// Rejects a request that does not bear `token`.
pub(crate) fn require_token(headers: &HeaderMap, token: &str) -> Result<(), Problem> {
    let unauthorized = |detail: &str, challenge: &'static str| {
        Err(Problem::new(StatusCode::UNAUTHORIZED, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)))
    };
    match bearer_token(headers) {
        None => unauthorized(
            "this route requires a token; send the header `Authorization: Bearer TOKEN`",
            "Bearer realm=\"wheeltapper\"",
        ),
        Some(credential) if tokens_match(credential, token.as_bytes()) => Ok(()),
        Some(_) => unauthorized(
            "the token is not valid for this route; ask the operator for it",
            "Bearer realm=\"wheeltapper\", error=\"invalid_token\"",
        ),
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Compares the hashes in constant time, which reveals neither where the two differ nor how long the token is.
fn tokens_match(credential: &[u8], token: &[u8]) -> bool {
    blake3::hash(credential).as_bytes().ct_eq(blake3::hash(token).as_bytes()).into()
}
