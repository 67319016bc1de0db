//! Who may do what at the built binary: first login, each role and scope on each route, tokens that are refused, tenants,
//! limits, and an audit that nobody can change without being found.

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
    Plant, Running, T0,
    door::{ON, PASSWORD, add, door, filled, login, now, send, token, with},
    wait_until,
};

/// The public key of RFC 7515, A.3.
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

#[test]
fn the_first_login_asks_for_a_password_and_all_else_waits() {
    let plant = Plant::new(ON).unwrap();
    let host = plant.start().unwrap();
    let log = fs::read_to_string(plant.path().join("host.log")).unwrap();
    let groups = |word: &&str| word.len() == 23 && word.split('-').filter(|group| group.len() == 5).count() == 4;
    let first = log.split_whitespace().find(groups).unwrap_or_else(|| panic!("no one-time password in {log}"));

    let answer = login(&host, "admin", first);
    assert_eq!((answer.status, &answer.body["must_change_password"]), (200, &json!(true)), "{}", answer.body);
    let token = answer.body["token"].as_str().unwrap();
    let answer = with(&host, token, "GET", "/api/v1/sensors", None);
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["type"], "urn:wheeltapper:password-change-required");
    assert_eq!(with(&host, token, "GET", "/api/v1/auth/me", None).status, 200);
    let change = |old: &str, new: &str| {
        let body = json!({"old_password": old, "new_password": new});
        with(&host, token, "POST", "/api/v1/auth/password", Some(&body))
    };
    assert_eq!(change("wrong", PASSWORD).status, 403);
    assert_eq!(change(first, "short").status, 422);
    let answer = change(first, PASSWORD);
    assert_eq!((answer.status, &answer.body["must_change_password"]), (200, &json!(false)), "{}", answer.body);
    let new = answer.body["token"].as_str().unwrap();
    assert_eq!(with(&host, new, "GET", "/api/v1/sensors", None).status, 200);
    assert_eq!(with(&host, token, "GET", "/api/v1/sensors", None).status, 401, "the old token");
    assert_eq!(login(&host, "admin", first).status, 401);

    let refresh = json!({"refresh_token": answer.body["refresh_token"]});
    let renewed = send(&host, "POST", "/api/v1/auth/refresh", &[], Some(&refresh));
    assert_eq!(renewed.status, 200);
    assert_eq!(send(&host, "POST", "/api/v1/auth/refresh", &[], Some(&refresh)).status, 401, "once");
    let renewed = renewed.body["token"].as_str().unwrap();
    assert_eq!(with(&host, renewed, "GET", "/api/v1/sensors", None).status, 401, "it was stolen from somebody");

    host.stop().unwrap();
    let host = plant.start().unwrap();
    let log = fs::read_to_string(plant.path().join("host.log")).unwrap();
    assert_eq!(log.matches("one-time password").count(), 1, "{log}");
    let last = self::token(&host, "admin");
    assert_eq!(with(&host, &last, "POST", "/api/v1/auth/logout", None).status, 204);
    assert_eq!(with(&host, &last, "GET", "/api/v1/auth/me", None).status, 401);
}

/// What somebody who may not gets: 403 who is known, 401 who is not.
fn cell(host: &Running, who: &str, credential: Option<&str>, route: &RouteInfo, may: bool, wrong: &mut Vec<String>) {
    let body = (!route.method.is_safe()).then(|| json!({}));
    let header = credential.map(|credential| format!("Bearer {credential}"));
    let headers: Vec<(&str, &str)> = header.iter().map(|header| ("Authorization", header.as_str())).collect();
    let status = send(host, route.method.as_str(), &filled(route.path), &headers, body.as_ref()).status;
    let refused = if credential.is_some() { 403 } else { 401 };
    let right = if may { ![401, 403, 429].contains(&status) && status < 500 } else { status == refused };
    if !right {
        wrong.push(format!(
            "{who}: {route:?} gave {status}, and {} expected",
            if may { "to pass was" } else { "not to was" }
        ));
    }
}

#[test]
fn each_permission_of_each_role_and_scope_on_each_route() {
    let plant = Plant::new(ON).unwrap();
    let host = plant.start().unwrap();
    let mut wrong = Vec::new();
    // A refused refresh token and an ended session are what the first test is about.
    let tried = || {
        ROUTES.iter().filter(|route| {
            !["/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout", "/api/v1/tick"].contains(&route.path)
        })
    };
    for role in Role::ALL {
        let name = format!("a-{role}");
        add(&plant, &name, role, None);
        let token = token(&host, &name);
        for route in tried() {
            let may = match route.permission {
                Permission::None | Permission::SignedIn | Permission::Read => true,
                Permission::Write => role != Role::Viewer,
                Permission::Delete => matches!(role, Role::Admin | Role::Engineer),
                Permission::Configure => role == Role::Admin,
            };
            cell(&host, &name, Some(&token), route, may, &mut wrong);
        }
    }
    for scope in Scope::ALL {
        let (_, key) = door(&plant).add_api_key(scope.name(), &[scope], None, None, now()).unwrap();
        for route in tried().filter(|route| route.path != "/api/v1/auth/password") {
            let may = match (route.permission, route.rate_limit) {
                (Permission::None | Permission::SignedIn, _) => true,
                (Permission::Write, RateLimitClass::Ingest) => scope == Scope::Ingest,
                (Permission::Read, _) => scope == Scope::Read,
                (Permission::Write, _) => scope == Scope::Write,
                (Permission::Delete | Permission::Configure, _) => false,
            };
            cell(&host, &format!("the key for {scope}"), Some(&key), route, may, &mut wrong);
        }
    }
    for route in tried() {
        cell(&host, "a stranger", None, route, route.permission == Permission::None, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for path in ["/metrics", "/api/v1/no-such-thing"] {
        assert_eq!(send(&host, "GET", path, &[], None).status, 401, "{path}");
    }
}

#[test]
fn tokens_that_are_not_good_get_401() {
    let plant = Plant::new("").unwrap();
    let jwks = json!({"keys": [{"kty": "EC", "kid": "public", "crv": "P-256", "x": X, "y": Y}]});
    fs::write(plant.path().join("jwks.json"), jwks.to_string()).unwrap();
    let oidc =
        "[[access.oidc]]\nissuer = \"https://id.example\"\naudience = \"wheeltapper\"\njwks_file = \"jwks.json\"\n";
    plant.configure(&format!("{ON}{oidc}")).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Admin, None);
    let good = token(&host, "ada");
    let me = |token: &str| with(&host, token, "GET", "/api/v1/auth/me", None);
    assert_eq!(me(&good).status, 200);

    let door = door(&plant);
    let issued = |at: i64| door.login("ada", PASSWORD, at).unwrap();
    let revoked = issued(now());
    assert_eq!(me(&revoked.token).status, 200);
    door.logout(&revoked.identity, now()).unwrap();
    let elsewhere = {
        let folder = tempfile::tempdir().unwrap();
        let other = Access::open(folder.path(), Settings::default(), now()).unwrap();
        let first = other.add_user("ada", &[Role::Admin], None, now()).unwrap();
        other.login("ada", &first, now()).unwrap().token
    };
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = good.split('.').nth(1).unwrap();
    let seconds = now() / 1_000_000_000;
    let theirs = json!({"iss": "https://id.example", "aud": "wheeltapper", "sub": "1", "exp": seconds + 600, "roles": ["admin"]});
    let with_public = |secret: &[u8]| {
        let message = format!("{}.{}", part(json!({"alg": "HS256", "kid": "public"})), part(theirs.clone()));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    let point = [vec![4], URL_SAFE_NO_PAD.decode(X).unwrap(), URL_SAFE_NO_PAD.decode(Y).unwrap()].concat();
    let day = 24 * 3600 * 1_000_000_000;
    for (what, token) in [
        ("expired", issued(now() - day - 1_000_000_000).token),
        // Not a day ahead: what was revoked is forgotten when it would have ended anyway.
        ("not yet valid", issued(now() + day / 24).token),
        ("revoked", revoked.token),
        ("of another host's key", elsewhere),
        ("alg none", format!("{}.{claims}.", part(json!({"alg": "none"})))),
        ("alg none, theirs", format!("{}.{}.", part(json!({"alg": "none", "kid": "public"})), part(theirs.clone()))),
        ("HS256 with the public key", with_public(&point)),
        ("HS256 with the JWKS", with_public(jwks.to_string().as_bytes())),
        ("changed", format!("{}A", &good[..good.len() - 1])),
        ("garbage", "garbage".into()),
        ("an API key that is none", format!("wt_0123456789abcdef_{}", "0".repeat(64))),
    ] {
        let answer = me(&token);
        if what == "changed" && token == good {
            continue;
        }
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    }
    // Browsers' streams cannot set headers; nothing else takes it so.
    let asked = |path: &str| send(&host, "GET", &format!("{path}?access_token={good}"), &[], None).status;
    assert_eq!(asked("/api/v1/anomalies/stream"), 200);
    assert_eq!(asked("/api/v1/anomalies"), 401);
    let spoofed = [("X-Wheeltapper-User", "admin"), ("X-Wheeltapper-Roles", "admin")];
    assert_eq!(send(&host, "GET", "/api/v1/auth/me", &spoofed, None).status, 401);
}

#[test]
fn the_time_of_a_login_does_not_tell_whether_there_is_such_a_user() {
    let plant = Plant::new(ON).unwrap();
    let host = plant.start().unwrap();
    for number in 0..8 {
        add(&plant, &format!("user-{number}"), Role::Viewer, None);
    }
    let mut fastest = [Duration::MAX; 2];
    // Fewer tries a name than lock it.
    for round in 0..32 {
        for (kind, fastest) in ["user", "nobody"].iter().zip(&mut fastest) {
            let began = Instant::now();
            let answer = login(&host, &format!("{kind}-{}", round % 8), "some wrong password");
            *fastest = began.elapsed().min(*fastest);
            assert_eq!(answer.status, 401, "{}", answer.body);
            assert_eq!(answer.body["detail"], "the name or the password is wrong");
        }
    }
    let [there, not] = fastest.map(|time| time.as_secs_f64());
    assert!(there < 2.0 * not && not < 2.0 * there, "{fastest:?}");
}

#[test]
fn a_tenant_sees_and_sends_what_is_its_own() {
    let plant = Plant::new(ON).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Operator, None);
    add(&plant, "bob", Role::Operator, Some(vec!["north".into()]));
    let (ada, bob) = (token(&host, "ada"), token(&host, "bob"));
    let reading = |sensor: &str| json!({"sensor_id": sensor, "timestamp": T0 / 1_000_000_000, "values": 1.5});
    let both = json!([reading("north/pump/t"), reading("south/pump/t")]);
    assert_eq!(with(&host, &ada, "POST", "/api/v1/ingest", Some(&both)).status, 202);
    let mixed = json!([reading("north/fan/t"), reading("south/fan/t"), reading("northern/fan/t")]);
    let answer = with(&host, &bob, "POST", "/api/v1/ingest", Some(&mixed));
    assert_eq!((answer.status, &answer.body["accepted"], &answer.body["rejected"]), (202, &json!(1), &json!(2)));
    assert!(answer.body["errors"].to_string().contains("2 of the readings are of sensors at none"), "{}", answer.body);
    let answer = with(&host, &bob, "POST", "/api/v1/ingest", Some(&reading("south/pump/t")));
    assert_eq!(answer.status, 422);

    let seen = |token: &str, sensor: &str| {
        let path = format!("/api/v1/sensors/{}", sensor.replace('/', "%2F"));
        with(&host, token, "GET", &path, None).status
    };
    assert_eq!((seen(&bob, "north/pump/t"), seen(&bob, "north/fan/t")), (200, 200));
    assert_eq!((seen(&bob, "south/pump/t"), seen(&bob, "no/such/t")), (404, 404), "as if it were not there");
    assert_eq!((seen(&ada, "south/pump/t"), seen(&ada, "south/fan/t")), (200, 404), "what was refused is not known");
    let listed = with(&host, &bob, "GET", "/api/v1/sensors", None).body.to_string();
    assert!(listed.contains("north/pump/t") && !listed.contains("south"), "{listed}");
}

#[test]
fn signed_webhooks_keys_limits_and_headers() {
    let plant = Plant::new("").unwrap();
    fs::write(plant.path().join("secret"), "Jefe\n").unwrap();
    let secret = plant.path().join("secret");
    plant
        .configure(&format!(
            "[[http.source]]\nname = \"gateway\"\nsecret_file = {secret:?}\nsignature = \"body\"\n[access]\nmode = \"on\"\n[access.limits]\ndetect = 2\nlogin = 3\ningest = \"2 KiB\"\n"
        ))
        .unwrap();
    let host = plant.start().unwrap();
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

    add(&plant, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    let made = with(&host, &ada, "POST", "/api/v1/keys", Some(&json!({"name": "gateway 7", "scopes": ["ingest"]})));
    assert_eq!(made.status, 201, "{}", made.body);
    let key = made.body["key"].as_str().unwrap();
    assert_ne!(post(&[kind, ("X-API-Key", key)], &body), 401);
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(post(&[kind, ("X-API-Key", key)], &"[]".repeat(2000)), 422, "a full bucket lets one in");
    assert_eq!(post(&[kind, ("X-API-Key", key)], &body), 429);
    let gone = format!("/api/v1/keys/{}", made.body["id"].as_str().unwrap());
    assert_eq!(with(&host, &ada, "DELETE", &gone, None).status, 204);
    assert_eq!(post(&[kind, ("X-API-Key", key)], &body), 401);

    let detect = || with(&host, &ada, "POST", "/api/v1/detect", Some(&json!({})));
    assert_eq!(detect().header("ratelimit-policy"), "\"detect\";q=2;w=60");
    assert_eq!(detect().status, 422);
    let refused = detect();
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), "30");
    assert!(refused.header("ratelimit").starts_with("\"detect\";r=0;t="), "{}", refused.header("ratelimit"));
    // One login went before.
    assert_eq!([0; 3].map(|_| login(&host, "nobody", "wrong").status), [401, 401, 429]);

    let page = send(&host, "GET", "/", &[], None);
    assert_eq!(page.status, 200);
    for answer in [&page, &refused] {
        for name in ["x-content-type-options", "referrer-policy", "x-frame-options", "content-security-policy"] {
            assert!(!answer.header(name).is_empty(), "{name}");
        }
        assert!(
            !answer.header("permissions-policy").is_empty() && !answer.header("cross-origin-opener-policy").is_empty()
        );
        assert_eq!(answer.header("strict-transport-security"), "", "without TLS");
    }
}

#[test]
fn on_this_machine_alone_it_is_open_but_not_to_pages_of_others() {
    let plant = Plant::new("").unwrap();
    let host = plant.start().unwrap();
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
fn users_are_managed_and_all_of_it_is_written_down() {
    let plant = Plant::new(ON).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    let admin =
        |method: &str, path: &str, body: Value| with(&host, &ada, method, path, (!body.is_null()).then_some(&body));
    let made = admin("POST", "/api/v1/users", json!({"user": "grace", "roles": ["operator"], "sites": ["north"]}));
    assert_eq!(made.status, 201, "{}", made.body);
    let first = made.body["one_time_password"].as_str().unwrap();
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
    let exported = plant.output(&["audit", "export"]).unwrap();
    for word in
        ["\"login\"", "POST /api/v1/users", "PATCH /api/v1/users/{name}", "\"grace\"", "127.0.0.1", "\"failed\""]
    {
        assert!(exported.contains(word), "{word} is not in\n{exported}");
    }
    assert!(!exported.contains(PASSWORD) && !exported.contains(first));
}

#[test]
fn dead_letters_are_deleted_and_taken_in_again_by_those_who_may() {
    let config = |unknown: &str| {
        format!("unknown_sensors = \"{unknown}\"\n[line]\ncheckpoint = \"200ms\"\n[http]\nmax_body = \"64KiB\"\n{ON}")
    };
    let plant = Plant::new(&config("reject")).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Engineer, None);
    add(&plant, "ben", Role::Operator, None);
    add(&plant, "eve", Role::Engineer, Some(vec!["south".into()]));
    let [ada, ben, eve] = ["ada", "ben", "eve"].map(|user| token(&host, user));
    let soon = Duration::from_secs(20);
    for second in 0..2 {
        let reading = json!({ "timestamp": (T0 / 1_000_000_000) + second, "values": 1.5 });
        assert_eq!(with(&host, &ada, "POST", "/api/v1/ingest?sensor=north/m/s", Some(&reading)).status, 422);
    }
    assert_eq!(with(&host, &ada, "POST", "/api/v1/ingest", Some(&json!(" ".repeat(70 << 10)))).status, 413);
    let letters = |query: &str| {
        let answer = with(&host, &ada, "GET", &format!("/api/v1/dead-letters{query}"), None);
        let items = answer.body["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["id"].as_str().unwrap().replace('|', "%7C")).collect::<Vec<_>>()
    };
    wait_until("three letters", soon, || Ok(letters("").len() == 3)).unwrap();
    let path = |id: &str| format!("/api/v1/dead-letters/{id}");
    let replay = |who: &str, id: &str| with(&host, who, "POST", &format!("{}/replay", path(id)), None).status;
    let delete = |who: &str, id: &str| with(&host, who, "DELETE", &path(id), None).status;
    let first = letters("?reason=unknown-sensor").remove(0);
    assert_eq!((delete(&ben, &first), delete(&eve, &first), replay(&eve, &first)), (403, 404, 404));
    let large = letters("?reason=oversize").remove(0);
    assert_eq!((replay(&ben, &large), delete(&ada, &large), delete(&ada, &large)), (409, 204, 404));
    assert_eq!(with(&host, &ada, "GET", &path(&first), None).header("allow"), "DELETE, OPTIONS");

    plant.configure(&config("accept")).unwrap();
    host.signal("HUP").unwrap();
    // Until that is read a letter comes back as another.
    wait_until("a letter that is taken", soon, || {
        Ok(letters("?reason=unknown-sensor").first().is_some_and(|id| replay(&ben, id) == 202))
    })
    .unwrap();
    wait_until("the reading", soon, || Ok(plant.counts()?["readings"] == 1)).unwrap();
    wait_until("no letters", soon, || {
        let left = letters("");
        assert!(left.iter().all(|id| delete(&ada, id) == 204));
        Ok(left.is_empty())
    })
    .unwrap();

    let exported = plant.output(&["audit", "export"]).unwrap();
    let target = first.replace("%7C", "|");
    for (action, actor, outcome) in [
        ("DELETE /api/v1/dead-letters/{id}", "ben", "403"),
        ("DELETE /api/v1/dead-letters/{id}", "eve", "404"),
        ("DELETE /api/v1/dead-letters/{id}", "ada", "204"),
        ("POST /api/v1/dead-letters/{id}/replay", "ben", "202"),
    ] {
        let is = |line: &str, words: &[&str]| words.iter().all(|word| line.contains(&format!("\"{word}\"")));
        assert!(exported.lines().any(|line| is(line, &[action, actor, outcome])), "{action} {actor}\n{exported}");
        assert!(actor != "eve" || exported.lines().any(|line| is(line, &[action, actor, &target])), "{exported}");
    }
    host.stop().unwrap();
}

#[test]
fn the_commands_manage_users_and_keys_beside_a_running_host() {
    let plant = Plant::new(ON).unwrap();
    let host = plant.start().unwrap();
    let told = plant.output(&["user", "add", "ada", "--role", "engineer", "--site", "plant"]).unwrap();
    let first = told.split_whitespace().last().unwrap();
    assert_eq!(login(&host, "ada", first).status, 200);
    assert!(plant.output(&["user", "list"]).unwrap().contains("engineer"));
    let told = plant.output(&["user", "reset", "ada"]).unwrap();
    assert_eq!((login(&host, "ada", first).status, told.contains("one-time password")), (401, true));
    let key = plant.output(&["key", "add", "gateway", "--scope", "read", "--expires-in", "1d"]).unwrap();
    let key = key.trim();
    assert_eq!(with(&host, key, "GET", "/api/v1/sensors", None).status, 200);
    plant.output(&["key", "rotate", "--retire"]).unwrap();
    assert_eq!(with(&host, key, "GET", "/api/v1/sensors", None).status, 200, "API keys have nothing to do with it");
    let id = key.split('_').nth(1).unwrap();
    assert!(plant.output(&["key", "list"]).unwrap().contains(id));
    plant.output(&["key", "remove", id]).unwrap();
    assert_eq!(with(&host, key, "GET", "/api/v1/sensors", None).status, 401);
    plant.output(&["user", "disable", "ada"]).unwrap();
    plant.output(&["user", "remove", "ada"]).unwrap();
    assert!(plant.output(&["user", "remove", "admin"]).is_err(), "the last admin");
    let list = plant.output(&["audit", "list"]).unwrap();
    for word in ["user add", "user reset", "key add", "key rotate", "key remove", "user disable", "user remove"] {
        assert!(list.contains(word), "{word} is not in\n{list}");
    }
    assert!(plant.output(&["audit", "verify"]).unwrap().contains("all as they were written"));
}

#[test]
fn a_changed_audit_is_found_by_the_command() {
    for (what, change) in [
        ("edited", "UPDATE audit SET actor = 'somebody else' WHERE seq = 3"),
        ("removed", "DELETE FROM audit WHERE seq = 3"),
        ("cut off", "DELETE FROM audit WHERE seq > 4; UPDATE audit_head SET seq = 4"),
        (
            "reordered",
            "UPDATE audit SET seq = -1 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = -1",
        ),
        (
            "put in",
            "INSERT INTO audit SELECT 6, time, actor, action, target, outcome, address, detail, key, hash FROM audit WHERE seq = 5",
        ),
    ] {
        let plant = Plant::new(ON).unwrap();
        for name in ["a", "b", "c", "d"] {
            plant.output(&["user", "add", name]).unwrap();
        }
        assert!(plant.output(&["audit", "verify"]).unwrap().starts_with("5 entries"));
        let file = rusqlite::Connection::open(plant.path().join("data/access.db")).unwrap();
        file.execute_batch("DROP TRIGGER audit_stays; DROP TRIGGER audit_stays_so").unwrap();
        file.execute_batch(change).unwrap();
        drop(file);
        let out = plant.command().unwrap().args(["audit", "verify"]).output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{what}: {told}");
        assert!(told.contains("the audit is not as it was written: entry"), "{what}: {told}");
    }
}
