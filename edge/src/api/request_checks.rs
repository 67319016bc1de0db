//! Requests that are corrected before the component gets them, or answered instead of it.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use serde_json::json;

use super::caller::Caller;

/// The host of an HTTP/1.0 request that names none, which that version allows.
const HOST: HeaderValue = HeaderValue::from_static("localhost");
/// The header that passes the caller's permissions to the component; see `components/api/src/graphql/mod.rs`.
const PERMISSIONS: &str = "x-wheeltapper-permissions";

/// Ensures that the request names a host, which WASI requires (RFC 9112, section 3.2).
///
/// # Errors
/// The response, if the request has to name a host and does not.
pub(super) fn ensure_host(request: &mut Request<Bytes>) -> Result<(), Box<Response<Bytes>>> {
    let host = request.headers().get(header::HOST);
    if host.is_some_and(|host| host.to_str().is_ok()) || request.uri().authority().is_some() {
        return Ok(());
    }
    if host.is_some() || request.version() == Version::HTTP_11 {
        let detail =
            "the Host header is missing, or has characters other than ASCII; send the host's name and port in it";
        return Err(Box::new(problem(StatusCode::BAD_REQUEST, detail)));
    }
    request.headers_mut().insert(header::HOST, HOST);
    Ok(())
}

/// Passes the caller's permissions to the component; overwrites what the request itself says.
pub(super) fn set_permissions(caller: &Caller, request: &mut Request<Bytes>) {
    let permissions = if caller.read_only { "read" } else { "read, write" };
    request.headers_mut().insert(PERMISSIONS, HeaderValue::from_static(permissions));
}

/// The response if the component was stopped at its deadline.
pub(super) fn timeout_response() -> Response<Bytes> {
    let detail = "the response took too long and was stopped; request less at once: a shorter time range, smaller pages, or fewer fields";
    problem(StatusCode::SERVICE_UNAVAILABLE, detail)
}

/// The response if all instances stay busy.
pub(super) fn busy_response() -> Response<Bytes> {
    let detail = "the host is busy with other requests; send the request again";
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

/// An error as RFC 9457 problem details.
fn problem(status: StatusCode, detail: &str) -> Response<Bytes> {
    let title = status.canonical_reason().unwrap_or("error");
    let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, host: Option<&[u8]>) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.version_mut() = version;
        *request.uri_mut() = uri.parse().unwrap();
        if let Some(host) = host {
            request.headers_mut().insert(header::HOST, HeaderValue::from_bytes(host).unwrap());
        }
        request
    }

    #[test]
    fn a_request_names_a_host_where_required() {
        for (version, uri, host, named) in [
            (Version::HTTP_11, "/x", Some(&b"plant:8080"[..]), Some("plant:8080")),
            (Version::HTTP_10, "/x", None, Some("localhost")),
            (Version::HTTP_2, "http://plant/x", None, None),
            (Version::HTTP_11, "http://plant/x", None, None),
        ] {
            let mut request = request(version, uri, host);
            assert!(ensure_host(&mut request).is_ok(), "{version:?} {uri}");
            assert_eq!(request.headers().get(header::HOST).map(|host| host.to_str().unwrap()), named);
        }
        for (version, host) in
            [(Version::HTTP_11, None), (Version::HTTP_11, Some(&b"\xff"[..])), (Version::HTTP_10, Some(&b"\xff"[..]))]
        {
            let response = ensure_host(&mut request(version, "/x", host)).unwrap_err();
            assert_eq!(
                (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
                (400, "application/problem+json")
            );
        }
        assert_eq!(timeout_response().status(), 503);
    }

    #[test]
    fn a_request_cannot_set_its_own_permissions() {
        for (read_only, expected) in [(true, "read"), (false, "read, write")] {
            let mut request = request(Version::HTTP_11, "/graphql", None);
            request.headers_mut().insert(PERMISSIONS, HeaderValue::from_static("read, write, delete"));
            set_permissions(&Caller { read_only, ..Caller::default() }, &mut request);
            assert_eq!(request.headers().get_all(PERMISSIONS).iter().collect::<Vec<_>>(), [expected]);
        }
    }
}
