//! Asking a running host as a user does: signing in, and requests in somebody's name.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "helpers of tests, which fail by panicking")]

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use wheeltapper_access::{Access, Role, Settings};

use crate::{Plant, Running};

/// Everybody's.
pub const PASSWORD: &str = "correct horse battery";
/// A door without limits that a test would run into.
pub const ON: &str =
    "[access]\nmode = \"on\"\n[access.limits]\nlogin = 100000\nother = 100000\ndetect = 1000\nschedule = 1000\n";
/// Nanoseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// Of HTTP.
    pub headers: ureq::http::HeaderMap,
    /// Null where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// One header; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// A request with these headers, and a body of JSON.
pub fn send(host: &Running, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
    let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", host.http));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = match body {
        Some(body) => {
            let request = request.header("Content-Type", "application/json").body(body.to_string()).unwrap();
            agent().run(request).unwrap()
        }
        None => agent().run(request.body(()).unwrap()).unwrap(),
    };
    // A stream has no end.
    let stream = answer.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
    let text = if stream { String::new() } else { answer.body_mut().read_to_string().unwrap_or_default() };
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
}

/// A request with a token.
pub fn with(host: &Running, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
    send(host, method, path, &[("Authorization", &format!("Bearer {token}"))], body)
}

/// Signs in.
pub fn login(host: &Running, user: &str, password: &str) -> Answer {
    send(host, "POST", "/api/v1/auth/login", &[], Some(&json!({"user": user, "password": password})))
}

/// The token of a user whose password is [`PASSWORD`].
pub fn token(host: &Running, user: &str) -> String {
    let answer = login(host, user, PASSWORD);
    assert_eq!(answer.status, 200, "{user}: {}", answer.body);
    answer.body["token"].as_str().unwrap().to_owned()
}

/// The door's files, opened beside the host as a command does.
pub fn door(plant: &Plant) -> Access {
    Access::open(&plant.path().join("data"), Settings::default(), now()).unwrap()
}

/// A user with a password of their own.
pub fn add(plant: &Plant, name: &str, role: Role, sites: Option<Vec<String>>) {
    let door = door(plant);
    let first = door.add_user(name, &[role], sites, now()).unwrap();
    door.change_password(name, &first, PASSWORD, now()).unwrap();
}

/// A route's template with `nothing` in it.
pub fn filled(path: &str) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(start), Some(end)) => format!("{}nothing{}", &path[..start], &path[end + 1..]),
        _ => path.to_owned(),
    }
}
