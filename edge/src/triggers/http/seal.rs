//! What every answer bears, whoever made it: an id, what keeps browsers honest, and which pages may read it.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use super::guard::Door;
use crate::clock;

/// The id by which a request is found in logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id is not echoed.
const LONGEST_ID: usize = 128;

/// Of a request, what its answer needs.
#[derive(Debug)]
pub(super) struct Seal {
    id: HeaderValue,
    origin: Option<HeaderValue>,
    /// A browser asks what a page may do.
    preflight: bool,
}

impl Seal {
    pub(super) fn of(request: &Request) -> Self {
        let headers = request.headers();
        Self {
            id: request_id(headers),
            origin: headers.get(header::ORIGIN).cloned(),
            preflight: request.method() == Method::OPTIONS
                && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
        }
    }

    /// Completes the answer; what the component said stays.
    pub(super) fn put(self, door: &Door, response: &mut Response) {
        secure(door.tls, response.headers_mut());
        if !door.origins.is_empty() && !is_marked(response.headers()) {
            self.mark(&door.origins, response);
        }
        response.headers_mut().entry(REQUEST_ID).or_insert(self.id);
    }

    /// Tells the browser that a page of this origin may have the answer, where it may (CORS).
    fn mark(&self, origins: &[String], response: &mut Response) {
        let (status, headers) = (response.status(), response.headers_mut());
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = &self.origin else { return };
        let listed = |text: &str| origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(text));
        if !origin.to_str().is_ok_and(listed) {
            return;
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(wheeltapper_api::EXPOSED));
        if self.preflight && status == StatusCode::NO_CONTENT {
            if let Some(methods) = headers.get(header::ALLOW).cloned() {
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            }
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(wheeltapper_api::SENT));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
    }
}

/// Whether the component has said already which pages may read it.
fn is_marked(headers: &HeaderMap) -> bool {
    headers.get_all(header::VARY).iter().any(|vary| {
        vary.to_str().is_ok_and(|vary| vary.split(',').any(|name| name.trim().eq_ignore_ascii_case("origin")))
    })
}

/// The client's own id, or one that no other request of this run has.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let usable = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= LONGEST_ID && bytes.iter().all(u8::is_ascii_graphic)
    };
    headers.get(REQUEST_ID).filter(usable).cloned().unwrap_or_else(|| {
        let id = format!("{:016x}{:08x}", clock::now(), REQUESTS.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    })
}

/// What keeps browsers from being used against who looks at us.
fn secure(tls: bool, headers: &mut HeaderMap) {
    let mut say = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(header::REFERRER_POLICY, "no-referrer");
    say(header::X_FRAME_OPTIONS, "DENY");
    say(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    say(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    say(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    if tls {
        say(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

/// The name or address in a Host header, without its port and brackets.
pub(super) fn host_name(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or_default().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn asked(method: Method, headers: &[(&str, &str)]) -> Seal {
        let mut request = Request::builder().method(method);
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        Seal::of(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn names_are_without_ports() {
        for (host, name) in
            [("a.b:80", "a.b"), ("a.b.", "a.b"), ("[::1]:8080", "::1"), ("127.0.0.1", "127.0.0.1"), ("", "")]
        {
            assert_eq!(host_name(host), name);
        }
    }

    #[test]
    fn listed_pages_may_read_and_others_not() {
        let origins = ["https://plant.example".to_owned()];
        let mut response = Response::new(Body::empty());
        asked(Method::GET, &[("origin", "https://plant.example")]).mark(&origins, &mut response);
        assert_eq!(response.headers()["access-control-allow-origin"], "https://plant.example");
        for origin in ["https://evil.example", "null", "https://plant.example.evil.example"] {
            let mut response = Response::new(Body::empty());
            asked(Method::GET, &[("origin", origin)]).mark(&origins, &mut response);
            assert!(!response.headers().contains_key("access-control-allow-origin"), "{origin}");
            assert!(is_marked(response.headers()));
        }
    }

    #[test]
    fn a_preflight_tells_methods_and_headers() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
        let asked = [("origin", "https://plant.example"), ("access-control-request-method", "POST")];
        super::tests::asked(Method::OPTIONS, &asked).mark(&["*".to_owned()], &mut response);
        assert_eq!(response.headers()["access-control-allow-methods"], "POST, OPTIONS");
        assert!(response.headers().contains_key("access-control-allow-headers"));
    }

    #[test]
    fn a_usable_id_is_echoed_and_others_are_made() {
        assert_eq!(asked(Method::GET, &[("x-request-id", "abc")]).id, "abc");
        let (one, two) = (asked(Method::GET, &[("x-request-id", "a b")]).id, asked(Method::GET, &[]).id);
        assert!(one != two && one != "a b");
    }
}
