//! Webhook signatures: HMAC-SHA256 with the secret of a source.
//!
//! A request has the name of its source in `X-Wheeltapper-Source`, the time in seconds since 1970 in
//! `X-Wheeltapper-Timestamp`, and a nonce in `X-Wheeltapper-Nonce`: 16 to 128 characters that the source never used
//! before. `X-Wheeltapper-Signature: sha256=<hex>` signs
//!
//! ```text
//! v1 <newline> timestamp <newline> nonce <newline> method <newline> path <newline> query <newline> body
//! ```
//!
//! with path, query (without the question mark) and body exactly as they are sent. A request is accepted once, within
//! five minutes of its time. A source with `signature = "body"` signs the body alone, like `X-Hub-Signature-256`.
//!
//! The headers are checked before any byte of the body is read.

use std::{collections::BTreeMap, sync::Arc};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method, Uri};
use sha2::Sha256;

use crate::nonces::{NonceError, NonceReservation, NonceStore};

const SOURCE_HEADER: &str = "x-wheeltapper-source";
const TIMESTAMP_HEADER: &str = "x-wheeltapper-timestamp";
const NONCE_HEADER: &str = "x-wheeltapper-nonce";
const SIGNATURE_HEADER: &str = "x-wheeltapper-signature";
/// Header with a signature of the body that other programs send, such as GitHub.
const HUB_SIGNATURE_HEADER: &str = "x-hub-signature-256";
/// The headers of a signed request.
pub const SIGNATURE_HEADERS: [&str; 4] = [SOURCE_HEADER, TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER];

/// Maximum difference between the time of a request and the time of the host, in seconds.
const MAX_SKEW_SECONDS: i64 = 300;
/// Allowed number of characters of a nonce.
const NONCE_LENGTH: std::ops::RangeInclusive<usize> = 16..=128;
/// Query parameters that are forbidden if only the body is signed, because they change the meaning of the readings.
const FORBIDDEN_PARAMETERS: [&str; 3] = ["sensor", "topic", "precision"];

/// Which parts of a request a source signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureScheme {
    /// Time, nonce, method, path, query and body.
    Request,
    /// The body alone, for senders that cannot sign more. Anyone who sees such a request can replay it.
    Body,
}

/// A source of signed requests.
#[derive(Clone)]
pub struct SignedSource {
    /// Its name in `X-Wheeltapper-Source`.
    pub name: String,
    /// The HMAC key that it shares with this host; not part of the `Debug` output.
    pub secret: Vec<u8>,
    /// Which parts of a request it signs.
    pub scheme: SignatureScheme,
}

impl std::fmt::Debug for SignedSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SignedSource").field("name", &self.name).field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// Why a request is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signature is missing or invalid; the text says what to do (401).
    #[error("{0}")]
    Rejected(String),
    /// A request with this nonce was accepted before, or is being processed now (409).
    #[error("a request with this nonce was accepted already; sign each request with a new nonce")]
    Replayed,
    /// The store of nonces is full (503).
    #[error("too many signed requests arrived within the last minutes; send more readings in each request")]
    NonceStoreFull,
}

/// Verifies the signatures of requests from the configured sources.
#[derive(Debug)]
pub struct SignatureVerifier {
    sources: BTreeMap<String, SignedSource>,
    /// Whether unsigned requests are rejected.
    required: bool,
    nonces: Arc<NonceStore>,
    /// Start time of the host, in seconds since 1970. Requests signed earlier are rejected: they may have been accepted
    /// before a restart, and nonces are kept in memory only.
    started: i64,
}

/// The headers of a signed request, checked; the signature is verified when the body is complete.
#[derive(Debug)]
pub struct SignedHeaders {
    source: String,
    signature: Vec<u8>,
    /// The signed bytes before the body.
    prefix: Vec<u8>,
    /// The nonce, and when the signature expires, in seconds since 1970; `None` if only the body is signed.
    nonce: Option<(String, i64)>,
}

impl SignatureVerifier {
    /// Creates a verifier for `sources`. With `required`, unsigned requests are rejected. `now` is in seconds since
    /// 1970.
    pub fn new(sources: impl IntoIterator<Item = SignedSource>, required: bool, now: i64) -> Self {
        let sources = sources.into_iter().map(|source| (source.name.clone(), source)).collect();
        Self { sources, required, nonces: Arc::default(), started: now }
    }

    /// Checks the headers of a request. Returns `None` if it is not signed and need not be.
    ///
    /// # Errors
    /// [`SignatureError::Rejected`] when a required signature is missing or a header is malformed.
    pub fn check_headers(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: i64,
    ) -> Result<Option<SignedHeaders>, SignatureError> {
        let is_signed = SIGNATURE_HEADERS.iter().any(|name| headers.contains_key(*name))
            || (headers.contains_key(HUB_SIGNATURE_HEADER)
                && self.sources.values().any(|source| source.scheme == SignatureScheme::Body));
        if !is_signed {
            let message = "the request is not signed; sign it with the headers X-Wheeltapper-Source, -Timestamp, \
                           -Nonce and -Signature: see README.md, \"Signed webhooks\"";
            return if self.required { reject(message) } else { Ok(None) };
        }
        let source = match single_header(headers, SOURCE_HEADER)? {
            Some(source) => source.to_owned(),
            None => query_parameter(uri, "source").unwrap_or_default(),
        };
        let Some(known) = self.sources.get(&source) else {
            return reject("the source is unknown; send the name of a configured source in X-Wheeltapper-Source");
        };
        match known.scheme {
            SignatureScheme::Request => self.parse_request_headers(source, method, uri, headers, now).map(Some),
            SignatureScheme::Body => parse_body_headers(source, uri, headers).map(Some),
        }
    }

    fn parse_request_headers(
        &self,
        source: String,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: i64,
    ) -> Result<SignedHeaders, SignatureError> {
        let (timestamp, nonce) =
            match (single_header(headers, TIMESTAMP_HEADER)?, single_header(headers, NONCE_HEADER)?) {
                (Some(timestamp), Some(nonce)) => (timestamp, nonce),
                _ => {
                    return reject(
                        "X-Wheeltapper-Timestamp or X-Wheeltapper-Nonce is missing; sign the whole request, \
                     or set signature = \"body\" for a source that cannot",
                    );
                }
            };
        let digits = timestamp.len() <= 18 && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let Some(time) = timestamp.parse::<i64>().ok().filter(|_| digits) else {
            return reject("X-Wheeltapper-Timestamp is not a whole number; send the time in seconds since 1970");
        };
        if (now - time).abs() > MAX_SKEW_SECONDS {
            return reject(&format!(
                "the request was signed {} s {} the host's time, at most {MAX_SKEW_SECONDS} s are allowed; \
                 set the sender's clock and sign the request again",
                (now - time).abs(),
                if time < now { "before" } else { "after" }
            ));
        }
        if time < self.started {
            return reject("the request was signed before the host was started; sign it again");
        }
        if !NONCE_LENGTH.contains(&nonce.len()) || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return reject(
                "X-Wheeltapper-Nonce is not 16 to 128 visible characters; generate a random one for each request",
            );
        }
        let prefix =
            format!("v1\n{timestamp}\n{nonce}\n{method}\n{}\n{}\n", uri.path(), uri.query().unwrap_or_default());
        Ok(SignedHeaders {
            signature: parse_signature(single_header(headers, SIGNATURE_HEADER)?)?,
            source,
            prefix: prefix.into_bytes(),
            nonce: Some((nonce.to_owned(), time + MAX_SKEW_SECONDS)),
        })
    }

    /// Verifies the signature of the body. The caller keeps the returned permit once the request had an effect. Returns
    /// `None` if only the body is signed.
    ///
    /// # Errors
    /// [`SignatureError`] when the signature does not match, the nonce was used before, or the store of nonces is full.
    pub fn verify(
        &self,
        head: &SignedHeaders,
        body: &[u8],
        now: i64,
    ) -> Result<Option<NonceReservation>, SignatureError> {
        let key = self.sources.get(&head.source).map(|source| source.secret.as_slice());
        let mac = key.and_then(|key| Hmac::<Sha256>::new_from_slice(key).ok());
        let is_valid = mac.is_some_and(|mut mac| {
            mac.update(&head.prefix);
            mac.update(body);
            mac.verify_slice(&head.signature).is_ok()
        });
        if !is_valid {
            return reject(
                "the signature does not match; sign the request exactly as it is sent, with the source's secret: \
                 see README.md, \"Signed webhooks\"",
            );
        }
        let Some((nonce, until)) = &head.nonce else { return Ok(None) };
        self.nonces.reserve(&head.source, nonce, *until, now).map(Some).map_err(|error| match error {
            NonceError::Replayed => SignatureError::Replayed,
            NonceError::Full => SignatureError::NonceStoreFull,
        })
    }
}

fn parse_body_headers(source: String, uri: &Uri, headers: &HeaderMap) -> Result<SignedHeaders, SignatureError> {
    if let Some(name) = FORBIDDEN_PARAMETERS.iter().find(|name| query_parameter(uri, name).is_some()) {
        return reject(&format!(
            "the query contains {name}, which a signature of the body does not cover; \
             leave it out, or sign the whole request"
        ));
    }
    let sent = match single_header(headers, SIGNATURE_HEADER)? {
        Some(signature) => Some(signature),
        None => single_header(headers, HUB_SIGNATURE_HEADER)?,
    };
    Ok(SignedHeaders { signature: parse_signature(sent)?, source, prefix: Vec::new(), nonce: None })
}

/// Returns a header that may occur once at most.
fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(value), None) => Ok(Some(value)),
        _ => reject(&format!("the header {name} occurs twice or is not ASCII text; send it once")),
    }
}

/// Returns a parameter of the query, decoded.
fn query_parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// Parses `sha256=<hex>`.
fn parse_signature(sent: Option<&str>) -> Result<Vec<u8>, SignatureError> {
    let bytes = sent.and_then(|sent| hex::decode(sent.strip_prefix("sha256=")?).ok()).filter(|bytes| bytes.len() == 32);
    bytes.map_or_else(
        || reject("X-Wheeltapper-Signature is not a signature; send sha256= and 64 hexadecimal digits"),
        Ok,
    )
}

fn reject<T>(detail: &str) -> Result<T, SignatureError> {
    Err(SignatureError::Rejected(detail.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const NOW: i64 = 1_767_225_600;
    const BODY: &[u8] = b"what do ya want for nothing?";

    fn sources(scheme: SignatureScheme, required: bool) -> SignatureVerifier {
        let source = SignedSource { name: "gateway".into(), secret: b"Jefe".to_vec(), scheme };
        SignatureVerifier::new([source], required, NOW - 1_000)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn sign(text: &[&[u8]]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        text.iter().for_each(|text| mac.update(text));
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }

    fn status(error: &SignatureError) -> u16 {
        match error {
            SignatureError::Rejected(_) => 401,
            SignatureError::Replayed => 409,
            SignatureError::NonceStoreFull => 503,
        }
    }

    /// Returns the status of a request that was signed for one target, nonce and time and is sent with others.
    fn send(sources: &SignatureVerifier, signed: (&str, &str, i64), sent: (&str, &str, i64), body: &[u8]) -> u16 {
        let (target, nonce, time) = signed;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let prefix = format!("v1\n{time}\n{nonce}\nPOST\n{path}\n{query}\n");
        let signature = sign(&[prefix.as_bytes(), BODY]);
        let (target, nonce, time) = sent;
        let time = time.to_string();
        let headers = headers(&[
            (SOURCE_HEADER, "gateway"),
            (TIMESTAMP_HEADER, &time),
            (NONCE_HEADER, nonce),
            (SIGNATURE_HEADER, &signature),
        ]);
        let head = match sources.check_headers(&Method::POST, &target.parse().unwrap(), &headers, NOW) {
            Ok(head) => head.unwrap(),
            Err(error) => return status(&error),
        };
        match sources.verify(&head, body, NOW) {
            Ok(permit) => {
                permit.unwrap().commit();
                202
            }
            Err(error) => status(&error),
        }
    }

    #[test]
    fn a_signature_covers_the_whole_request_and_is_accepted_once() {
        let sources = sources(SignatureScheme::Request, false);
        let (nonce, other) = ("0123456789abcdef", "0123456789abcdeg");
        let target = "/api/v1/ingest?sensor=a%2Fb";
        let right = (target, nonce, NOW);
        assert_eq!(send(&sources, right, right, b"something else"), 401);
        for changed in [
            ("/api/v1/ingest?sensor=a%2Fc", nonce, NOW),
            ("/api/v1/ingest", nonce, NOW),
            ("/api/v1/ingest2?sensor=a%2Fb", nonce, NOW),
            (target, other, NOW),
            (target, nonce, NOW + 1),
        ] {
            assert_eq!(send(&sources, right, changed, BODY), 401, "{changed:?}");
        }
        assert_eq!(send(&sources, right, right, BODY), 202);
        assert_eq!(send(&sources, right, right, BODY), 409);
        for time in [NOW - MAX_SKEW_SECONDS, NOW + MAX_SKEW_SECONDS] {
            let request = (target, &*format!("{nonce}{time}"), time);
            assert_eq!(send(&sources, request, request, BODY), 202);
        }
        for time in [NOW - MAX_SKEW_SECONDS - 1, NOW + MAX_SKEW_SECONDS + 1, NOW - 1_001, -5] {
            let request = (target, &*format!("{nonce}{time}"), time);
            assert_eq!(send(&sources, request, request, BODY), 401, "{time}");
        }
        for nonce in ["", "short", &"x".repeat(129), "0123456789abcde f"] {
            assert_eq!(send(&sources, (target, nonce, NOW), (target, nonce, NOW), BODY), 401, "{nonce}");
        }
        let late = SignatureVerifier { started: NOW + 1, ..sources };
        let request = (target, "fedcba9876543210", NOW);
        assert_eq!(send(&late, request, request, BODY), 401, "signed before the host was started");
    }

    #[test]
    fn malformed_headers_are_rejected_before_the_body_is_read() {
        let sources = sources(SignatureScheme::Request, false);
        let head = |headers: &HeaderMap| sources.check_headers(&Method::POST, &Uri::from_static("/x"), headers, NOW);
        assert!(head(&HeaderMap::new()).unwrap().is_none(), "unsigned requests are allowed");
        let (time, nonce, right) = (NOW.to_string(), "0123456789abcdef", sign(&[BODY]));
        let good = [
            (SOURCE_HEADER, "gateway"),
            (TIMESTAMP_HEADER, &*time),
            (NONCE_HEADER, nonce),
            (SIGNATURE_HEADER, &*right),
        ];
        assert!(head(&headers(&good)).unwrap().is_some());
        for without in 0..good.len() {
            let mut some = good.to_vec();
            some.remove(without);
            assert!(head(&headers(&some)).is_err(), "without {}", good[without].0);
            let twice = [&good[..], &good[without..=without]].concat();
            assert!(head(&headers(&twice)).is_err(), "twice {}", good[without].0);
            for odd in [&b"\xff"[..], b"", b"nobody"] {
                let mut headers = headers(&good);
                headers.insert(good[without].0, http::HeaderValue::from_bytes(odd).unwrap());
                assert!(head(&headers).is_err(), "{} {odd:?}", good[without].0);
            }
        }
        // A request must not skip the login because all headers contain bytes that are not text.
        let odd = http::HeaderValue::from_bytes(b"\xff").unwrap();
        assert!(head(&SIGNATURE_HEADERS.iter().map(|name| (name.parse().unwrap(), odd.clone())).collect()).is_err());
        let strict = super::tests::sources(SignatureScheme::Request, true);
        assert!(strict.check_headers(&Method::POST, &Uri::from_static("/x"), &HeaderMap::new(), NOW).is_err());
    }

    #[test]
    fn a_source_may_sign_the_body_alone_if_it_is_configured() {
        let sources = sources(SignatureScheme::Body, true);
        // RFC 4231, test case 2.
        let right = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let send = |target: &'static str, pairs: &[(&'static str, &str)], body: &[u8]| {
            let head = sources.check_headers(&Method::POST, &Uri::from_static(target), &headers(pairs), NOW).ok()?;
            sources.verify(&head?, body, NOW).ok()
        };
        for name in [SIGNATURE_HEADER, HUB_SIGNATURE_HEADER] {
            assert!(send("/x", &[(SOURCE_HEADER, "gateway"), (name, right)], BODY).is_some());
            assert!(send("/x?source=gateway", &[(name, right)], BODY).is_some());
            assert!(send("/x?source=gateway", &[(name, right)], b"something else").is_none());
            assert!(send("/x?source=other", &[(name, right)], BODY).is_none());
            for query in ["sensor=a", "topic=a", "precision=ms"] {
                let target: &'static str = format!("/x?{query}").leak();
                assert!(send(target, &[(SOURCE_HEADER, "gateway"), (name, right)], BODY).is_none(), "{query}");
            }
        }
        assert!(send("/x", &[], BODY).is_none());
        let strict = super::tests::sources(SignatureScheme::Request, false);
        let hub = headers(&[(HUB_SIGNATURE_HEADER, right)]);
        assert!(strict.check_headers(&Method::POST, &Uri::from_static("/x"), &hub, NOW).unwrap().is_none());
        let body = headers(&[(SOURCE_HEADER, "gateway"), (SIGNATURE_HEADER, right)]);
        assert!(
            strict.check_headers(&Method::POST, &Uri::from_static("/x"), &body, NOW).is_err(),
            "only if it is configured"
        );
    }
}
