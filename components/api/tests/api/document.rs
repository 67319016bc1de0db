//! The OpenAPI document, and the table of routes that it is generated from.

use http::Method;
use serde_json::Value;
use wheeltapper_api::{Permission, ROUTES, RateLimitClass, Settings, find_route, openapi, respond};

use crate::memory::{Memory, NOW, body, get, get_with, plant, request, text};

#[test]
fn the_document() {
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(openapi(true, "0.0.0")) });
}

#[test]
fn the_document_depends_on_the_host() {
    let line = Memory::default();
    let without_edge = body(&get(&line, "/api/openapi.json"));
    assert!(
        without_edge["paths"].get("/api/v1/users").is_none() && without_edge["paths"].get("/ws/anomalies").is_none()
    );
    let settings = Settings::from_variables(|name| (name == "WHEELTAPPER_HOST").then(|| "edge".to_owned()));
    let with_edge = respond(&line, &settings, NOW, request(Method::GET, "/api/openapi.json", &[], b""));
    assert!(body(&with_edge)["paths"].get("/api/v1/users").is_some());
    assert_eq!(body(&with_edge), openapi(true, env!("CARGO_PKG_VERSION")));
    // The edge host's own routes do not exist elsewhere.
    assert_eq!(get(&line, "/api/v1/users").status(), 404);
}

/// Every reference resolves, every name is unique, and every example is accepted.
#[test]
fn the_document_is_consistent() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = openapi(true, "0");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
    let mut names: Vec<&str> = ROUTES.iter().map(|route| route.operation_id).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ROUTES.len());
    let line = plant();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(body) = operation.pointer("/requestBody/content/application~1json/example") else { continue };
            let method: Method = method.to_uppercase().parse().unwrap();
            if find_route(&method, path).unwrap().edge_only {
                continue;
            }
            let path = path.replace("{id}", "00000000000000000000000000000001").replace("{asset}", "south");
            let response = crate::memory::send(&line, method, &path, &body.to_string());
            assert!(response.status().is_success(), "{path}: {}", crate::memory::body(&response));
        }
    }
}

#[test]
fn routes_have_a_permission_and_a_rate_limit() {
    let route_access =
        |method: Method, path: &str| find_route(&method, path).map(|route| (route.operation_id, route.permission));
    assert_eq!(route_access(Method::GET, "/"), Some(("getPage", Permission::None)));
    assert_eq!(route_access(Method::HEAD, "/health"), Some(("getHealth", Permission::None)));
    assert_eq!(route_access(Method::GET, "/api/v1/sensors/a/b%2Fc/readings"), Some(("getReadings", Permission::Read)));
    assert_eq!(route_access(Method::GET, "/api/v1/sensors/a/b/stream"), Some(("streamReadings", Permission::Read)));
    assert_eq!(route_access(Method::GET, "/api/v1/anomalies/stream"), Some(("streamAnomalies", Permission::Read)));
    assert_eq!(route_access(Method::POST, "/api/v1/anomalies/x/handle"), Some(("handleAnomaly", Permission::Write)));
    assert_eq!(route_access(Method::PATCH, "/api/v1/work-orders/x"), Some(("amendWorkOrder", Permission::Write)));
    for path in ["/api/v1/machines/a/b%2Fc/reset-baseline", "/api/v1/machines/a/reset-baseline"] {
        assert_eq!(route_access(Method::POST, path), Some(("resetBaseline", Permission::Write)));
    }
    assert_eq!(route_access(Method::DELETE, "/api/v1/users/x"), Some(("removeUser", Permission::Configure)));
    assert_eq!(route_access(Method::GET, "/api/v1/auth/me"), Some(("getMe", Permission::SignedIn)));
    assert_eq!(route_access(Method::GET, "/ws/anomalies"), Some(("watchAnomalies", Permission::Read)));
    for (method, path) in [
        (Method::GET, "/api/v1/anomalies/x/y"),
        (Method::GET, "/api/v1/anomalies/"),
        (Method::GET, "/api/v1/anomalies/x/handle"),
        (Method::POST, "/api/v1/sensors"),
        (Method::POST, "/api/v1/machines/reset-baseline"),
        (Method::GET, "/api/v1/machines/a"),
        (Method::OPTIONS, "/api/v1/sensors"),
        (Method::GET, "/nowhere"),
    ] {
        assert_eq!(route_access(method.clone(), path), None, "{method} {path}");
    }
    let class = |path: &str| find_route(&Method::POST, path).unwrap().rate_limit;
    assert_eq!(class("/api/v1/detect"), RateLimitClass::Detect);
    assert_eq!(class("/api/v1/maintenance/schedule"), RateLimitClass::Schedule);
    assert_eq!(class("/api/v1/ingest"), RateLimitClass::Ingest);
    assert_eq!(class("/api/v1/auth/login"), RateLimitClass::Login);
    assert_eq!(class("/graphql"), RateLimitClass::Other);
}

#[test]
fn paths_list_their_methods() {
    for (path, allow) in [
        ("/graphql", "GET, HEAD, POST, OPTIONS"),
        ("/api/v1/work-orders/x", "GET, HEAD, PATCH, OPTIONS"),
        ("/api/v1/anomalies/x/handle", "POST, OPTIONS"),
        ("/api/v1/anomalies/stream", "GET, HEAD, OPTIONS"),
        ("/api/v1/maintenance/plan.ics", "GET, HEAD, OPTIONS"),
    ] {
        for method in [Method::OPTIONS, Method::TRACE, "PURGE".parse().unwrap()] {
            let response = respond(&plant(), &Settings::default(), NOW, request(method.clone(), path, &[], b""));
            assert_eq!(response.status(), if method == Method::OPTIONS { 204 } else { 405 });
            assert_eq!(text(&response, "allow"), Some(allow));
        }
    }
}

#[test]
fn long_responses_are_compressed() {
    let line = plant();
    let plain = get(&line, "/api/openapi.json");
    assert_eq!((text(&plain, "content-encoding"), text(&plain, "vary")), (None, Some("Accept-Encoding")));
    for encodings in ["gzip", "br, GZIP;q=0.5", "deflate,gzip"] {
        let compressed = get_with(&line, "/api/openapi.json", &[("accept-encoding", encodings)]);
        assert_eq!(text(&compressed, "content-encoding"), Some("gzip"));
        assert_eq!(text(&compressed, "content-length").unwrap(), compressed.body().len().to_string());
        let mut decompressed = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(compressed.body().as_slice()), &mut decompressed)
            .unwrap();
        assert_eq!(&decompressed, plain.body());
        assert!(compressed.body().len() < plain.body().len() / 5);
        let tag = text(&compressed, "etag").unwrap();
        assert_eq!(tag, format!("W/{}", text(&plain, "etag").unwrap()));
        let unchanged = get_with(&line, "/api/openapi.json", &[("accept-encoding", encodings), ("if-none-match", tag)]);
        assert_eq!(
            (unchanged.status().as_u16(), unchanged.body().len(), text(&unchanged, "content-encoding")),
            (304, 0, None)
        );
    }
    for encoding in ["br", "gzip;q=0", "gzip;q=0.0", ""] {
        let response = get_with(&line, "/api/openapi.json", &[("accept-encoding", encoding)]);
        assert_eq!(text(&response, "content-encoding"), None);
    }
    // A body that is too short to be worth it, and a stream.
    for path in ["/health", "/api/v1/sensors/north%2Fhall-1%2Fpump-1%2Fvibration/stream?last_event_id=1"] {
        assert_eq!(text(&get_with(&line, path, &[("accept-encoding", "gzip")]), "content-encoding"), None);
    }
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let line = Memory::default();
    for (path, kind) in [
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs.js", "text/javascript; charset=utf-8"),
        ("/api/docs.css", "text/css; charset=utf-8"),
    ] {
        let response = get(&line, path);
        assert_eq!(text(&response, "content-type"), Some(kind));
        let policy = text(&response, "content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        let file = String::from_utf8(response.body().clone()).unwrap();
        assert!(!file.is_empty() && !file.contains("http://") && !file.contains("https://"), "{path}");
        assert!(!file.contains("<script>") && !file.contains("style=") && !file.contains("innerHTML"), "{path}");
    }
}
