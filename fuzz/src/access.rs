//! Credentials: the host's own tokens, tokens of issuers, and API keys; encrypted columns; signed requests; and the
//! keys that an issuer publishes.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sha2::Sha256;
use tempfile::TempDir;
use wheeltapper_access::{
    Access, IssuerSettings, JwksSource, MonotonicClock, Scope, Settings, SignatureScheme, SignatureVerifier,
    SignedSource,
};

use crate::{NOW, bounds, byte, temp_folder};

const ISSUER: &str = "https://issuer.example";

/// The access control under test. All inputs share one, because creating it syncs files.
struct Fixture {
    access: Access,
    clock: Arc<MinuteClock>,
    _folder: TempDir,
}

/// A clock that advances by 61 seconds for each input, because an issuer's keys are fetched at most once a minute.
#[derive(Debug, Default)]
struct MinuteClock(AtomicU64);

impl MonotonicClock for MinuteClock {
    fn now(&self) -> Duration {
        Duration::from_secs(61) * u32::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| match create_fixture() {
        Ok(fixture) => fixture,
        Err(error) => panic!("the access control cannot be created: {error}"),
    })
}

fn create_fixture() -> Result<Fixture, Box<dyn std::error::Error>> {
    let folder = temp_folder();
    let issuer = IssuerSettings {
        issuer: ISSUER.into(),
        audience: "wheeltapper".into(),
        keys: JwksSource::Url("https://issuer.example/keys".into()),
        roles_claim: "realm_access.roles".into(),
        sites_claim: Some("sites".into()),
    };
    let settings = Settings { issuers: vec![issuer], ..Settings::default() };
    let clock = Arc::new(MinuteClock::default());
    let access = Access::open_with_clock(folder.path(), settings, NOW, Arc::clone(&clock) as Arc<dyn MonotonicClock>)?;
    Ok(Fixture { access, clock, _folder: folder })
}

/// Returns the valid credentials: a token and an API key. Created once, because hashing a password is slow.
fn valid_credentials() -> &'static [String; 2] {
    static CREDENTIALS: OnceLock<[String; 2]> = OnceLock::new();
    let create = || -> Result<[String; 2], Box<dyn std::error::Error>> {
        let access = &fixture().access;
        let password = access.first_admin(NOW)?.ok_or("no admin was created")?;
        let session = access.login("admin", &password, NOW)?;
        let (_, key) = access.add_api_key("gateway", &[Scope::Ingest], None, None, NOW)?;
        Ok([session.token, key])
    };
    CREDENTIALS.get_or_init(|| match create() {
        Ok(credentials) => credentials,
        Err(error) => panic!("signing in failed: {error}"),
    })
}

/// Authenticates a credential: the input as text, or a valid credential with some changed bytes. The first byte selects
/// which.
///
/// # Panics
/// If a credential that was not issued is accepted, or one that was issued is rejected.
pub fn credential(mut bytes: &[u8]) {
    let (fixture, valid) = (fixture(), valid_credentials());
    let credential = match byte(&mut bytes) % 3 {
        0 => String::from_utf8_lossy(bytes).into_owned(),
        kind => {
            let mut changed = valid[usize::from(kind) - 1].clone().into_bytes();
            while let [high, low, value, rest @ ..] = bytes {
                bytes = rest;
                let at = usize::from(u16::from_be_bytes([*high, *low])) % changed.len();
                changed[at] = *value;
            }
            String::from_utf8_lossy(&changed).into_owned()
        }
    };
    let is_accepted = bounds::linear(credential.as_bytes(), |bytes| {
        fixture.access.authenticate(&String::from_utf8_lossy(bytes), NOW).is_ok()
    });
    assert_eq!(is_accepted, valid.contains(&credential), "{credential:?}");
}

/// Fetches a JWKS and authenticates a token of its issuer. The input is the JWKS, and after a NUL the token.
///
/// # Panics
/// If an unsigned token is accepted.
pub fn jwks(bytes: &[u8]) {
    let fixture = fixture();
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (keys, token) = text.split_once('\0').unwrap_or((&text, ""));
    fixture.clock.0.fetch_add(1, Ordering::Relaxed);
    let keys = keys.to_owned();
    let fetch: wheeltapper_access::FetchUrl = Box::new(move |_| Ok(keys.clone()));
    let fetched = bounds::measured(bytes.len(), || fixture.access.fetch_issuer_keys(0, &fetch));
    match &fetched {
        Ok(fetched) => assert!(fetched, "the keys were not fetched"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    assert!(fixture.access.authenticate(token, NOW).is_err(), "an unsigned token was accepted: {token:?}");
}

/// Decrypts an encrypted column value in which the input changes bytes.
///
/// # Panics
/// If a changed value is decrypted, or an unchanged one is not.
pub fn encrypted_column(mut bytes: &[u8]) {
    let fixture = fixture();
    let plain = b"a secret";
    let Ok(encrypted) = fixture.access.encrypt_column("table", "row", plain) else { panic!("the encryption failed") };
    let mut changed = encrypted.clone().into_bytes();
    while let [high, low, value, rest @ ..] = bytes {
        bytes = rest;
        let at = usize::from(u16::from_be_bytes([*high, *low])) % changed.len();
        changed[at] = *value;
    }
    let changed = String::from_utf8_lossy(&changed).into_owned();
    let decrypted = bounds::measured(changed.len(), || fixture.access.decrypt_column("table", "row", &changed));
    assert_eq!(decrypted.ok().as_deref(), (changed == encrypted).then_some(plain.as_slice()), "{changed:?}");
}

/// [`NOW`] in seconds since 1970.
const NOW_SECONDS: i64 = NOW / 1_000_000_000;
/// The parts of a signed request: path and query, source, time, nonce, body. The signature covers them.
const REQUEST: [&str; 5] = ["/api/v1/ingest?sensor=a%2Fb", "erp", "1800000000", "0123456789abcdef", "{\"values\":1}"];
const SECRET: &[u8] = b"a secret of the source";

/// Verifies a signature: with request headers as lines of text, or with a signed request in which the input changes
/// bytes. The first byte selects the scheme, the second which of the two.
///
/// # Panics
/// If a changed request is accepted, or an unchanged one is rejected.
pub fn signature(mut bytes: &[u8]) {
    let scheme = if byte(&mut bytes) & 1 == 0 { SignatureScheme::Request } else { SignatureScheme::Body };
    let source = SignedSource { name: "erp".into(), secret: SECRET.to_vec(), scheme };
    let verifier = SignatureVerifier::new([source], true, NOW_SECONDS - 3600);
    if byte(&mut bytes) & 1 == 0 {
        bounds::linear(bytes, |bytes| {
            let mut headers = HeaderMap::new();
            for line in bytes.split(|&byte| byte == b'\n').take(64) {
                let (name, value) = line.split_at(line.iter().position(|&byte| byte == b':').unwrap_or(line.len()));
                if let (Ok(name), Ok(value)) =
                    (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.get(1..).unwrap_or_default()))
                {
                    headers.append(name, value);
                }
            }
            let uri = Uri::from_static("/api/v1/ingest");
            if let Ok(head) = verifier.check_headers(&Method::POST, &uri, &headers, NOW_SECONDS) {
                let Some(head) = head else { panic!("an unsigned request was accepted") };
                assert!(verifier.verify(&head, bytes, NOW_SECONDS).is_err(), "an invalid signature was accepted");
            }
        });
        return;
    }
    let mut parts: Vec<Vec<u8>> = REQUEST.iter().map(|part| part.as_bytes().to_vec()).collect();
    parts.push(valid_signature().into_bytes());
    let signed = parts.clone();
    while let [part, at, value, rest @ ..] = bytes {
        bytes = rest;
        let count = parts.len();
        let part = &mut parts[usize::from(*part) % count];
        let at = usize::from(*at) % part.len();
        part[at] = *value;
    }
    // Hexadecimal digits in upper and lower case are equal.
    parts[5].make_ascii_lowercase();
    let names = ["x-wheeltapper-source", "x-wheeltapper-timestamp", "x-wheeltapper-nonce", "x-wheeltapper-signature"];
    let values = [&parts[1], &parts[2], &parts[3], &parts[5]];
    let mut headers = HeaderMap::new();
    for (name, value) in names.into_iter().zip(values) {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        headers.append(name, value);
    }
    let Ok(uri) = Uri::try_from(parts[0].as_slice()) else { return };
    let result = verifier.check_headers(&Method::POST, &uri, &headers, NOW_SECONDS).and_then(|head| match head {
        Some(head) => verifier.verify(&head, &parts[4], NOW_SECONDS).map(|permit| permit.is_some()),
        None => Ok(false),
    });
    let is_valid = parts == signed && scheme == SignatureScheme::Request;
    assert_eq!(
        result == Ok(true),
        is_valid,
        "{result:?} {:?}",
        parts.iter().map(|part| String::from_utf8_lossy(part)).collect::<Vec<_>>()
    );
}

fn valid_signature() -> String {
    let [target, _, time, nonce, body] = REQUEST;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET) else { panic!("HMAC accepts keys of any length") };
    mac.update(format!("v1\n{time}\n{nonce}\nPOST\n{path}\n{query}\n{body}").as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}
