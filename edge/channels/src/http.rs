//! POST requests of the channels, and the meaning of the answers.

use std::{sync::Arc, time::Duration};

use ureq::{
    http::{HeaderMap, StatusCode, Uri, header},
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{ChannelError, Outcome, hosts::AllowedHosts, secret::Secret};

/// The maximum pause that a receiver may ask for, in seconds; after a longer one the next attempt is made earlier.
const MAX_RETRY_AFTER: u64 = 600;
/// The maximum size of an answer that is read, in bytes; only its beginning explains an error.
const MAX_ANSWER: u64 = 16 << 10;

/// An HTTP client that follows no redirect: the request after a redirect has no body, so its 200 means nothing, and its
/// host may be one that is not allowed.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    agent: ureq::Agent,
    timeout: Duration,
}

/// A URL that was checked. It may hold a secret, so `Debug` shows only its origin.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CheckedUrl {
    url: Secret,
    origin: String,
}

impl std::fmt::Debug for CheckedUrl {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "CheckedUrl({})", self.origin)
    }
}

impl CheckedUrl {
    /// Checks that a text is `http://host/…` or `https://host/…` with an allowed host. `setting` names the setting.
    pub(crate) fn new(setting: &str, text: &str, hosts: &AllowedHosts) -> Result<Self, ChannelError> {
        let text = text.trim();
        let wrong = |why: &str| ChannelError::new(format!("{setting}: {why}"), "write https://host/path");
        let uri: Uri = text.parse().map_err(|_| wrong("this is not a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("this is not the URL of a web server"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL has no host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("the URL has a user name in it, which is not sent"));
        }
        hosts.check(host)?;
        let origin = origin(text).unwrap_or_default();
        Ok(Self { url: Secret::new(text), origin })
    }

    /// Appends a path to the URL.
    pub(crate) fn join(&self, path: &str) -> Self {
        let url = format!("{}/{path}", self.url.reveal().trim_end_matches('/'));
        Self { url: Secret::new(url), origin: self.origin.clone() }
    }
}

/// A request.
pub(crate) struct Post<'a> {
    pub(crate) url: &'a CheckedUrl,
    pub(crate) content_type: &'a str,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The idempotency key.
    pub(crate) key: &'a str,
    pub(crate) body: &'a [u8],
}

/// An answer: its status, what it says about a pause, and the beginning of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

impl HttpClient {
    /// `ca_certificates` are PEM certificates to trust instead of the public ones.
    pub(crate) fn new(timeout: Duration, ca_certificates: Option<&[u8]>) -> Result<Self, ChannelError> {
        let mut tls = TlsConfig::builder();
        if let Some(pem) = ca_certificates {
            let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(pem)
                .filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            tls = tls.root_certs(RootCerts::Specific(Arc::new(certificates)));
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .tls_config(tls.build())
            .user_agent(concat!("wheeltapper/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Ok(Self { agent, timeout })
    }

    /// The time after which an attempt to reach several recipients ends.
    pub(crate) fn attempt_limit(&self) -> Duration {
        self.timeout * 3
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// The outcome if there is no answer.
    pub(crate) fn post(&self, post: &Post<'_>) -> Result<Answer, Outcome> {
        let mut request = self
            .agent
            .post(post.url.url.reveal())
            .header("Content-Type", post.content_type)
            .header("Idempotency-Key", post.key);
        for (name, value) in &post.headers {
            request = request.header(*name, value);
        }
        let mut response = request.send(post.body).map_err(|error| self.failure(&error, &post.url.origin))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.body_mut().with_config().limit(MAX_ANSWER).lossy_utf8(true).read_to_string();
        Ok(answer(status, &headers, body.unwrap_or_default()))
    }

    /// The outcome of a request without an answer. The text of the error could name the URL, which may hold a secret.
    fn failure(&self, error: &ureq::Error, origin: &str) -> Outcome {
        let why = match error {
            ureq::Error::Timeout(_) => {
                format!("{origin} did not answer within {:?}; check that it is up, or raise `timeout`", self.timeout)
            }
            ureq::Error::HostNotFound => unresolved(origin),
            ureq::Error::Io(error) if error.to_string().contains("lookup") => unresolved(origin),
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                format!("{origin} refuses the connection; check the port, and that the server runs")
            }
            ureq::Error::Io(error) => return tls_or_io(origin, &error.to_string()),
            ureq::Error::Rustls(error) => return tls_or_io(origin, &error.to_string()),
            ureq::Error::ConnectionFailed => {
                format!("no connection to {origin}; check the address and the firewall")
            }
            _ => format!("the request to {origin} failed; check the URL of the channel"),
        };
        Outcome::failed(why)
    }
}

fn unresolved(origin: &str) -> String {
    format!("the name of {origin} cannot be resolved; check the spelling and the DNS of this machine")
}

fn tls_or_io(origin: &str, error: &str) -> Outcome {
    Outcome::failed(crate::tls::explain(origin, error).unwrap_or_else(|| format!("{origin}: {error}")))
}

fn answer(status: StatusCode, headers: &HeaderMap, body: String) -> Answer {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = text(header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse::<u64>().ok());
    Answer {
        status: status.as_u16(),
        retry_after: seconds.map(pause),
        location: text(header::LOCATION).and_then(origin),
        body,
    }
}

/// A pause that a receiver asks for, limited.
pub(crate) fn pause(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(MAX_RETRY_AFTER))
}

impl Answer {
    /// Whether the answer is 2xx.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the answer is 2xx and not a web page, as a proxy or the sign-in page of a network would answer in the
    /// name of the service.
    pub(crate) fn is_success_of_api(&self) -> bool {
        self.is_success() && !self.is_web_page()
    }

    fn is_web_page(&self) -> bool {
        self.body.trim_start().starts_with('<')
    }

    /// The outcome of an answer that is no success. `hint` says what to do about a rejection.
    pub(crate) fn failure(&self, hint: &str) -> Outcome {
        let status = self.status;
        let said = self.said();
        if self.is_success() {
            let why =
                "the answer is a web page, not that of the service; check the URL, and whether a proxy is in between";
            return Outcome::failed(why);
        }
        if (300..400).contains(&status) {
            let to = self.location.as_ref().map_or_else(String::new, |origin| format!(" to {origin}"));
            return Outcome::failed(format!(
                "the receiver answered {status}, a redirect{to}, which is not followed as it would lose the alert; set the final URL"
            ));
        }
        if (400..500).contains(&status) && !matches!(status, 408 | 425 | 429) {
            return Outcome::rejected(format!("the receiver rejected it with {status}{said}; {hint}"));
        }
        let why = match status {
            429 => format!("the receiver limits the rate (429){said}; lower max_per_minute if this repeats"),
            _ => format!("the receiver answered {status}{said}"),
        };
        Outcome::Failed { why, retry_after: self.retry_after }
    }

    /// The beginning of the body, for people.
    fn said(&self) -> String {
        let text = crate::text::one_line(&self.body);
        if text.is_empty() || self.is_web_page() {
            return String::new();
        }
        format!(" ({})", crate::text::clamp_plain(&text, 200, crate::text::Unit::Characters))
    }
}

/// The host of a URL.
pub(crate) fn host(url: &str) -> Option<String> {
    Some(url.parse::<Uri>().ok()?.host()?.to_owned())
}

/// Scheme and host of a URL; the rest may be a secret.
pub(crate) fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{}://{}{port}", uri.scheme_str()?, uri.host()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn of(status: u16, name: header::HeaderName, value: &'static str) -> Answer {
        let headers = HeaderMap::from_iter([(name, header::HeaderValue::from_static(value))]);
        answer(StatusCode::from_u16(status).unwrap(), &headers, String::new())
    }

    #[test]
    fn answers_are_classified() {
        for status in [300, 301, 302, 303, 307, 308] {
            let Outcome::Failed { why, .. } =
                of(status, header::LOCATION, "https://new.example/hook?token=hunter2").failure("x")
            else {
                panic!("{status}")
            };
            assert!(why.contains("https://new.example,") && !why.contains("hunter2"), "{why}");
        }
        assert_eq!(
            of(404, header::SERVER, "x").failure("check the URL"),
            Outcome::rejected("the receiver rejected it with 404; check the URL")
        );
        for status in [408, 425, 429, 500, 503] {
            let Outcome::Failed { retry_after, .. } = of(status, header::RETRY_AFTER, "7").failure("") else {
                panic!("{status}")
            };
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
        assert_eq!(of(503, header::RETRY_AFTER, "99999999").retry_after, Some(Duration::from_secs(600)));
        assert_eq!(of(503, header::RETRY_AFTER, "Wed, 21 Oct 2026 07:28:00 GMT").retry_after, None);
    }

    #[test]
    fn urls_are_checked_and_not_shown() {
        let hosts = AllowedHosts::new(Some(&["hook.example".to_owned()]));
        for (url, expected) in [
            ("nonsense", "not the URL of a web server"),
            ("ftp://hook.example/x", "not the URL of a web server"),
            ("https://user:hunter2@hook.example/x", "user name"),
            ("https://other.example/hunter2", "allowed_hosts"),
            ("https://", "not a URL"),
        ] {
            let error = CheckedUrl::new("url_env", url, &hosts).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{url}: {error}");
        }
        let url = CheckedUrl::new("url_env", " https://hook.example:8443/hunter2\n", &hosts).unwrap();
        assert_eq!(format!("{url:?}"), "CheckedUrl(https://hook.example:8443)");
    }
}
