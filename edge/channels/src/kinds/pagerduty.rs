//! PagerDuty: the Events API v2.
//!
//! An alert is one incident: `dedup_key` is the id of the alert, and a resolved alert resolves the incident. Limits:
//! 1,024 characters in the summary, 255 in `dedup_key`, 512 KB in an event.

use serde_json::{Map, Value, json};

use crate::{
    Notification, Outcome, Severity,
    clock::rfc3339,
    http::{CheckedUrl, HttpClient, Post},
    notification::Event,
    secret::Secret,
    text::{self, Unit},
};

const MAX_SUMMARY: usize = 1024;
const MAX_DEDUP_KEY: usize = 255;
const MAX_SOURCE: usize = 255;
/// Limit of each detail; there are few, so the event stays far below 512 KB.
const MAX_DETAIL: usize = 8_000;
const MAX_DETAILS: usize = 30;

/// Returns the event.
pub(crate) fn body(notification: &Notification, routing_key: &str) -> Value {
    let shorten = |text: &str, limit| text::clamp(text, limit, Unit::Characters, text::visible);
    let dedup_key = shorten(&notification.thread, MAX_DEDUP_KEY);
    if notification.event == Event::Resolved {
        return json!({ "routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key });
    }
    let facts = notification.facts.iter().map(|fact| (fact.label, &fact.value));
    let sections = notification.sections.iter().map(|section| (section.heading, &section.text));
    let details: Map<String, Value> = facts
        .chain(sections)
        .take(MAX_DETAILS)
        .map(|(label, text)| (label.to_owned(), shorten(text, MAX_DETAIL).into()))
        .collect();
    let source = if notification.asset.trim().is_empty() { "wheeltapper" } else { &notification.asset };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "Wheeltapper",
        "payload": {
            "summary": text::clamp(&notification.subject, MAX_SUMMARY, Unit::Characters, text::spaced),
            "source": text::clamp(source, MAX_SOURCE, Unit::Characters, text::spaced),
            "severity": severity(notification.severity),
            "timestamp": rfc3339(notification.time),
            "group": text::clamp(notification.asset.split('/').next().unwrap_or_default(), MAX_SOURCE, Unit::Characters, text::spaced),
            "custom_details": details,
        },
    });
    if let Some(fault) = &notification.fault_mode {
        event["payload"]["class"] = shorten(fault, MAX_SOURCE).into();
    }
    if let Some(link) = &notification.link {
        event["client_url"] = link.as_str().into();
        event["links"] = json!([{ "href": link, "text": "Open in Wheeltapper" }]);
    }
    event
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "info",
    }
}

/// Sends a notification once. `url` is the address of the API with its path.
pub(crate) fn send(
    client: &HttpClient,
    url: &CheckedUrl,
    routing_key: &Secret,
    notification: &Notification,
) -> Outcome {
    let body = body(notification, routing_key.reveal()).to_string();
    let answer = client.post(&Post {
        url,
        content_type: "application/json",
        headers: Vec::new(),
        key: &notification.key,
        body: body.as_bytes(),
    });
    match answer {
        Ok(answer) if answer.is_success_of_api() => {
            Outcome::Accepted { note: "PagerDuty has accepted the event: see the activity of the service".into() }
        }
        Ok(answer) => answer.failure("check the integration key: 32 characters, of an Events API v2 integration"),
        Err(outcome) => outcome,
    }
}
