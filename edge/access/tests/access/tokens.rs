//! Tokens that are accepted, and each kind of token that is rejected.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{self, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use wheeltapper_access::{
    Access, AuthError, AuthMethod, FetchUrl, Identity, IssuerSettings, JwksSource, Permission, RejectReason, Role,
    Settings,
};

use crate::common;

const S: i64 = 1_000_000_000;
const NOW: i64 = 1_767_225_600 * S;
const PASSWORD: &str = "correct horse battery";
/// PKCS#1, 2048 bits; generated for this test only.
const RSA_KEY: &[u8] = include_bytes!("../rsa.der");

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn reject_reason(access: &Access, token: &str, now: i64) -> RejectReason {
    match access.authenticate(token, now) {
        Err(AuthError::Rejected(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn with_user() -> (TempDir, Access) {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::open(folder.path(), Settings::default(), NOW).unwrap();
    let first = access.add_user("ada", &[Role::Engineer], Some(vec!["plant".into()]), NOW).unwrap();
    access.change_password("ada", &first, PASSWORD, NOW).unwrap();
    (folder, access)
}

#[test]
fn a_login_returns_a_token_for_a_day() {
    let (_folder, access) = with_user();
    let session = access.login("Ada", PASSWORD, NOW).unwrap();
    let ada = access.authenticate(&session.token, NOW).unwrap();
    assert_eq!(ada, session.identity);
    assert_eq!((ada.name.as_str(), ada.method, ada.must_change_password), ("ada", AuthMethod::Password, false));
    assert!(ada.has_permission(Permission::Delete) && !ada.has_permission(Permission::Configure));
    assert!(
        ada.can_see("plant") && ada.can_see("plant/hall/pump") && !ada.can_see("plants/x") && !ada.can_see("other")
    );
    assert_eq!(session.expires, NOW + 24 * 3600 * S);
    let claims: Value = {
        let claims = session.token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    };
    for claim in ["user_id", "roles", "sites", "exp", "iat", "nbf", "jti"] {
        assert!(claims.get(claim).is_some(), "{claim}");
    }
    assert!(access.authenticate(&session.token, session.expires - 1).is_ok());
    assert_eq!(reject_reason(&access, &session.token, session.expires), RejectReason::Expired);
    assert_eq!(reject_reason(&access, &session.token, NOW - S), RejectReason::NotYetValid);
}

#[test]
fn forged_and_malformed_tokens_are_rejected() {
    let (_folder, access) = with_user();
    let token = access.login("ada", PASSWORD, NOW).unwrap().token;
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, sign] = parts[..] else { panic!() };
    for garbage in ["", ".", "..", "...", "x", "a.b.c", "wt_", "wt_x", "wt_0_0", &token[1..], &format!("{token}.x")] {
        let reason = reject_reason(&access, garbage, NOW);
        assert!(matches!(reason, RejectReason::Malformed | RejectReason::UnknownKey), "{garbage:?}: {reason}");
    }
    let none = format!("{}.{claims}.", encode(&json!({"alg": "none", "typ": "JWT"})));
    assert_eq!(reject_reason(&access, &none, NOW), RejectReason::Malformed);
    let other = format!("{}.{claims}.{sign}", encode(&json!({"alg": "HS384", "kid": "x"})));
    assert_eq!(reject_reason(&access, &other, NOW), RejectReason::WrongAlgorithm);
    let kid = format!("{}.{claims}.{sign}", encode(&json!({"alg": "HS256", "kid": "00000000"})));
    assert_eq!(reject_reason(&access, &kid, NOW), RejectReason::UnknownKey);
    let bare = format!("{}.{claims}.{sign}", encode(&json!({"alg": "HS256"})));
    assert_eq!(reject_reason(&access, &bare, NOW), RejectReason::UnknownKey);
    let admin = encode(&json!({"iss": "wheeltapper", "aud": "wheeltapper", "user_id": "admin"}));
    assert_eq!(reject_reason(&access, &format!("{head}.{admin}.{sign}"), NOW), RejectReason::InvalidSignature);
    assert_eq!(reject_reason(&access, &format!("{head}.{claims}."), NOW), RejectReason::InvalidSignature);
    let stranger = encode(&json!({"iss": "https://elsewhere", "aud": "wheeltapper"}));
    assert_eq!(reject_reason(&access, &format!("{head}.{stranger}.{sign}"), NOW), RejectReason::UntrustedIssuer);

    let (_other_folder, other) = with_user();
    let foreign = other.login("ada", PASSWORD, NOW).unwrap().token;
    assert_eq!(reject_reason(&access, &foreign, NOW), RejectReason::UnknownKey, "another host's token");
}

#[test]
fn logging_out_a_new_password_and_disabling_end_tokens() {
    let (_folder, access) = with_user();
    let login = || access.login("ada", PASSWORD, NOW).unwrap();
    let (first, second) = (login(), login());
    access.logout(&first.identity, NOW).unwrap();
    assert_eq!(reject_reason(&access, &first.token, NOW), RejectReason::Revoked);
    assert!(access.refresh(&first.refresh_token, NOW).is_err());
    assert!(access.authenticate(&second.token, NOW).is_ok(), "another login stays valid");
    access.revoke(second.identity.jti.as_ref().unwrap(), second.expires).unwrap();
    assert_eq!(reject_reason(&access, &second.token, NOW), RejectReason::Revoked);

    let third = login();
    let changed = access.change_password("ada", PASSWORD, "another good password", NOW).unwrap();
    assert_eq!(reject_reason(&access, &third.token, NOW), RejectReason::InvalidAccount);
    assert!(access.authenticate(&changed.token, NOW).is_ok());
    let disable = |disabled| wheeltapper_access::UserChange { disabled: Some(disabled), ..Default::default() };
    access.change_user("ada", disable(true)).unwrap();
    assert_eq!(reject_reason(&access, &changed.token, NOW), RejectReason::InvalidAccount);
    access.change_user("ada", disable(false)).unwrap();
    assert_eq!(
        reject_reason(&access, &changed.token, NOW),
        RejectReason::InvalidAccount,
        "not even when enabled again"
    );
    let last = access.login("ada", "another good password", NOW).unwrap();
    access.remove_user("ada").unwrap();
    let again = access.add_user("ada", &[Role::Admin], None, NOW + S).unwrap();
    assert_eq!(
        reject_reason(&access, &last.token, NOW + S),
        RejectReason::InvalidAccount,
        "the name belongs to another user now"
    );
    assert!(access.login("ada", &again, NOW + S).is_ok());
}

#[test]
fn current_roles_and_sites_apply() {
    let (_folder, access) = with_user();
    let token = access.login("ada", PASSWORD, NOW).unwrap().token;
    let change = wheeltapper_access::UserChange {
        roles: Some(vec![Role::Viewer]),
        sites: Some(Some(vec!["other".into()])),
        disabled: None,
    };
    access.change_user("ada", change).unwrap();
    let ada = access.authenticate(&token, NOW).unwrap();
    assert!(!ada.has_permission(Permission::Write) && ada.can_see("other/x") && !ada.can_see("plant"));
}

#[test]
fn a_refresh_token_works_once_and_reuse_ends_the_login() {
    let (_folder, access) = with_user();
    let first = access.login("ada", PASSWORD, NOW).unwrap();
    let second = access.refresh(&first.refresh_token, NOW + S).unwrap();
    assert!(access.authenticate(&second.token, NOW + S).is_ok());
    let reused = access.refresh(&first.refresh_token, NOW + 2 * S).unwrap_err();
    assert!(matches!(reused, AuthError::Rejected(RejectReason::Reused)), "{reused}");
    assert!(access.refresh(&second.refresh_token, NOW + 2 * S).is_err(), "the thief's token is revoked too");
    assert_eq!(reject_reason(&access, &second.token, NOW + 2 * S), RejectReason::Revoked);
    assert!(access.refresh("wtr_0", NOW).is_err());

    let late = access.login("ada", PASSWORD, NOW).unwrap();
    let expired = access.refresh(&late.refresh_token, late.refresh_expires).unwrap_err();
    assert!(matches!(expired, AuthError::Rejected(RejectReason::Expired)), "{expired}");
}

#[test]
fn rotated_keys_verify_until_they_are_retired() {
    let (folder, access) = with_user();
    let old = access.login("ada", PASSWORD, NOW).unwrap().token;
    // A second instance, like the command line tool.
    let command = Access::open(folder.path(), Settings::default(), NOW).unwrap();
    command.rotate_keys(false, NOW).unwrap();
    let new = access.login("ada", PASSWORD, NOW).unwrap().token;
    assert_ne!(old.split('.').next(), new.split('.').next(), "the newest signs");
    assert!(access.authenticate(&old, NOW).is_ok() && access.authenticate(&new, NOW).is_ok());
    command.rotate_keys(true, NOW).unwrap();
    assert_eq!(reject_reason(&access, &old, NOW), RejectReason::UnknownKey);
    assert_eq!(reject_reason(&access, &new, NOW), RejectReason::UnknownKey);
    assert_eq!(access.keys().unwrap().len(), 3);
    assert!(access.verify_audit().unwrap().is_intact(), "retired keys still verify the audit log");
}

#[test]
fn an_api_key_works_within_its_scope_until_it_expires() {
    let (_folder, access) = with_user();
    let scopes = [wheeltapper_access::Scope::Ingest];
    let (key, text) = access.add_api_key("gateway", &scopes, Some(vec!["plant".into()]), Some(NOW + S), NOW).unwrap();
    let gateway = access.authenticate(&text, NOW).unwrap();
    assert_eq!((gateway.name.clone(), gateway.method), (format!("key:{}", key.id), AuthMethod::Key));
    assert!(
        gateway.can_ingest() && !gateway.has_permission(Permission::Read) && !gateway.has_permission(Permission::Write)
    );
    assert_eq!(access.api_keys().unwrap()[0].last_used, Some(NOW));
    let mut wrong = text.clone().into_bytes();
    let last = wrong.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    assert_eq!(reject_reason(&access, &String::from_utf8(wrong).unwrap(), NOW), RejectReason::InvalidSignature);
    assert_eq!(reject_reason(&access, &text, NOW + S), RejectReason::Expired);
    access.remove_api_key(&key.id).unwrap();
    assert_eq!(reject_reason(&access, &text, NOW), RejectReason::UnknownKey);
    assert!(access.add_api_key("late", &scopes, None, Some(NOW), NOW).is_err());
    assert!(access.add_api_key("nothing", &[], None, None, NOW).is_err());
}

/// An issuer with an RSA and an EC key.
struct Issuer {
    url: &'static str,
    rsa: rsa::KeyPair,
    ec: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    fn new(url: &'static str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(algorithm, ec.as_ref(), &random).unwrap();
        Self { url, rsa: rsa::KeyPair::from_der(RSA_KEY).unwrap(), ec, random }
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.url.len())
    }

    fn jwks(&self) -> Value {
        let public = rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let (x, y) = self.ec.public_key().as_ref()[1..].split_at(32);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [
            {"kty": "RSA", "kid": self.name("rsa"), "use": "sig", "alg": "RS256", "n": text(&public.n), "e": text(&public.e)},
            {"kty": "EC", "kid": self.name("ec"), "crv": "P-256", "x": text(x), "y": text(y)},
            {"kty": "oct", "kid": self.name("oct"), "k": text(b"shared")},
            {"kty": "RSA", "kid": self.name("enc"), "use": "enc", "n": text(&public.n), "e": text(&public.e)},
            {"kty": "something new"},
        ]})
    }

    fn claims(&self) -> Value {
        let now = NOW / S;
        json!({"iss": self.url, "aud": ["wheeltapper", "other"], "sub": "17", "preferred_username": "grace", "iat": now,
            "nbf": now, "exp": now + 600, "jti": "j1", "realm_access": {"roles": ["operator", "offline_access"]},
            "sites": ["plant"]})
    }

    fn sign(&self, head: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(head), encode(claims));
        let bytes = message.as_bytes();
        let signed = match head["alg"].as_str().unwrap() {
            "RS256" => {
                let mut out = vec![0; self.rsa.public().modulus_len()];
                self.rsa.sign(&signature::RSA_PKCS1_SHA256, &self.random, bytes, &mut out).unwrap();
                out
            }
            "ES256" => self.ec.sign(&self.random, bytes).unwrap().as_ref().to_vec(),
            _ => Vec::new(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signed))
    }

    fn settings(&self, keys: JwksSource) -> IssuerSettings {
        IssuerSettings {
            issuer: self.url.into(),
            audience: "wheeltapper".into(),
            keys,
            roles_claim: "realm_access.roles".into(),
            sites_claim: Some("sites".into()),
        }
    }
}

fn open_with(issuers: &[&Issuer]) -> (TempDir, Access) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    for issuer in issuers {
        let file = folder.path().join(format!("{}.json", issuer.url.len()));
        std::fs::write(&file, issuer.jwks().to_string()).unwrap();
        settings.issuers.push(issuer.settings(JwksSource::File(file)));
    }
    let access = Access::open(folder.path(), settings, NOW).unwrap();
    (folder, access)
}

#[test]
fn valid_tokens_of_an_issuer_are_accepted() {
    let issuer = Issuer::new("https://id.example");
    let (_folder, access) = open_with(&[&issuer]);
    for (algorithm, kid) in [("RS256", "rsa"), ("ES256", "ec")] {
        let token = issuer.sign(&json!({"alg": algorithm, "kid": issuer.name(kid)}), &issuer.claims());
        let grace: Identity = access.authenticate(&token, NOW).unwrap();
        assert_eq!((grace.name.as_str(), grace.method), ("oidc:grace@id.example", AuthMethod::Oidc));
        assert_eq!(grace.roles, [Role::Operator]);
        assert!(grace.can_see("plant/x") && !grace.can_see("other"));
        let mut claims = issuer.claims();
        claims.as_object_mut().unwrap().remove("sites");
        let token = issuer.sign(&json!({"alg": algorithm, "kid": issuer.name(kid)}), &claims);
        assert!(!access.authenticate(&token, NOW).unwrap().can_see("plant"), "without the claim, no site is visible");
    }
    let token = issuer.sign(&json!({"alg": "ES256", "kid": issuer.name("ec")}), &issuer.claims());
    let grace = access.authenticate(&token, NOW).unwrap();
    access.logout(&grace, NOW).unwrap();
    assert_eq!(reject_reason(&access, &token, NOW), RejectReason::Revoked);
}

#[test]
fn invalid_tokens_of_an_issuer_are_rejected() {
    let (issuer, other) = (Issuer::new("https://id.example"), Issuer::new("https://other.example"));
    let (_folder, access) = open_with(&[&issuer, &other]);
    let head = json!({"alg": "ES256", "kid": issuer.name("ec")});
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[name] = value;
        issuer.sign(&head, &claims)
    };
    let now = NOW / S;
    assert_eq!(reject_reason(&access, &with("exp", json!(now - 61)), NOW), RejectReason::Expired);
    assert_eq!(reject_reason(&access, &with("nbf", json!(now + 61)), NOW), RejectReason::NotYetValid);
    assert_eq!(reject_reason(&access, &with("iat", json!(now + 61)), NOW), RejectReason::NotYetValid);
    assert_eq!(reject_reason(&access, &with("aud", json!("somebody else")), NOW), RejectReason::WrongAudience);
    assert_eq!(reject_reason(&access, &with("iss", json!("https://elsewhere")), NOW), RejectReason::UntrustedIssuer);
    assert_eq!(reject_reason(&access, &with("sub", json!("")), NOW), RejectReason::Malformed);
    for claim in ["exp", "aud", "iss", "sub"] {
        let mut claims = issuer.claims();
        claims.as_object_mut().unwrap().remove(claim);
        assert!(access.authenticate(&issuer.sign(&head, &claims), NOW).is_err(), "without {claim}");
    }
    let mut signed = issuer.sign(&head, &issuer.claims());
    signed.replace_range(signed.len() - 8..signed.len() - 4, "AAAA");
    assert_eq!(reject_reason(&access, &signed, NOW), RejectReason::InvalidSignature);
    let forged = other.sign(&json!({"alg": "ES256", "kid": issuer.name("ec")}), &issuer.claims());
    assert_eq!(reject_reason(&access, &forged, NOW), RejectReason::InvalidSignature, "signed with another key");
    let none = issuer.sign(&json!({"alg": "none", "kid": issuer.name("ec")}), &issuer.claims());
    assert_eq!(reject_reason(&access, &none, NOW), RejectReason::Malformed);
    let crossed = issuer.sign(&json!({"alg": "RS256", "kid": issuer.name("ec")}), &issuer.claims());
    assert_eq!(reject_reason(&access, &crossed, NOW), RejectReason::WrongAlgorithm);
    let critical = issuer.sign(&json!({"alg": "ES256", "kid": issuer.name("ec"), "crit": ["exp"]}), &issuer.claims());
    assert_eq!(reject_reason(&access, &critical, NOW), RejectReason::WrongAlgorithm);
    for kid in [other.name("ec"), issuer.name("oct"), issuer.name("enc"), "unknown".into()] {
        let token = issuer.sign(&json!({"alg": "ES256", "kid": kid}), &issuer.claims());
        let error = access.authenticate(&token, NOW).unwrap_err();
        assert!(matches!(error, AuthError::IssuerKeysNeeded(0)), "{kid}: {error}");
    }
    let fetch: FetchUrl = Box::new(|_| Err("a file needs no fetching".into()));
    assert!(access.fetch_issuer_keys(0, &fetch).unwrap());
    let token = issuer.sign(&json!({"alg": "ES256", "kid": other.name("ec")}), &issuer.claims());
    assert_eq!(reject_reason(&access, &token, NOW), RejectReason::UnknownKey, "a key of another issuer");
}

#[test]
fn times_and_sites_of_another_type_are_rejected() {
    let issuer = Issuer::new("https://id.example");
    let (_folder, access) = open_with(&[&issuer]);
    let head = json!({"alg": "ES256", "kid": issuer.name("ec")});
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[name] = value;
        issuer.sign(&head, &claims)
    };
    let now = NOW / S;
    for name in ["nbf", "iat"] {
        for value in [json!((now + 3600).to_string()), json!("soon"), json!([now]), json!(true), json!(null)] {
            assert_eq!(
                reject_reason(&access, &with(name, value.clone()), NOW),
                RejectReason::Malformed,
                "{name} {value}"
            );
        }
        assert!(access.authenticate(&with(name, json!(now as f64 - 0.5)), NOW).is_ok());
    }
    for sites in [json!(["hall 1"]), json!(["plant", ""]), json!("plant//x")] {
        assert_eq!(reject_reason(&access, &with("sites", sites.clone()), NOW), RejectReason::Malformed, "{sites}");
    }
}

#[test]
fn a_token_without_an_id_can_be_revoked() {
    let issuer = Issuer::new("https://id.example");
    let (_folder, access) = open_with(&[&issuer]);
    let head = json!({"alg": "ES256", "kid": issuer.name("ec")});
    let mut claims = issuer.claims();
    claims.as_object_mut().unwrap().remove("jti");
    let token = issuer.sign(&head, &claims);
    let grace = access.authenticate(&token, NOW).unwrap();
    claims["exp"] = json!(NOW / S + 601);
    let other = issuer.sign(&head, &claims);
    access.logout(&grace, NOW).unwrap();
    assert_eq!(reject_reason(&access, &token, NOW), RejectReason::Revoked);
    claims["exp"] = json!(NOW / S + 600);
    assert_eq!(
        reject_reason(&access, &issuer.sign(&head, &claims), NOW),
        RejectReason::Revoked,
        "another signature of the same claims"
    );
    assert!(access.authenticate(&other, NOW).is_ok(), "another token of the same person");
}

#[test]
fn names_of_two_issuers_differ_and_are_printable() {
    let (first, second) = (Issuer::new("https://id.example/"), Issuer::new("https://id.example/realms/two"));
    let (_folder, access) = open_with(&[&first, &second]);
    let name = |issuer: &Issuer, username: &str| {
        let mut claims = issuer.claims();
        claims["preferred_username"] = json!(username);
        let token = issuer.sign(&json!({"alg": "ES256", "kid": issuer.name("ec")}), &claims);
        access.authenticate(&token, NOW).unwrap().name
    };
    assert_eq!(name(&first, "ada"), "oidc:ada@id.example");
    assert_eq!(name(&second, "ada"), "oidc:ada@id.example/realms/two");
    let printable = name(&first, "ad\u{202e}a\r\n\u{200b}\u{7f}é");
    assert_eq!(printable, "oidc:ad\u{fffd}a\u{fffd}\u{fffd}\u{fffd}\u{fffd}é@id.example");
}

#[test]
fn a_public_key_is_not_accepted_as_hmac_secret() {
    let issuer = Issuer::new("https://id.example");
    let (_folder, access) = open_with(&[&issuer]);
    let jwks = issuer.jwks();
    let public = rsa::PublicKeyComponents::<Vec<u8>>::from(issuer.rsa.public());
    let secrets = [
        issuer.ec.public_key().as_ref().to_vec(),
        issuer.rsa.public().as_ref().to_vec(),
        public.n.clone(),
        jwks["keys"][0]["n"].as_str().unwrap().as_bytes().to_vec(),
        b"shared".to_vec(),
    ];
    for secret in secrets {
        for kid in [issuer.name("rsa"), issuer.name("ec")] {
            let message = format!("{}.{}", encode(&json!({"alg": "HS256", "kid": kid})), encode(&issuer.claims()));
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            let signed = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
            assert_eq!(reject_reason(&access, &format!("{message}.{signed}"), NOW), RejectReason::WrongAlgorithm);
        }
    }
}

#[test]
fn keys_at_a_url_are_fetched_at_most_once_a_minute() {
    let issuer = Issuer::new("https://id.example");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        issuers: vec![issuer.settings(JwksSource::Url("https://id.example/jwks".into()))],
        ..Settings::default()
    };
    let clock = Arc::new(common::ManualClock::default());
    let access =
        Access::open_with_clock(folder.path(), settings, NOW, Arc::<common::ManualClock>::clone(&clock)).unwrap();
    let token = issuer.sign(&json!({"alg": "ES256", "kid": issuer.name("ec")}), &issuer.claims());
    let needed = access.authenticate(&token, NOW).unwrap_err();
    let AuthError::IssuerKeysNeeded(number) = needed else { panic!("{needed}") };
    let fetches = Arc::new(Mutex::new(0));
    let (counter, jwks) = (Arc::clone(&fetches), issuer.jwks().to_string());
    let fetch: FetchUrl = Box::new(move |url| {
        assert_eq!(url, "https://id.example/jwks");
        *counter.lock().unwrap() += 1;
        Ok(jwks.clone())
    });
    assert!(access.fetch_issuer_keys(number, &fetch).unwrap());
    assert!(access.authenticate(&token, NOW).is_ok());
    let unknown = issuer.sign(&json!({"alg": "ES256", "kid": "new"}), &issuer.claims());
    // A step of the wall clock does not allow an earlier fetch.
    assert_eq!(reject_reason(&access, &unknown, NOW + 60 * S), RejectReason::UnknownKey);
    assert!(!access.fetch_issuer_keys(number, &fetch).unwrap());
    assert_eq!(*fetches.lock().unwrap(), 1);
    clock.advance(std::time::Duration::from_secs(60));
    assert!(matches!(access.authenticate(&unknown, NOW), Err(AuthError::IssuerKeysNeeded(_))));
    let broken: FetchUrl = Box::new(|_| Ok("<html>".into()));
    assert!(access.fetch_issuer_keys(number, &broken).is_err());
    assert!(access.authenticate(&token, NOW + 60 * S).is_ok(), "the old keys stay");
}
