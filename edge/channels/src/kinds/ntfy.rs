//! ntfy: a message to the subscribers of a topic, published as JSON.
//!
//! A message has at most 4,096 bytes (the server's default `message-size-limit`); a longer one would become an attached
//! file.

use serde_json::{Value, json};

use crate::{
    Notification, Outcome, Severity,
    http::{CheckedUrl, HttpClient, Post},
    notification::Event,
    secret::Secret,
    text::{self, Unit},
};

const MAX_MESSAGE: usize = 4096;
const MAX_TITLE: usize = 250;

/// Returns the body of the request.
pub(crate) fn body(notification: &Notification, topic: &str) -> Value {
    let facts: Vec<String> = notification.facts.iter().map(|fact| format!("{}: {}", fact.label, fact.value)).collect();
    let message = format!("{}\n\n{}", notification.body(), facts.join("\n"));
    let mut body = json!({
        "topic": topic,
        "title": text::clamp(&notification.subject, MAX_TITLE, Unit::Bytes, text::spaced),
        // ntfy interprets no markup unless it is told to.
        "message": text::clamp(message.trim(), MAX_MESSAGE, Unit::Bytes, text::visible),
        "priority": priority(notification),
        "tags": [tag(notification), notification.severity.name()],
    });
    if let Some(link) = notification.link.as_ref().filter(|link| link.len() <= 2_000) {
        body["click"] = link.as_str().into();
    }
    body
}

/// ntfy's priorities are from 1 (lowest) to 5.
fn priority(notification: &Notification) -> u8 {
    if matches!(notification.event, Event::Resolved | Event::Test) {
        return 3;
    }
    match notification.severity {
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

/// A tag that ntfy shows as an emoji.
fn tag(notification: &Notification) -> &'static str {
    match notification.event {
        Event::Resolved => "white_check_mark",
        Event::Test => "wrench",
        _ => "warning",
    }
}

/// Sends a notification once. `url` is the address of the server.
pub(crate) fn send(
    client: &HttpClient,
    url: &CheckedUrl,
    topic: &str,
    token: Option<&Secret>,
    notification: &Notification,
) -> Outcome {
    let body = body(notification, topic).to_string();
    let headers = token.map(|token| ("Authorization", format!("Bearer {}", token.reveal())));
    let answer = client.post(&Post {
        url,
        content_type: "application/json",
        headers: headers.into_iter().collect(),
        key: &notification.key,
        body: body.as_bytes(),
    });
    match answer {
        Ok(answer) if answer.is_success_of_api() => Outcome::Delivered,
        Ok(answer) => answer.failure(match answer.status {
            401 | 403 => {
                "the server does not allow to publish to this topic; set token_env to an access token that may"
            }
            _ => "check `url` and `topic`",
        }),
        Err(outcome) => outcome,
    }
}
