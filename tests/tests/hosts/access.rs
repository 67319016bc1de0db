//! Access control of the built binary: first login, each role and scope on each route, rejected tokens, tenants, rate
//! limits and detection of changes to the audit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use wheeltapper_access::{Access, Role, Scope, Settings};
use wheeltapper_api::{Permission, ROUTES, RateLimitClass, RouteInfo};
use wheeltapper_tests::{
    RunningHost, T0, TestHost,
    client::{ACCESS_ON, PASSWORD, add_user, fill_template, login, now, open_access, send, send_as, token},
    wait_until,
};

/// The public key of RFC 7515, A.3.
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

#[test]
fn the_first_login_requires_a_new_password_before_other_requests() {
    let test_host = TestHost::new(ACCESS_ON).unwrap();
    let host = test_host.start().unwrap();
    let log = fs::read_to_string(test_host.path().join("host.log")).unwrap();
    let groups = |text: &&str| text.len() == 23 && text.split('-').filter(|group| group.len() == 5).count() == 4;
    let first = log.split_whitespace().find(groups).unwrap_or_else(|| panic!("no one-time password in {log}"));

    let answer = login(&host, "admin", first);
    assert_eq!((answer.status, &answer.body["must_change_password"]), (200, &json!(true)), "{}", answer.body);
    let token = answer.body["token"].as_str().unwrap();
    let answer = send_as(&host, token, "GET", "/api/v1/sensors", None);
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["type"], "urn:wheeltapper:password-change-required");
    assert_eq!(send_as(&host, token, "GET", "/api/v1/auth/me", None).status, 200);
    let change = |old: &str, new: &str| {
        let body = json!({"old_password": old, "new_password": new});
        send_as(&host, token, "POST", "/api/v1/auth/password", Some(&body))
    };
    assert_eq!(change("wrong", PASSWORD).status, 403);
    assert_eq!(change(first, "short").status, 422);
    let answer = change(first, PASSWORD);
    assert_eq!((answer.status, &answer.body["must_change_password"]), (200, &json!(false)), "{}", answer.body);
    let new = answer.body["token"].as_str().unwrap();
    assert_eq!(send_as(&host, new, "GET", "/api/v1/sensors", None).status, 200);
    assert_eq!(send_as(&host, token, "GET", "/api/v1/sensors", None).status, 401, "the old token");
    assert_eq!(login(&host, "admin", first).status, 401);

    let refresh = json!({"refresh_token": answer.body["refresh_token"]});
    let renewed = send(&host, "POST", "/api/v1/auth/refresh", &[], Some(&refresh));
    assert_eq!(renewed.status, 200);
    assert_eq!(
        send(&host, "POST", "/api/v1/auth/refresh", &[], Some(&refresh)).status,
        401,
        "a refresh token is valid once"
    );
    let renewed = renewed.body["token"].as_str().unwrap();
    assert_eq!(
        send_as(&host, renewed, "GET", "/api/v1/sensors", None).status,
        401,
        "reuse of a refresh token revokes the session"
    );

    host.stop().unwrap();
    let host = test_host.start().unwrap();
    let log = fs::read_to_string(test_host.path().join("host.log")).unwrap();
    assert_eq!(log.matches("one-time password").count(), 1, "{log}");
    let last = self::token(&host, "admin");
    assert_eq!(send_as(&host, &last, "POST", "/api/v1/auth/logout", None).status, 204);
    assert_eq!(send_as(&host, &last, "GET", "/api/v1/auth/me", None).status, 401);
}

/// Checks that a route answers a caller without permission with 403 if authenticated, otherwise with 401.
fn check_access(
    host: &RunningHost,
    user: &str,
    credential: Option<&str>,
    route: &RouteInfo,
    allowed: bool,
    failures: &mut Vec<String>,
) {
    let body = (!route.method.is_safe()).then(|| json!({}));
    let header = credential.map(|credential| format!("Bearer {credential}"));
    let headers: Vec<(&str, &str)> = header.iter().map(|header| ("Authorization", header.as_str())).collect();
    let status = send(host, route.method.as_str(), &fill_template(route.path), &headers, body.as_ref()).status;
    let rejected = if credential.is_some() { 403 } else { 401 };
    let passed = if allowed { ![401, 403, 429].contains(&status) && status < 500 } else { status == rejected };
    if !passed {
        failures.push(format!(
            "{user}: {route:?} answered {status}, expected {}",
            if allowed { "access" } else { "a rejection" }
        ));
    }
}

#[test]
fn each_route_enforces_the_permissions_of_each_role_and_scope() {
    let test_host = TestHost::new(ACCESS_ON).unwrap();
    let host = test_host.start().unwrap();
    let mut failures = Vec::new();
    // The first test covers rejected refresh tokens and ended sessions.
    let tested_routes = || {
        ROUTES.iter().filter(|route| {
            !["/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout", "/api/v1/tick"].contains(&route.path)
        })
    };
    for role in Role::ALL {
        let name = format!("a-{role}");
        add_user(&test_host, &name, role, None);
        let token = token(&host, &name);
        for route in tested_routes() {
            let allowed = match route.permission {
                Permission::None | Permission::SignedIn | Permission::Read => true,
                Permission::Write => role != Role::Viewer,
                Permission::Delete => matches!(role, Role::Admin | Role::Engineer),
                Permission::Configure => role == Role::Admin,
            };
            check_access(&host, &name, Some(&token), route, allowed, &mut failures);
        }
    }
    for scope in Scope::ALL {
        let (_, key) = open_access(&test_host).add_api_key(scope.name(), &[scope], None, None, now()).unwrap();
        for route in tested_routes().filter(|route| route.path != "/api/v1/auth/password") {
            let allowed = match (route.permission, route.rate_limit) {
                (Permission::None | Permission::SignedIn, _) => true,
                (Permission::Write, RateLimitClass::Ingest) => scope == Scope::Ingest,
                (Permission::Read, _) => scope == Scope::Read,
                (Permission::Write, _) => scope == Scope::Write,
                (Permission::Delete | Permission::Configure, _) => false,
            };
            check_access(&host, &format!("the API key with scope {scope}"), Some(&key), route, allowed, &mut failures);
        }
    }
    for route in tested_routes() {
        check_access(&host, "an anonymous caller", None, route, route.permission == Permission::None, &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    for path in ["/metrics", "/api/v1/no-such-thing"] {
        assert_eq!(send(&host, "GET", path, &[], None).status, 401, "{path}");
    }
}

#[test]
fn invalid_tokens_get_401() {
    let test_host = TestHost::new("").unwrap();
    let jwks = json!({"keys": [{"kty": "EC", "kid": "public", "crv": "P-256", "x": X, "y": Y}]});
    fs::write(test_host.path().join("jwks.json"), jwks.to_string()).unwrap();
    let oidc =
        "[[access.oidc]]\nissuer = \"https://id.example\"\naudience = \"wheeltapper\"\njwks_file = \"jwks.json\"\n";
    test_host.configure(&format!("{ACCESS_ON}{oidc}")).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Admin, None);
    let valid = token(&host, "ada");
    let me = |token: &str| send_as(&host, token, "GET", "/api/v1/auth/me", None);
    assert_eq!(me(&valid).status, 200);

    let access = open_access(&test_host);
    let issued = |at: i64| access.login("ada", PASSWORD, at).unwrap();
    let revoked = issued(now());
    assert_eq!(me(&revoked.token).status, 200);
    access.logout(&revoked.identity, now()).unwrap();
    let other_host_token = {
        let folder = tempfile::tempdir().unwrap();
        let other = Access::open(folder.path(), Settings::default(), now()).unwrap();
        let first = other.add_user("ada", &[Role::Admin], None, now()).unwrap();
        other.login("ada", &first, now()).unwrap().token
    };
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = valid.split('.').nth(1).unwrap();
    let seconds = now() / 1_000_000_000;
    let oidc_claims = json!({
        "iss": "https://id.example", "aud": "wheeltapper", "sub": "1", "exp": seconds + 600, "roles": ["admin"]
    });
    let with_public = |secret: &[u8]| {
        let message = format!("{}.{}", encode(json!({"alg": "HS256", "kid": "public"})), encode(oidc_claims.clone()));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    let point = [vec![4], URL_SAFE_NO_PAD.decode(X).unwrap(), URL_SAFE_NO_PAD.decode(Y).unwrap()].concat();
    let day = 24 * 3600 * 1_000_000_000;
    for (what, token) in [
        ("expired", issued(now() - day - 1_000_000_000).token),
        // Less than a day ahead: a revocation is deleted when the token would have expired.
        ("not yet valid", issued(now() + day / 24).token),
        ("revoked", revoked.token),
        ("signed with another host's key", other_host_token),
        ("alg none", format!("{}.{claims}.", encode(json!({"alg": "none"})))),
        (
            "alg none, OIDC claims",
            format!("{}.{}.", encode(json!({"alg": "none", "kid": "public"})), encode(oidc_claims.clone())),
        ),
        ("HS256 with the public key", with_public(&point)),
        ("HS256 with the JWKS", with_public(jwks.to_string().as_bytes())),
        ("changed", format!("{}A", &valid[..valid.len() - 1])),
        ("garbage", "garbage".into()),
        ("an unknown API key", format!("wt_0123456789abcdef_{}", "0".repeat(64))),
    ] {
        let answer = me(&token);
        if what == "changed" && token == valid {
            continue;
        }
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    }
    // Browsers cannot set headers for event streams, so that only these accept the token as a parameter.
    let status_of = |path: &str| send(&host, "GET", &format!("{path}?access_token={valid}"), &[], None).status;
    assert_eq!(status_of("/api/v1/anomalies/stream"), 200);
    assert_eq!(status_of("/api/v1/anomalies"), 401);
    let spoofed = [("X-Wheeltapper-User", "admin"), ("X-Wheeltapper-Roles", "admin")];
    assert_eq!(send(&host, "GET", "/api/v1/auth/me", &spoofed, None).status, 401);
}

#[test]
fn the_time_of_a_login_does_not_reveal_whether_the_user_exists() {
    let test_host = TestHost::new(ACCESS_ON).unwrap();
    let host = test_host.start().unwrap();
    for number in 0..8 {
        add_user(&test_host, &format!("user-{number}"), Role::Viewer, None);
    }
    let mut fastest = [Duration::MAX; 2];
    // Fewer attempts per name than the lockout limit.
    for round in 0..32 {
        for (kind, fastest) in ["user", "nobody"].iter().zip(&mut fastest) {
            let began = Instant::now();
            let answer = login(&host, &format!("{kind}-{}", round % 8), "some wrong password");
            *fastest = began.elapsed().min(*fastest);
            assert_eq!(answer.status, 401, "{}", answer.body);
            assert_eq!(answer.body["detail"], "the name or the password is wrong");
        }
    }
    let [existing, missing] = fastest.map(|time| time.as_secs_f64());
    assert!(existing < 2.0 * missing && missing < 2.0 * existing, "{fastest:?}");
}

#[test]
fn a_tenant_reads_and_sends_only_data_of_its_sites() {
    let test_host = TestHost::new(ACCESS_ON).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Operator, None);
    add_user(&test_host, "bob", Role::Operator, Some(vec!["north".into()]));
    let (ada, bob) = (token(&host, "ada"), token(&host, "bob"));
    let reading = |sensor: &str| json!({"sensor_id": sensor, "timestamp": T0 / 1_000_000_000, "values": 1.5});
    let both = json!([reading("north/pump/t"), reading("south/pump/t")]);
    assert_eq!(send_as(&host, &ada, "POST", "/api/v1/ingest", Some(&both)).status, 202);
    let mixed = json!([reading("north/fan/t"), reading("south/fan/t"), reading("northern/fan/t")]);
    let answer = send_as(&host, &bob, "POST", "/api/v1/ingest", Some(&mixed));
    assert_eq!((answer.status, &answer.body["accepted"], &answer.body["rejected"]), (202, &json!(1), &json!(2)));
    assert!(answer.body["errors"].to_string().contains("2 of the readings are of sensors at none"), "{}", answer.body);
    let answer = send_as(&host, &bob, "POST", "/api/v1/ingest", Some(&reading("south/pump/t")));
    assert_eq!(answer.status, 422);

    let read_status = |token: &str, sensor: &str| {
        let path = format!("/api/v1/sensors/{}", sensor.replace('/', "%2F"));
        send_as(&host, token, "GET", &path, None).status
    };
    assert_eq!((read_status(&bob, "north/pump/t"), read_status(&bob, "north/fan/t")), (200, 200));
    assert_eq!(
        (read_status(&bob, "south/pump/t"), read_status(&bob, "no/such/t")),
        (404, 404),
        "same answer as for an unknown sensor"
    );
    assert_eq!(
        (read_status(&ada, "south/pump/t"), read_status(&ada, "south/fan/t")),
        (200, 404),
        "a rejected sensor is not registered"
    );
    let listed = send_as(&host, &bob, "GET", "/api/v1/sensors", None).body.to_string();
    assert!(listed.contains("north/pump/t") && !listed.contains("south"), "{listed}");
}

#[test]
fn signed_webhooks_api_keys_rate_limits_and_headers_work() {
    let test_host = TestHost::new("").unwrap();
    fs::write(test_host.path().join("secret"), "Jefe\n").unwrap();
    let secret = test_host.path().join("secret");
    test_host
        .configure(&format!(
            "[[http.source]]\nname = \"gateway\"\nsecret_file = {secret:?}\nsignature = \"body\"\n[access]\n\
                mode = \"on\"\n[access.limits]\ndetect = 2\nlogin = 3\ningest = \"2 KiB\"\n"
        ))
        .unwrap();
    let host = test_host.start().unwrap();
    let body = json!({"sensor_id": "a/m/t", "timestamp": 1, "values": 1.5}).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let post = |headers: &[(&str, &str)], body: &str| host.post_with(headers, body.as_bytes()).unwrap().status;
    let kind = ("Content-Type", "application/json");
    let source = ("X-Wheeltapper-Source", "gateway");
    assert_eq!(post(&[kind], &body), 401);
    assert_ne!(post(&[kind, source, ("X-Wheeltapper-Signature", &signature)], &body), 401);
    assert_eq!(post(&[kind, source, ("X-Wheeltapper-Signature", "sha256=00")], &body), 401);

    add_user(&test_host, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    let created =
        send_as(&host, &ada, "POST", "/api/v1/keys", Some(&json!({"name": "gateway 7", "scopes": ["ingest"]})));
    assert_eq!(created.status, 201, "{}", created.body);
    let key = created.body["key"].as_str().unwrap();
    assert_ne!(post(&[kind, ("X-API-Key", key)], &body), 401);
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(post(&[kind, ("X-API-Key", key)], &"[]".repeat(2000)), 422, "a full bucket allows one large request");
    assert_eq!(post(&[kind, ("X-API-Key", key)], &body), 429);
    let key_path = format!("/api/v1/keys/{}", created.body["id"].as_str().unwrap());
    assert_eq!(send_as(&host, &ada, "DELETE", &key_path, None).status, 204);
    assert_eq!(post(&[kind, ("X-API-Key", key)], &body), 401);

    let detect = || send_as(&host, &ada, "POST", "/api/v1/detect", Some(&json!({})));
    assert_eq!(detect().header("ratelimit-policy"), "\"detect\";q=2;w=60");
    assert_eq!(detect().status, 422);
    let rejected = detect();
    assert_eq!(rejected.status, 429);
    assert_eq!(rejected.header("retry-after"), "30");
    assert!(rejected.header("ratelimit").starts_with("\"detect\";r=0;t="), "{}", rejected.header("ratelimit"));
    // One login precedes these three.
    assert_eq!([0; 3].map(|_| login(&host, "nobody", "wrong").status), [401, 401, 429]);

    let page = send(&host, "GET", "/", &[], None);
    assert_eq!(page.status, 200);
    for answer in [&page, &rejected] {
        for name in ["x-content-type-options", "referrer-policy", "x-frame-options", "content-security-policy"] {
            assert!(!answer.header(name).is_empty(), "{name}");
        }
        assert!(
            !answer.header("permissions-policy").is_empty() && !answer.header("cross-origin-opener-policy").is_empty()
        );
        assert_eq!(answer.header("strict-transport-security"), "", "no HSTS without TLS");
    }
}

#[test]
fn a_local_host_is_open_except_to_pages_of_other_origins() {
    let test_host = TestHost::new("").unwrap();
    let host = test_host.start().unwrap();
    let me = send(&host, "GET", "/api/v1/auth/me", &[], None);
    assert_eq!((&me.body["user"], &me.body["method"]), (&json!("local"), &json!("open")), "{}", me.body);
    let body = json!({"user": "ada", "roles": ["viewer"]});
    let from = |origin: &str| send(&host, "POST", "/api/v1/users", &[("Origin", origin)], Some(&body)).status;
    assert_eq!(from("https://evil.example"), 403);
    assert_eq!(from("null"), 403);
    assert_eq!(from(&format!("http://{}", host.http)), 201);
    let log = send(&host, "GET", "/api/v1/audit", &[], None);
    assert_eq!(log.body["items"][0]["action"], "POST /api/v1/users", "{}", log.body);
    assert_eq!(log.body["items"][0]["actor"], "local");
}

#[test]
fn user_management_is_audited() {
    let test_host = TestHost::new(ACCESS_ON).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    let admin =
        |method: &str, path: &str, body: Value| send_as(&host, &ada, method, path, (!body.is_null()).then_some(&body));
    let created = admin("POST", "/api/v1/users", json!({"user": "grace", "roles": ["operator"], "sites": ["north"]}));
    assert_eq!(created.status, 201, "{}", created.body);
    let first = created.body["one_time_password"].as_str().unwrap();
    assert_eq!(login(&host, "grace", first).status, 200);
    assert_eq!(admin("POST", "/api/v1/users", json!({"user": "grace", "roles": ["viewer"]})).status, 409);
    assert_eq!(admin("POST", "/api/v1/users", json!({"user": "x", "roles": ["king"]})).status, 422);
    assert_eq!(admin("PATCH", "/api/v1/users/nobody", json!({"disabled": true})).status, 404);
    assert_eq!(admin("PATCH", "/api/v1/users/grace", json!({})).status, 422);
    let all = admin("PATCH", "/api/v1/users/grace", json!({"sites": null}));
    assert_eq!((all.status, &all.body["sites"]), (200, &Value::Null), "{}", all.body);
    let reset = admin("PATCH", "/api/v1/users/grace", json!({"reset_password": true}));
    assert!(reset.body["one_time_password"].is_string() && login(&host, "grace", first).status == 401);
    assert_eq!(admin("PATCH", "/api/v1/users/grace", json!({"disabled": true})).status, 200);
    assert_eq!(admin("DELETE", "/api/v1/users/grace", Value::Null).status, 204);
    assert_eq!(admin("DELETE", "/api/v1/users/admin", Value::Null).status, 204);
    assert_eq!(admin("DELETE", "/api/v1/users/ada", Value::Null).status, 409, "the last admin");
    let list = admin("GET", "/api/v1/users?limit=1", Value::Null);
    assert_eq!((list.body["items"].as_array().unwrap().len(), &list.body["next"]), (1, &Value::Null));
    assert_eq!(admin("PUT", "/api/v1/users", json!({})).status, 405);

    let page = admin("GET", "/api/v1/audit?limit=2", Value::Null);
    assert_eq!(page.body["items"][0]["outcome"], "409", "{}", page.body);
    let next = page.body["next"].as_str().unwrap();
    let older = admin("GET", next, Value::Null);
    assert!(older.body["items"][0]["seq"].as_i64().unwrap() < page.body["items"][1]["seq"].as_i64().unwrap());
    let verified = admin("GET", "/api/v1/audit/verify", Value::Null);
    assert_eq!(verified.body["ok"], true, "{}", verified.body);
    let exported = test_host.output(&["audit", "export"]).unwrap();
    for text in
        ["\"login\"", "POST /api/v1/users", "PATCH /api/v1/users/{name}", "\"grace\"", "127.0.0.1", "\"failed\""]
    {
        assert!(exported.contains(text), "{text} is not in\n{exported}");
    }
    assert!(!exported.contains(PASSWORD) && !exported.contains(first));
}

#[test]
fn dead_letters_are_deleted_and_replayed_only_with_permission() {
    let config = |unknown: &str| {
        format!(
            "unknown_sensors = \"{unknown}\"\n[line]\ncheckpoint = \"200ms\"\n[http]\nmax_body = \"64KiB\"\n{ACCESS_ON}"
        )
    };
    let test_host = TestHost::new(&config("reject")).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Engineer, None);
    add_user(&test_host, "ben", Role::Operator, None);
    add_user(&test_host, "eve", Role::Engineer, Some(vec!["south".into()]));
    let [ada, ben, eve] = ["ada", "ben", "eve"].map(|user| token(&host, user));
    let timeout = Duration::from_secs(20);
    for second in 0..2 {
        let reading = json!({ "timestamp": (T0 / 1_000_000_000) + second, "values": 1.5 });
        assert_eq!(send_as(&host, &ada, "POST", "/api/v1/ingest?sensor=north/m/s", Some(&reading)).status, 422);
    }
    assert_eq!(send_as(&host, &ada, "POST", "/api/v1/ingest", Some(&json!(" ".repeat(70 << 10)))).status, 413);
    let dead_letter_ids = |query: &str| {
        let answer = send_as(&host, &ada, "GET", &format!("/api/v1/dead-letters{query}"), None);
        let items = answer.body["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["id"].as_str().unwrap().replace('|', "%7C")).collect::<Vec<_>>()
    };
    wait_until("three dead letters", timeout, || Ok(dead_letter_ids("").len() == 3)).unwrap();
    let path = |id: &str| format!("/api/v1/dead-letters/{id}");
    let replay = |user: &str, id: &str| send_as(&host, user, "POST", &format!("{}/replay", path(id)), None).status;
    let delete = |user: &str, id: &str| send_as(&host, user, "DELETE", &path(id), None).status;
    let first = dead_letter_ids("?reason=unknown-sensor").remove(0);
    assert_eq!((delete(&ben, &first), delete(&eve, &first), replay(&eve, &first)), (403, 404, 404));
    let large = dead_letter_ids("?reason=oversize").remove(0);
    assert_eq!((replay(&ben, &large), delete(&ada, &large), delete(&ada, &large)), (409, 204, 404));
    assert_eq!(send_as(&host, &ada, "GET", &path(&first), None).header("allow"), "DELETE, OPTIONS");

    test_host.configure(&config("accept")).unwrap();
    host.signal("HUP").unwrap();
    // Until the configuration is loaded, a replayed dead letter is rejected and becomes a new one.
    wait_until("a dead letter that is accepted", timeout, || {
        Ok(dead_letter_ids("?reason=unknown-sensor").first().is_some_and(|id| replay(&ben, id) == 202))
    })
    .unwrap();
    wait_until("the reading", timeout, || Ok(test_host.counts()?["readings"] == 1)).unwrap();
    wait_until("no dead letters", timeout, || {
        let left = dead_letter_ids("");
        assert!(left.iter().all(|id| delete(&ada, id) == 204));
        Ok(left.is_empty())
    })
    .unwrap();

    let exported = test_host.output(&["audit", "export"]).unwrap();
    let target = first.replace("%7C", "|");
    for (action, actor, outcome) in [
        ("DELETE /api/v1/dead-letters/{id}", "ben", "403"),
        ("DELETE /api/v1/dead-letters/{id}", "eve", "404"),
        ("DELETE /api/v1/dead-letters/{id}", "ada", "204"),
        ("POST /api/v1/dead-letters/{id}/replay", "ben", "202"),
    ] {
        let is = |line: &str, words: &[&str]| words.iter().all(|text| line.contains(&format!("\"{text}\"")));
        assert!(exported.lines().any(|line| is(line, &[action, actor, outcome])), "{action} {actor}\n{exported}");
        assert!(actor != "eve" || exported.lines().any(|line| is(line, &[action, actor, &target])), "{exported}");
    }
    host.stop().unwrap();
}

#[test]
fn commands_manage_users_and_keys_while_the_host_runs() {
    let test_host = TestHost::new(ACCESS_ON).unwrap();
    let host = test_host.start().unwrap();
    let output = test_host.output(&["user", "add", "ada", "--role", "engineer", "--site", "plant"]).unwrap();
    let first = output.split_whitespace().last().unwrap();
    assert_eq!(login(&host, "ada", first).status, 200);
    assert!(test_host.output(&["user", "list"]).unwrap().contains("engineer"));
    let output = test_host.output(&["user", "reset", "ada"]).unwrap();
    assert_eq!((login(&host, "ada", first).status, output.contains("one-time password")), (401, true));
    let key = test_host.output(&["key", "add", "gateway", "--scope", "read", "--expires-in", "1d"]).unwrap();
    let key = key.trim();
    assert_eq!(send_as(&host, key, "GET", "/api/v1/sensors", None).status, 200);
    test_host.output(&["key", "rotate", "--retire"]).unwrap();
    assert_eq!(
        send_as(&host, key, "GET", "/api/v1/sensors", None).status,
        200,
        "key rotation does not affect API keys"
    );
    let id = key.split('_').nth(1).unwrap();
    assert!(test_host.output(&["key", "list"]).unwrap().contains(id));
    test_host.output(&["key", "remove", id]).unwrap();
    assert_eq!(send_as(&host, key, "GET", "/api/v1/sensors", None).status, 401);
    test_host.output(&["user", "disable", "ada"]).unwrap();
    test_host.output(&["user", "remove", "ada"]).unwrap();
    assert!(test_host.output(&["user", "remove", "admin"]).is_err(), "the last admin");
    let list = test_host.output(&["audit", "list"]).unwrap();
    for text in ["user add", "user reset", "key add", "key rotate", "key remove", "user disable", "user remove"] {
        assert!(list.contains(text), "{text} is not in\n{list}");
    }
    assert!(test_host.output(&["audit", "verify"]).unwrap().contains("all as they were written"));
}

#[test]
fn audit_verify_detects_a_changed_audit() {
    for (what, change) in [
        ("edited", "UPDATE audit SET actor = 'somebody else' WHERE seq = 3"),
        ("removed", "DELETE FROM audit WHERE seq = 3"),
        ("truncated", "DELETE FROM audit WHERE seq > 4; UPDATE audit_head SET seq = 4"),
        (
            "reordered",
            "UPDATE audit SET seq = -1 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4; UPDATE audit SET seq = \
                4 WHERE seq = -1",
        ),
        (
            "inserted",
            "INSERT INTO audit SELECT 6, time, actor, action, target, outcome, address, detail, key, hash FROM audit \
                WHERE seq = 5",
        ),
    ] {
        let test_host = TestHost::new(ACCESS_ON).unwrap();
        for name in ["a", "b", "c", "d"] {
            test_host.output(&["user", "add", name]).unwrap();
        }
        assert!(test_host.output(&["audit", "verify"]).unwrap().starts_with("5 entries"));
        let file = rusqlite::Connection::open(test_host.path().join("data/access.db")).unwrap();
        file.execute_batch("DROP TRIGGER audit_stays; DROP TRIGGER audit_stays_so").unwrap();
        file.execute_batch(change).unwrap();
        drop(file);
        let out = test_host.command().unwrap().args(["audit", "verify"]).output().unwrap();
        let output = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{what}: {output}");
        assert!(output.contains("the audit is not as it was written: entry"), "{what}: {output}");
    }
}
