//! Rejects requests whose host or path two programs could interpret in different ways.

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, Version, header, uri::Authority},
};
use percent_encoding::percent_decode_str;

use super::problem::Problem;

/// Checks the host and the path.
///
/// # Errors
/// 400 with the reason and what to do.
pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    check_host(request.version(), request.uri(), request.headers())
        .and_then(|()| check_path(request.uri().path()))
        .map_err(|detail| Problem::new(StatusCode::BAD_REQUEST, detail))
}

/// The request must name one host, and the same one in the header and in the URI (RFC 9112, section 3.2).
fn check_host(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err("the request has several Host headers; send one".into());
    }
    let Some(host) = host else {
        return match version {
            Version::HTTP_11 => Err("the Host header is missing; send the host's name and port in it".into()),
            _ => Ok(()),
        };
    };
    let host: Option<Authority> = host.to_str().ok().and_then(|host| host.parse().ok());
    let Some(host) = host.filter(|host| !host.as_str().contains('@')) else {
        return Err(
            "the Host header is not a host name with or without a port; send the host's name and port in it".into()
        );
    };
    let Some(authority) = uri.authority() else { return Ok(()) };
    let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = |of: &Authority| of.port_u16().unwrap_or(default_port);
    if authority.host().eq_ignore_ascii_case(host.host()) && port(authority) == port(&host) {
        return Ok(());
    }
    Err(format!("the request is for {authority}, but its Host header says {host}; send the same in both"))
}

/// The path must mean the same before and after proxies normalise dots, slashes and percent signs.
fn check_path(path: &str) -> Result<(), String> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    if let Some(control) = decoded.chars().find(|&character| wheeltapper_api::is_hidden_character(character)) {
        return Err(format!("the path has the control character U+{:04X}; leave it out", u32::from(control)));
    }
    if decoded.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("the path has a segment of only dots; send the resolved path".into());
    }
    if decoded.contains("//") {
        return Err("the path has an empty segment; write one slash".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn host(version: Version, uri: &str, hosts: &[&[u8]]) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_bytes(host).unwrap());
        }
        check_host(version, &uri.parse().unwrap(), &headers)
    }

    #[test]
    fn a_request_names_one_host() {
        let version = Version::HTTP_11;
        for (uri, name) in [
            ("/", "plant:8080"),
            ("/", "[::1]:8080"),
            ("http://plant/", "PLANT"),
            ("http://plant/", "plant:80"),
            ("https://plant/", "plant:443"),
        ] {
            assert_eq!(host(version, uri, &[name.as_bytes()]), Ok(()), "{uri} {name}");
        }
        assert!(host(version, "/", &[b"plant", b"plant"]).is_err());
        assert!(host(version, "/", &[b"plant", b"other"]).is_err());
        for (uri, name) in [
            ("http://plant/", &b"other"[..]),
            ("http://plant/", b"plant:81"),
            ("/", b""),
            ("/", b"\xff"),
            ("/", b"ada@plant"),
            ("/", b"a b"),
            ("/", b"plant/x"),
        ] {
            assert!(host(version, uri, &[name]).is_err(), "{uri} {name:?}");
        }
        assert!(host(version, "/", &[]).is_err());
        assert_eq!(host(Version::HTTP_10, "/", &[]), Ok(()));
    }

    #[test]
    fn a_path_is_read_in_one_way() {
        for path in ["/", "/api/v1/sensors/a%2Fb/readings", "/api/v1/sensors/a..b", "/%E6%B3%B5", "/a/", "/%ff"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in [
            "/..",
            "/a/../b",
            "/a/./b",
            "/%2e%2e/a",
            "/a%2F..%2Fb",
            "//a",
            "/a//b",
            "/a%2F/b",
            "/a%00",
            "/a%0d%0a",
            "/%E2%80%AE",
        ] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }
}
