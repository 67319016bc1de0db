//! HTTP client for a running host: signs in and sends requests as a user.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "test helpers fail by panicking")]

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use wheeltapper_access::{Access, Role, Settings};

use crate::{RunningHost, TestHost};

/// Password of all test users.
pub const PASSWORD: &str = "correct horse battery";
/// Configuration with access control on and rate limits so high that no test reaches them.
pub const ACCESS_ON: &str =
    "[access]\nmode = \"on\"\n[access.limits]\nlogin = 100000\nother = 100000\ndetect = 1000\nschedule = 1000\n";

/// The current time in nanoseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

/// The answer to an HTTP request.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: ureq::http::HeaderMap,
    /// Body as JSON; null if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// A header's value; empty if the header is missing.
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

/// Sends a request with headers and a JSON body.
pub fn send(host: &RunningHost, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
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
    // The body of an event stream does not end.
    let stream = answer.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
    let text = if stream { String::new() } else { answer.body_mut().read_to_string().unwrap_or_default() };
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
}

/// Sends a request with a bearer token.
pub fn send_as(host: &RunningHost, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
    send(host, method, path, &[("Authorization", &format!("Bearer {token}"))], body)
}

/// Signs in.
pub fn login(host: &RunningHost, user: &str, password: &str) -> Answer {
    send(host, "POST", "/api/v1/auth/login", &[], Some(&json!({"user": user, "password": password})))
}

/// Signs in with [`PASSWORD`] and returns the token.
pub fn token(host: &RunningHost, user: &str) -> String {
    let answer = login(host, user, PASSWORD);
    assert_eq!(answer.status, 200, "{user}: {}", answer.body);
    answer.body["token"].as_str().unwrap().to_owned()
}

/// Opens the access store while the host runs, as the commands do.
pub fn open_access(test_host: &TestHost) -> Access {
    Access::open(&test_host.path().join("data"), Settings::default(), now()).unwrap()
}

/// Adds a user and sets the password to [`PASSWORD`].
pub fn add_user(test_host: &TestHost, name: &str, role: Role, sites: Option<Vec<String>>) {
    let access = open_access(test_host);
    let one_time_password = access.add_user(name, &[role], sites, now()).unwrap();
    access.change_password(name, &one_time_password, PASSWORD, now()).unwrap();
}

/// A route's template with its parameter replaced by `nothing`.
pub fn fill_template(path: &str) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(start), Some(end)) => format!("{}nothing{}", &path[..start], &path[end + 1..]),
        _ => path.to_owned(),
    }
}
