//! Behaviour that all routes have in common.

use http::{Method, header};
use serde_json::json;
use wheeltapper_api::{LineApiError, Settings, Table, incomplete_request, respond};

use crate::memory::{Memory, NOW, body, get, get_with, problem, request, sensor, text};

fn send(method: Method, uri: &str, headers: &[(&str, &str)]) -> http::Response<Vec<u8>> {
    let line = Memory::with(Table::Sensors, vec![sensor("a/b")]);
    respond(&line, &Settings::default(), NOW, request(method, uri, headers, b""))
}

#[test]
fn a_problem_reads_so() {
    let response = get(&Memory::default(), "/api/v2/sensors");
    problem(&response, 404);
    assert_eq!(text(&response, "cache-control"), Some("no-store"));
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(body(&response)) });
}

#[test]
fn unchanged_content_is_a_304() {
    let first = send(Method::GET, "/api/v1/sensors", &[]);
    let tag = text(&first, "etag").unwrap().to_owned();
    assert_eq!(text(&first, "content-length").unwrap(), first.body().len().to_string());
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = send(Method::GET, "/api/v1/sensors", &[("if-none-match", &known)]);
        assert_eq!((again.status().as_u16(), again.body().len()), (304, 0));
        assert_eq!(text(&again, "etag"), Some(tag.as_str()));
        assert_eq!((text(&again, "content-type"), text(&again, "content-length")), (None, None));
    }
    assert_eq!(send(Method::GET, "/api/v1/sensors", &[("if-none-match", "\"x\"")]).status(), 200);
    let none = get_with(&Memory::default(), "/api/v1/sensors", &[("if-none-match", &tag)]);
    assert_eq!(none.status(), 200);
    assert_ne!(text(&none, "etag"), Some(tag.as_str()));
    assert_eq!(text(&send(Method::GET, "/nowhere", &[]), "etag"), None);
}

#[test]
fn head_is_get_without_a_body() {
    for uri in ["/", "/health", "/ready", "/api/v1/overview", "/api/v1/sensors", "/api/v1/sensors/a/b", "/nowhere"] {
        let (get, head) = (send(Method::GET, uri, &[]), send(Method::HEAD, uri, &[]));
        assert_eq!(head.status(), get.status());
        assert!(head.body().is_empty() && !get.body().is_empty());
        for name in [header::ETAG, header::CONTENT_TYPE, header::CACHE_CONTROL] {
            assert_eq!(head.headers().get(&name), get.headers().get(&name), "{uri} {name}");
        }
        assert_eq!(text(&head, "content-length"), None);
    }
}

#[test]
fn requests_have_an_id() {
    let id = |headers: &[_]| text(&send(Method::GET, "/health", headers), "x-request-id").unwrap().to_owned();
    assert_eq!(id(&[("x-request-id", "from-a-proxy.7")]), "from-a-proxy.7");
    let generated = id(&[]);
    assert_eq!(generated.len(), 32);
    // An id that would break a line of the log is replaced.
    assert_eq!(id(&[("x-request-id", "two words")]), generated);
    assert_eq!(id(&[("x-request-id", &"x".repeat(129))]), generated);
    let later = respond(&Memory::default(), &Settings::default(), NOW + 1, request(Method::GET, "/health", &[], b""));
    assert_ne!(text(&later, "x-request-id"), Some(generated.as_str()));
    let broken = incomplete_request("the body broke off", NOW);
    assert_eq!(problem(&broken, 400), "the body broke off; send it again");
    assert!(text(&broken, "x-request-id").is_some());
}

#[test]
fn a_405_lists_the_allowed_methods() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        let response = send(method, "/api/v1/sensors/a/b", &[]);
        problem(&response, 405);
        assert_eq!(text(&response, "allow"), Some("GET, HEAD, OPTIONS"));
    }
    let options = send(Method::OPTIONS, "/api/v1/ingest", &[]);
    assert_eq!((options.status().as_u16(), text(&options, "allow")), (204, Some("POST, OPTIONS")));
}

#[test]
fn liveness_and_readiness() {
    assert_eq!(body(&send(Method::GET, "/health", &[])), json!({ "status": "alive" }));
    assert_eq!(body(&send(Method::GET, "/ready", &[])), json!({ "status": "ready" }));
    for (failure, seconds) in
        [(LineApiError::Unavailable("locked".into()), "1"), (LineApiError::Internal("no plant".into()), "30")]
    {
        let line = Memory { failure: Some(failure), ..Memory::default() };
        assert_eq!(get(&line, "/health").status(), 200);
        let response = get(&line, "/ready");
        assert!(problem(&response, 503).starts_with("the line does not answer: "));
        assert_eq!(text(&response, "retry-after"), Some(seconds));
    }
}

#[test]
fn the_page_and_its_files_are_served() {
    let page = send(Method::GET, "/", &[]);
    assert_eq!(text(&page, "content-type"), Some("text/html; charset=utf-8"));
    assert!(text(&page, "content-security-policy").unwrap().starts_with("default-src 'none'; script-src 'self'"));
    assert_eq!(text(&page, "x-content-type-options"), Some("nosniff"));
    assert_eq!(text(&page, "referrer-policy"), Some("no-referrer"));
    assert_eq!(text(&page, "cache-control"), Some("no-cache"));
    let html = String::from_utf8_lossy(page.body()).into_owned();
    let Some(script) = html.split('"').find(|part| part.contains("app-") && part.ends_with(".js")) else {
        // Built without Node.js: the simple first page.
        assert!(html.contains("fetch('/api/v1/overview')"), "{html}");
        return;
    };
    let path = format!("/{}", script.trim_start_matches(['.', '/']));
    let plain = send(Method::GET, &path, &[]);
    assert_eq!(text(&plain, "content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(text(&plain, "content-encoding"), None);
    assert!(text(&plain, "cache-control").unwrap().contains("immutable"));
    let compressed = send(Method::GET, &path, &[("accept-encoding", "br, gzip")]);
    assert_eq!(text(&compressed, "content-encoding"), Some("gzip"));
    assert!(compressed.body().len() < plain.body().len() / 2);
    assert!(!text(&page, "content-security-policy").unwrap().contains("unsafe"));
}
