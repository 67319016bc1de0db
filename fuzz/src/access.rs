//! What a caller shows: tokens of our own and of issuers, API keys; and the keys that an issuer publishes.

use std::sync::{
    OnceLock,
    atomic::{AtomicI64, Ordering},
};

use tempfile::TempDir;
use wheeltapper_access::{Access, IssuerSettings, Jwks, Scope, Settings};

use crate::{NOW, bounds, byte, folder};

const ISSUER: &str = "https://issuer.example";
const MINUTE: i64 = 61_000_000_000;

/// One door for all inputs, as making one syncs files.
struct Door {
    access: Access,
    clock: AtomicI64,
    _folder: TempDir,
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
        keys: Jwks::Url("https://issuer.example/keys".into()),
        roles_claim: "realm_access.roles".into(),
        sites_claim: Some("sites".into()),
    };
    let access = Access::open(place.path(), Settings { issuers: vec![issuer], ..Settings::default() }, NOW)?;
    Ok(Door { access, clock: AtomicI64::new(NOW), _folder: place })
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
    let now = door.clock.fetch_add(MINUTE, Ordering::Relaxed);
    let keys = keys.to_owned();
    let fetch: wheeltapper_access::Fetch = Box::new(move |_| Ok(keys.clone()));
    let fetched = bounds::measured(bytes.len(), || door.access.fetch_keys(0, &fetch));
    if let Err(error) = &fetched {
        assert!(!error.is_empty());
    }
    assert!(door.access.authenticate(token, now).is_err(), "a token without a signature was taken: {token:?}");
}

/// A sealed value, as it lies in a column.
///
/// # Panics
/// When a value opens that was not sealed so.
pub fn sealed(mut bytes: &[u8]) {
    let door = door();
    let plain = b"a secret";
    let Ok(sealed) = door.access.seal("table", "row", plain) else { panic!("nothing can be sealed") };
    let mut shown = sealed.clone().into_bytes();
    while let [high, low, with, rest @ ..] = bytes {
        bytes = rest;
        let at = usize::from(u16::from_be_bytes([*high, *low])) % shown.len();
        shown[at] = *with;
    }
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let opened = bounds::measured(shown.len(), || door.access.unseal("table", "row", &shown));
    assert_eq!(opened.ok().as_deref(), (shown == sealed).then_some(plain.as_slice()), "{shown:?}");
}
