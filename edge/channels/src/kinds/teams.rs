//! Microsoft Teams: a workflow that posts adaptive cards ("When a Teams webhook request is received").
//!
//! The card has version 1.4, the newest that workflows accept. A request is limited to 28 KB. Texts of alerts are
//! `TextRun`s, in which Markdown has no meaning. Workflows answer 202 before the card is posted, so an answer means
//! accepted, not shown.

use serde_json::{Value, json};

use crate::{
    Notification, Outcome, Severity,
    http::{CheckedUrl, HttpClient, Post},
    notification::Event,
    text::{self, Unit},
};

/// Maximum size of a request in bytes, with room for what Teams adds.
const MAX_BODY: usize = 27_000;
/// Limits of texts, in UTF-16 units; they are halved until the body is small enough.
const MAX_SUBJECT: usize = 500;
const MAX_FACT: usize = 1_000;
const MAX_TEXT: usize = 6_000;
const MAX_FACTS: usize = 20;
const MAX_SECTIONS: usize = 20;

/// Returns the body of the request: the card, or with `envelope` a message that contains the card.
pub(crate) fn body(notification: &Notification, envelope: bool) -> Value {
    let mut share = 1;
    loop {
        let card = card(notification, share);
        let body = if envelope {
            json!({
                "type": "message",
                "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "contentUrl": null,
                    "content": card,
                }],
            })
        } else {
            card
        };
        if body.to_string().len() <= MAX_BODY || share >= 64 {
            return body;
        }
        share *= 2;
    }
}

fn card(notification: &Notification, share: usize) -> Value {
    let shorten = |text: &str, limit: usize| text::clamp(text, limit / share, Unit::Utf16, text::visible);
    // Markdown is not interpreted in the text runs of a RichTextBlock.
    let runs = |runs: Vec<Value>| json!({ "type": "RichTextBlock", "inlines": runs });
    let run = |text: String| json!({ "type": "TextRun", "text": text });
    let label = |text: &str| json!({ "type": "TextRun", "text": format!("{text}: "), "weight": "bolder" });
    let mut body = vec![runs(vec![json!({
        "type": "TextRun",
        "text": shorten(&notification.subject, MAX_SUBJECT),
        "size": "large",
        "weight": "bolder",
        "color": color(notification),
    })])];
    for fact in notification.facts.iter().take(MAX_FACTS) {
        body.push(runs(vec![label(fact.label), run(shorten(&fact.value, MAX_FACT))]));
    }
    for section in notification.sections.iter().take(MAX_SECTIONS) {
        let mut block = runs(vec![label(section.heading), run(shorten(&section.text, MAX_TEXT))]);
        block["separator"] = true.into();
        body.push(block);
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": shorten(&notification.subject, MAX_SUBJECT),
        "msteams": { "width": "Full" },
        "body": body,
    });
    if let Some(link) = notification.link.as_ref().filter(|link| link.len() <= 2_000) {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open in Wheeltapper", "url": link }]);
    }
    card
}

fn color(notification: &Notification) -> &'static str {
    match (notification.event, notification.severity) {
        (Event::Resolved, _) => "good",
        (Event::Test, _) => "accent",
        (_, Severity::Critical | Severity::High) => "attention",
        (_, Severity::Medium) => "warning",
        (_, Severity::Low) => "default",
    }
}

/// Sends a notification once.
pub(crate) fn send(client: &HttpClient, url: &CheckedUrl, envelope: bool, notification: &Notification) -> Outcome {
    let body = body(notification, envelope).to_string();
    let answer = client.post(&Post {
        url,
        content_type: "application/json",
        headers: Vec::new(),
        key: &notification.key,
        body: body.as_bytes(),
    });
    match answer {
        Ok(answer) if answer.is_success_of_api() => Outcome::Accepted {
            note: "the workflow has accepted the card, but may still fail to post it: see the run history of the workflow in Teams"
                .into(),
        },
        Ok(answer) => answer.failure(
            "check that the workflow is turned on, that its URL is complete, and `envelope`: the templates of Teams expect true",
        ),
        Err(outcome) => outcome,
    }
}
