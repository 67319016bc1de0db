//! Who may do what: a shared secret, shown as a bearer token (RFC 6750).

use http::{HeaderMap, HeaderValue, StatusCode, header};
use subtle::ConstantTimeEq as _;

use crate::problem::Problem;

/// Lets those in who show `token`.
pub(crate) fn demand(headers: &HeaderMap, token: &str) -> Result<(), Problem> {
    let unauthorized = |detail: &str, challenge: &'static str| {
        Err(Problem::new(StatusCode::UNAUTHORIZED, detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)))
    };
    match bearer(headers) {
        None => unauthorized(
            "this route takes a token; send the header `Authorization: Bearer TOKEN`",
            "Bearer realm=\"wheeltapper\"",
        ),
        Some(shown) if is_same(shown, token.as_bytes()) => Ok(()),
        Some(_) => unauthorized(
            "the token is not the one that this route takes; ask the operator for it",
            "Bearer realm=\"wheeltapper\", error=\"invalid_token\"",
        ),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// In a time that tells neither where the two differ nor how long the right one is: compares their hashes.
fn is_same(shown: &[u8], token: &[u8]) -> bool {
    blake3::hash(shown).as_bytes().ct_eq(blake3::hash(token).as_bytes()).into()
}
