//! One attempt to deliver a notification, and the meaning of its outcome.

use std::{sync::Arc, time::Duration};

use ureq::http::{HeaderMap, StatusCode, Uri, header};
use wheeltapper_channels::{AlertMessage, Event, Severity as ChannelSeverity};

use super::{
    channels::Channels,
    route::{Route, Target},
};
use crate::{
    components::wit::types::{Alert, Severity},
    rows::alert_row,
};

/// The maximum time that the receiver may take to answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum pause that a receiver may ask for, in seconds; after a longer one the next attempt is made earlier.
const MAX_RETRY_AFTER: u64 = 600;

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeliveryOutcome {
    /// The receiver has accepted the notification.
    Delivered,
    /// The receiver will never accept this notification.
    Rejected(String),
    /// The receiver may accept it later.
    Failed {
        /// The reason of the failure.
        why: String,
        /// The pause that the receiver asks for.
        retry_after: Option<Duration>,
    },
}

/// Delivers the notifications of a route.
pub(super) struct Deliverer {
    agent: ureq::Agent,
    channels: Arc<Channels>,
}

/// A notification of a route.
pub(super) struct RouteNotification<'a> {
    pub(super) alert: &'a Alert,
    /// `opened`, `raised` or `resolved`.
    pub(super) event: &'static str,
    /// The body for a webhook.
    pub(super) body: &'a str,
    /// The same key for each attempt.
    pub(super) key: &'a str,
}

impl Deliverer {
    pub(super) fn new(channels: Arc<Channels>) -> Self {
        Self { agent: http_client(), channels }
    }

    /// Posts a notification once, or stores it in the outboxes of the route's channels.
    ///
    /// # Errors
    /// If the outboxes cannot be stored; nothing is lost, and the attempt can be repeated.
    pub(super) fn attempt(
        &self,
        route: &Route,
        notification: &RouteNotification<'_>,
    ) -> anyhow::Result<DeliveryOutcome> {
        match &route.target {
            Target::Webhook(url) => Ok(post(&self.agent, url, notification.key, notification.body)),
            Target::Channels(channels) => {
                self.channels.push(channels, &message(&route.name, notification))?;
                Ok(DeliveryOutcome::Delivered)
            }
        }
    }
}

/// The message for channels.
fn message(route: &str, notification: &RouteNotification<'_>) -> AlertMessage {
    let RouteNotification { alert, event, key, .. } = notification;
    AlertMessage {
        key: (*key).to_owned(),
        route: route.to_owned(),
        event: match *event {
            "raised" => Event::Raised,
            "resolved" => Event::Resolved,
            _ => Event::Opened,
        },
        alert: alert.id.clone(),
        asset: alert.asset.clone(),
        severity: match alert.severity {
            Severity::Low => ChannelSeverity::Low,
            Severity::Medium => ChannelSeverity::Medium,
            Severity::High => ChannelSeverity::High,
            Severity::Critical => ChannelSeverity::Critical,
        },
        title: alert.title.clone(),
        message: alert.message.clone(),
        recommendation: alert.recommendation.clone(),
        fault_mode: alert.fault_mode.clone(),
        anomaly: alert.anomaly.clone(),
        opened: alert.opened,
        updated: alert.updated,
        row: serde_json::to_value(alert_row(alert)).unwrap_or_default(),
    }
}

/// The HTTP client for webhooks. It never follows a redirect: the request after a redirect has no body, so its 200
/// means nothing.
fn http_client() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(RESPONSE_TIMEOUT))
        .user_agent(concat!("wheeltapper/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Posts a notification once.
fn post(agent: &ureq::Agent, url: &str, key: &str, body: &str) -> DeliveryOutcome {
    let result = agent.post(url).header("Content-Type", "application/json").header("Idempotency-Key", key).send(body);
    let failed = |why: String| DeliveryOutcome::Failed { why, retry_after: None };
    match result {
        Ok(response) => outcome(response.status(), response.headers()),
        // The text of the error could name the URL, which may hold a secret.
        Err(ureq::Error::Timeout(_)) => failed(format!("the receiver did not answer within {RESPONSE_TIMEOUT:?}")),
        Err(ureq::Error::HostNotFound) => failed("the receiver's name cannot be resolved".to_owned()),
        Err(ureq::Error::Io(error)) => failed(error.to_string()),
        Err(_) => failed("the request failed; check the route's URL".to_owned()),
    }
}

fn outcome(status: StatusCode, headers: &HeaderMap) -> DeliveryOutcome {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if status.is_success() {
        return DeliveryOutcome::Delivered;
    }
    if status.is_redirection() {
        let to = text(header::LOCATION).and_then(origin).map_or_else(String::new, |origin| format!(" to {origin}"));
        let why = format!(
            "the receiver answered {status}, a redirect{to}, which is not followed as it would lose the alert; set the final URL in the route's webhook"
        );
        return DeliveryOutcome::Failed { why, retry_after: None };
    }
    let is_temporary = matches!(status.as_u16(), 408 | 425 | 429);
    if status.is_client_error() && !is_temporary {
        return DeliveryOutcome::Rejected(format!("the receiver rejected it with {status}; check the route's URL"));
    }
    let seconds = text(header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse::<u64>().ok());
    let retry_after = seconds.map(|seconds| Duration::from_secs(seconds.min(MAX_RETRY_AFTER)));
    DeliveryOutcome::Failed { why: format!("the receiver answered {status}"), retry_after }
}

/// Scheme and host of a URL; the rest may be a secret.
fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.host()?))
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    fn of(status: u16, name: header::HeaderName, value: &'static str) -> DeliveryOutcome {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        outcome(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn only_success_is_delivered_and_a_redirect_is_reported() {
        assert_eq!(of(204, header::SERVER, "x"), DeliveryOutcome::Delivered);
        for status in [300, 301, 302, 303, 304, 307, 308] {
            let DeliveryOutcome::Failed { why, .. } =
                of(status, header::LOCATION, "https://new.example/hook?token=secret")
            else {
                panic!("{status}")
            };
            assert!(why.contains("https://new.example,") && why.contains("final URL"), "{why}");
            assert!(!why.contains("secret"), "{why}");
        }
        assert!(matches!(of(302, header::LOCATION, "/elsewhere"), DeliveryOutcome::Failed { .. }));
        assert!(matches!(of(404, header::SERVER, "x"), DeliveryOutcome::Rejected(_)));
        for status in [408, 429, 500, 503] {
            let DeliveryOutcome::Failed { retry_after, .. } = of(status, header::RETRY_AFTER, "7") else {
                panic!("{status}")
            };
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
        let DeliveryOutcome::Failed { retry_after, .. } = of(503, header::RETRY_AFTER, "99999999") else { panic!() };
        assert_eq!(retry_after, Some(Duration::from_secs(MAX_RETRY_AFTER)));
    }
}
