//! The headers of every response: a request id, security headers, and CORS.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use crate::clock;

/// The id of a request in the logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The maximum length of a client's own request id, in bytes.
const MAX_ID_BYTES: usize = 128;

/// The parts of a request that its response headers depend on.
#[derive(Debug)]
pub(crate) struct ResponseHeaders {
    id: HeaderValue,
    origin: Option<HeaderValue>,
    /// Whether this is a CORS preflight request.
    is_preflight: bool,
}

impl ResponseHeaders {
    pub(crate) fn for_request(request: &Request) -> Self {
        let headers = request.headers();
        Self {
            id: request_id(headers),
            origin: headers.get(header::ORIGIN).cloned(),
            is_preflight: request.method() == Method::OPTIONS
                && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
        }
    }

    /// Adds the headers to a response; headers that the component has set are kept.
    pub(crate) fn apply(self, tls: bool, origins: &[String], response: &mut Response) {
        add_security_headers(tls, response.headers_mut());
        if !origins.is_empty() && !has_cors(response.headers()) {
            self.add_cors(origins, response);
        }
        response.headers_mut().entry(REQUEST_ID).or_insert(self.id);
    }

    /// Adds the CORS headers if pages of this origin may read the response.
    fn add_cors(&self, origins: &[String], response: &mut Response) {
        let (status, headers) = (response.status(), response.headers_mut());
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = &self.origin else { return };
        let listed = |text: &str| origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(text));
        if !origin.to_str().is_ok_and(listed) {
            return;
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers
            .insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(wheeltapper_api::EXPOSED_HEADERS));
        if self.is_preflight && status == StatusCode::NO_CONTENT {
            if let Some(methods) = headers.get(header::ALLOW).cloned() {
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            }
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(wheeltapper_api::ALLOWED_HEADERS),
            );
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
    }
}

/// Whether the component has already added the CORS headers.
fn has_cors(headers: &HeaderMap) -> bool {
    headers.get_all(header::VARY).iter().any(|vary| {
        vary.to_str().is_ok_and(|vary| vary.split(',').any(|name| name.trim().eq_ignore_ascii_case("origin")))
    })
}

/// The client's own id, or one that is unique to this run of the host.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let usable = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= MAX_ID_BYTES && bytes.iter().all(u8::is_ascii_graphic)
    };
    headers.get(REQUEST_ID).filter(usable).cloned().unwrap_or_else(|| {
        let id = format!("{:016x}{:08x}", clock::now(), REQUESTS.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    })
}

/// Security headers, which protect the users of the dashboard against attacks by other pages.
fn add_security_headers(tls: bool, headers: &mut HeaderMap) {
    let mut set_default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set_default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set_default(header::REFERRER_POLICY, "no-referrer");
    set_default(header::X_FRAME_OPTIONS, "DENY");
    set_default(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    set_default(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    set_default(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    if tls {
        set_default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

/// The name or address in a Host header, without port and brackets.
pub(crate) fn host_name(host: &str) -> &str {
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

    fn headers_for(method: Method, headers: &[(&str, &str)]) -> ResponseHeaders {
        let mut request = Request::builder().method(method);
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        ResponseHeaders::for_request(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn a_host_name_has_no_port() {
        for (host, name) in
            [("a.b:80", "a.b"), ("a.b.", "a.b"), ("[::1]:8080", "::1"), ("127.0.0.1", "127.0.0.1"), ("", "")]
        {
            assert_eq!(host_name(host), name);
        }
    }

    #[test]
    fn only_listed_origins_may_read() {
        let origins = ["https://plant.example".to_owned()];
        let mut response = Response::new(Body::empty());
        headers_for(Method::GET, &[("origin", "https://plant.example")]).add_cors(&origins, &mut response);
        assert_eq!(response.headers()["access-control-allow-origin"], "https://plant.example");
        for origin in ["https://evil.example", "null", "https://plant.example.evil.example"] {
            let mut response = Response::new(Body::empty());
            headers_for(Method::GET, &[("origin", origin)]).add_cors(&origins, &mut response);
            assert!(!response.headers().contains_key("access-control-allow-origin"), "{origin}");
            assert!(has_cors(response.headers()));
        }
    }

    #[test]
    fn a_preflight_response_names_methods_and_headers() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
        let preflight = [("origin", "https://plant.example"), ("access-control-request-method", "POST")];
        headers_for(Method::OPTIONS, &preflight).add_cors(&["*".to_owned()], &mut response);
        assert_eq!(response.headers()["access-control-allow-methods"], "POST, OPTIONS");
        assert!(response.headers().contains_key("access-control-allow-headers"));
    }

    #[test]
    fn a_valid_request_id_is_kept_and_others_are_replaced() {
        assert_eq!(headers_for(Method::GET, &[("x-request-id", "abc")]).id, "abc");
        let (one, two) = (headers_for(Method::GET, &[("x-request-id", "a b")]).id, headers_for(Method::GET, &[]).id);
        assert!(one != two && one != "a b");
    }
}
