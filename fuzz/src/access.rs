//! What a caller shows: tokens of our own and of issuers, API keys; and the keys that an issuer publishes.

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

use crate::{NOW, bounds, byte, folder};

const ISSUER: &str = "https://issuer.example";

/// One door for all inputs, as making one syncs files.
struct Door {
    access: Access,
    minutes: Arc<Minutes>,
    _folder: TempDir,
}

/// A clock that an input moves on: an issuer's keys are fetched once a minute at most.
#[derive(Debug, Default)]
struct Minutes(AtomicU64);

impl MonotonicClock for Minutes {
    fn now(&self) -> Duration {
        Duration::from_secs(61) * u32::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }
}

fn door() -> &'static Door {
    static MADE: OnceLock<Door> = OnceLock::new();
    MADE.get_or_init(|| match make() {
        Ok(door) => door,
        Err(error) => panic!("the door cannot be made: {error}"),
    })
}

fn make() -> Result<Door, Box<dyn std::error::Error>> {
    let place = folder();
    let issuer = IssuerSettings {
        issuer: ISSUER.into(),
        audience: "wheeltapper".into(),
        keys: JwksSource::Url("https://issuer.example/keys".into()),
        roles_claim: "realm_access.roles".into(),
        sites_claim: Some("sites".into()),
    };
    let settings = Settings { issuers: vec![issuer], ..Settings::default() };
    let minutes = Arc::new(Minutes::default());
    let access = Access::open_with_clock(place.path(), settings, NOW, Arc::clone(&minutes) as Arc<dyn MonotonicClock>)?;
    Ok(Door { access, minutes, _folder: place })
}

/// What is good: a token, and an API key. Made once, as a password takes its time.
fn good() -> &'static [String; 2] {
    static MADE: OnceLock<[String; 2]> = OnceLock::new();
    let make = || -> Result<[String; 2], Box<dyn std::error::Error>> {
        let access = &door().access;
        let password = access.first_admin(NOW)?.ok_or("no admin was made")?;
        let session = access.login("admin", &password, NOW)?;
        let (_, key) = access.add_api_key("gateway", &[Scope::Ingest], None, None, NOW)?;
        Ok([session.token, key])
    };
    MADE.get_or_init(|| match make() {
        Ok(good) => good,
        Err(error) => panic!("nobody can sign in: {error}"),
    })
}

/// A credential: text as it came, or one that is good with some of its bytes changed. The first byte says which.
///
/// # Panics
/// When a credential that was not given out is taken, or one that was is not.
pub fn credential(mut bytes: &[u8]) {
    let (door, known) = (door(), good());
    let shown = match byte(&mut bytes) % 3 {
        0 => String::from_utf8_lossy(bytes).into_owned(),
        kind => {
            let mut good = known[usize::from(kind) - 1].clone().into_bytes();
            while let [high, low, with, rest @ ..] = bytes {
                bytes = rest;
                let at = usize::from(u16::from_be_bytes([*high, *low])) % good.len();
                good[at] = *with;
            }
            String::from_utf8_lossy(&good).into_owned()
        }
    };
    let taken = bounds::linear(shown.as_bytes(), |bytes| {
        door.access.authenticate(&String::from_utf8_lossy(bytes), NOW).is_ok()
    });
    assert_eq!(taken, known.contains(&shown), "{shown:?}");
}

/// A JWKS, and then a token of its issuer with the header and claims that follow a NUL.
///
/// # Panics
/// When a token is taken that nobody signed.
pub fn jwks(bytes: &[u8]) {
    let door = door();
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (keys, token) = text.split_once('\0').unwrap_or((&text, ""));
    door.minutes.0.fetch_add(1, Ordering::Relaxed);
    let keys = keys.to_owned();
    let fetch: wheeltapper_access::FetchUrl = Box::new(move |_| Ok(keys.clone()));
    let fetched = bounds::measured(bytes.len(), || door.access.fetch_issuer_keys(0, &fetch));
    match &fetched {
        Ok(fetched) => assert!(fetched, "the keys were not looked at"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    assert!(door.access.authenticate(token, NOW).is_err(), "a token without a signature was taken: {token:?}");
}

/// A sealed value, as it lies in a column.
///
/// # Panics
/// When a value opens that was not sealed so.
pub fn sealed(mut bytes: &[u8]) {
    let door = door();
    let plain = b"a secret";
    let Ok(sealed) = door.access.encrypt_column("table", "row", plain) else { panic!("nothing can be sealed") };
    let mut shown = sealed.clone().into_bytes();
    while let [high, low, with, rest @ ..] = bytes {
        bytes = rest;
        let at = usize::from(u16::from_be_bytes([*high, *low])) % shown.len();
        shown[at] = *with;
    }
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let opened = bounds::measured(shown.len(), || door.access.decrypt_column("table", "row", &shown));
    assert_eq!(opened.ok().as_deref(), (shown == sealed).then_some(plain.as_slice()), "{shown:?}");
}

/// Seconds since 1970.
const NOW_SECONDS: i64 = NOW / 1_000_000_000;
/// The parts of a signed request: path and query, source, time, nonce, body. Its signature is made of them.
const REQUEST: [&str; 5] = ["/api/v1/ingest?sensor=a%2Fb", "erp", "1800000000", "0123456789abcdef", "{\"values\":1}"];
const SECRET: &[u8] = b"a secret of the source";

/// Headers of a request, as lines of text; or a signed request with some of the bytes of its parts changed. The first byte
/// says which.
///
/// # Panics
/// When a request is taken that is not as it was signed, or one that is is not.
pub fn signature(mut bytes: &[u8]) {
    let scheme = if byte(&mut bytes) & 1 == 0 { SignatureScheme::Request } else { SignatureScheme::Body };
    let source = SignedSource { name: "erp".into(), secret: SECRET.to_vec(), scheme };
    let signatures = SignatureVerifier::new([source], true, NOW_SECONDS - 3600);
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
            if let Ok(head) = signatures.check_headers(&Method::POST, &uri, &headers, NOW_SECONDS) {
                let Some(head) = head else { panic!("an unsigned request was let through") };
                assert!(signatures.verify(&head, bytes, NOW_SECONDS).is_err(), "a signature was guessed");
            }
        });
        return;
    }
    let mut parts: Vec<Vec<u8>> = REQUEST.iter().map(|part| part.as_bytes().to_vec()).collect();
    parts.push(good_signature().into_bytes());
    let signed = parts.clone();
    while let [part, at, with, rest @ ..] = bytes {
        bytes = rest;
        let count = parts.len();
        let part = &mut parts[usize::from(*part) % count];
        let at = usize::from(*at) % part.len();
        part[at] = *with;
    }
    // Digits of either case are the same number.
    parts[5].make_ascii_lowercase();
    let names = ["x-wheeltapper-source", "x-wheeltapper-timestamp", "x-wheeltapper-nonce", "x-wheeltapper-signature"];
    let values = [&parts[1], &parts[2], &parts[3], &parts[5]];
    let mut headers = HeaderMap::new();
    for (name, value) in names.into_iter().zip(values) {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        headers.append(name, value);
    }
    let Ok(uri) = Uri::try_from(parts[0].as_slice()) else { return };
    let taken = signatures.check_headers(&Method::POST, &uri, &headers, NOW_SECONDS).and_then(|head| match head {
        Some(head) => signatures.verify(&head, &parts[4], NOW_SECONDS).map(|permit| permit.is_some()),
        None => Ok(false),
    });
    let is_right = parts == signed && scheme == SignatureScheme::Request;
    assert_eq!(
        taken == Ok(true),
        is_right,
        "{taken:?} {:?}",
        parts.iter().map(|part| String::from_utf8_lossy(part)).collect::<Vec<_>>()
    );
}

fn good_signature() -> String {
    let [target, _, time, nonce, body] = REQUEST;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET) else { panic!("HMAC takes keys of any length") };
    mac.update(format!("v1\n{time}\n{nonce}\nPOST\n{path}\n{query}\n{body}").as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}
