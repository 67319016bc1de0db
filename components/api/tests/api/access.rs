//! Access control: tokens and CORS.

use http::{Method, Response};
use wheeltapper_api::{Settings, respond};

use crate::memory::{Memory, NOW, T0, body, problem, request, text};

fn send_with_settings(
    line: &Memory,
    variables: &[(&str, &str)],
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
) -> Response<Vec<u8>> {
    let settings = Settings::from_variables(|name| {
        variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
    });
    respond(line, &settings, NOW, request(method, uri, headers, b""))
}

const API: &[(&str, &str)] = &[("WHEELTAPPER_API_TOKEN", "open sesame")];
const TICK: &[(&str, &str)] = &[("WHEELTAPPER_TICK_TOKEN", "tock")];

#[test]
fn a_tick_requires_its_own_token() {
    let line = Memory::default();
    let tick = |variables, headers: &[_]| send_with_settings(&line, variables, Method::POST, "/api/v1/tick", headers);
    assert!(problem(&tick(&[], &[("authorization", "Bearer ")]), 404).contains("WHEELTAPPER_TICK_TOKEN"));
    problem(&tick(&[("WHEELTAPPER_TICK_TOKEN", " ")], &[("authorization", "Bearer ")]), 404);
    for wrong in [
        &[][..],
        &[("authorization", "Bearer tick")],
        &[("authorization", "Bearer tockk")],
        &[("authorization", "Basic tock")],
        &[("authorization", "")],
    ] {
        let response = tick(TICK, wrong);
        problem(&response, 401);
        assert!(text(&response, "www-authenticate").unwrap().starts_with("Bearer realm=\"wheeltapper\""));
    }
    assert!(line.ticks.borrow().is_empty());
    let response = tick(TICK, &[("authorization", "bearer tock")]);
    assert_eq!((response.status().as_u16(), &body(&response)["now"]), (200, &"2026-01-01T01:00:00Z".into()));
    assert_eq!(line.ticks.take(), [NOW]);
    // The API token is not valid for ticks.
    let both = [API, TICK].concat();
    problem(&tick(&both, &[("authorization", "Bearer open sesame")]), 401);
    assert_eq!(tick(&both, &[("authorization", "Bearer tock")]).status(), 200);
    let read = send_with_settings(&line, TICK, Method::GET, "/api/v1/tick", &[("authorization", "Bearer tock")]);
    problem(&read, 405);
}

#[test]
fn a_tick_accepts_a_time() {
    let line = Memory::default();
    let tick = |uri| send_with_settings(&line, TICK, Method::POST, uri, &[("authorization", "Bearer tock")]);
    for uri in ["/api/v1/tick?now=2026-01-01T00:00:00Z", "/api/v1/tick?now=1767225600000000000"] {
        assert_eq!(body(&tick(uri))["now"], "2026-01-01T00:00:00Z");
    }
    assert_eq!(line.ticks.take(), [T0, T0]);
    assert!(problem(&tick("/api/v1/tick?now=soon"), 400).contains("now=\"soon\" is not a time"));
    assert!(problem(&tick("/api/v1/tick?then=0"), 400).contains("this route takes now"));
    assert!(line.ticks.take().is_empty());
}

#[test]
fn with_a_token_set_every_api_route_requires_it() {
    let line = Memory::default();
    for uri in ["/graphql", "/api/v1/overview", "/api/v1/sensors", "/api/v1/anomalies/1", "/nowhere"] {
        problem(&send_with_settings(&line, API, Method::GET, uri, &[]), 401);
        problem(&send_with_settings(&line, API, Method::GET, uri, &[("authorization", "Bearer open")]), 401);
        let status =
            send_with_settings(&line, API, Method::GET, uri, &[("authorization", "Bearer open sesame")]).status();
        assert_ne!(status, 401, "{uri}");
    }
    problem(&send_with_settings(&line, API, Method::POST, "/api/v1/ingest", &[]), 401);
    assert!(line.submitted.take().is_empty());
    for uri in ["/", "/health", "/ready", "/api/docs", "/api/docs.js", "/api/openapi.json"] {
        assert_eq!(send_with_settings(&line, API, Method::GET, uri, &[]).status(), 200);
    }
    assert_eq!(send_with_settings(&line, &[], Method::GET, "/api/v1/overview", &[]).status(), 200);
}

#[test]
fn debug_output_contains_no_token() {
    let debug = format!("{:?}", Settings { api_token: Some("sesame".into()), ..Settings::default() });
    assert!(!debug.contains("sesame"), "{debug}");
}

#[test]
fn pages_of_other_origins_are_denied_unless_listed() {
    let line = Memory::default();
    let origin = [("origin", "https://plant.example")];
    let response = send_with_settings(&line, &[], Method::GET, "/api/v1/sensors", &origin);
    assert_eq!((text(&response, "access-control-allow-origin"), text(&response, "vary")), (None, None));

    let listed = [("WHEELTAPPER_CORS_ORIGINS", "https://other.example, https://Plant.example/")];
    let response = send_with_settings(&line, &listed, Method::GET, "/api/v1/sensors", &origin);
    assert_eq!(text(&response, "access-control-allow-origin"), Some("https://plant.example"));
    assert!(text(&response, "access-control-expose-headers").unwrap().contains("Link"));
    assert_eq!(text(&response, "vary"), Some("Origin"));
    let other_origin =
        send_with_settings(&line, &listed, Method::GET, "/api/v1/sensors", &[("origin", "https://plant.example.evil")]);
    assert_eq!(
        (text(&other_origin, "access-control-allow-origin"), text(&other_origin, "vary")),
        (None, Some("Origin"))
    );

    // A browser sends the preflight request without the token; error responses need the CORS headers as well.
    let variables = [API, &listed].concat();
    let preflight = [origin[0], ("access-control-request-method", "POST")];
    let response = send_with_settings(&line, &variables, Method::OPTIONS, "/api/v1/ingest", &preflight);
    assert_eq!(
        (response.status().as_u16(), text(&response, "access-control-allow-methods")),
        (204, Some("POST, OPTIONS"))
    );
    assert_eq!(text(&response, "access-control-allow-origin"), Some("https://plant.example"));
    let response = send_with_settings(&line, &variables, Method::GET, "/api/v1/sensors", &origin);
    problem(&response, 401);
    assert_eq!(text(&response, "access-control-allow-origin"), Some("https://plant.example"));

    let all = [("WHEELTAPPER_CORS_ORIGINS", "*")];
    let response = send_with_settings(&line, &all, Method::GET, "/api/v1/sensors", &origin);
    assert_eq!(text(&response, "access-control-allow-origin"), Some("https://plant.example"));
}
