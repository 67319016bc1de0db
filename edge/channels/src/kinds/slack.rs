//! Slack: an incoming webhook with Block Kit.
//!
//! Limits: 3,000 characters in a section, 150 in a header, 2,000 in a field, 10 fields in a section, 50 blocks in a
//! message (Slack, "Reference: blocks"). Texts of alerts are `plain_text` objects, in which `*` and `_` have no meaning;
//! `&`, `<` and `>` are escaped in every text ("Formatting text for app surfaces").

use serde_json::{Value, json};

use crate::{
    Notification, Outcome,
    http::{CheckedUrl, HttpClient, Post},
    text::{self, Unit},
};

const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3000;
const MAX_FIELD: usize = 2000;
const MAX_FIELDS: usize = 10;
const MAX_BLOCKS: usize = 50;
/// The fallback text, which notifications of phones show.
const MAX_TEXT: usize = 3000;

/// Returns the body of the request.
pub(crate) fn body(notification: &Notification) -> Value {
    let plain = |text: &str, limit| json!({ "type": "plain_text", "text": text::clamp(text, limit, Unit::Utf16, text::slack), "emoji": false });
    let mut blocks = vec![json!({ "type": "header", "text": plain(&notification.subject, MAX_HEADER) })];
    let fields: Vec<Value> = notification
        .facts
        .iter()
        .take(MAX_FIELDS)
        .map(|fact| plain(&format!("{}: {}", fact.label, fact.value), MAX_FIELD))
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    // Two blocks remain for the link and for what was left out.
    for section in notification.sections.iter().take(MAX_BLOCKS - blocks.len() - 1) {
        let text = format!("{}: {}", section.heading, section.text);
        blocks.push(json!({ "type": "section", "text": plain(&text, MAX_SECTION) }));
    }
    if let Some(link) = notification.link.as_deref().map(mrkdwn_link).filter(|link| link.len() <= MAX_SECTION) {
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": link } }));
    }
    json!({
        "text": text::clamp(&notification.subject, MAX_TEXT, Unit::Utf16, text::slack),
        // Without markup.
        "mrkdwn": false,
        "blocks": blocks,
    })
}

/// A link; `|` and the control characters of Slack cannot be part of its URL.
fn mrkdwn_link(url: &str) -> String {
    let url = url.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C");
    format!("<{url}|Open in Wheeltapper>")
}

/// Sends a notification once.
pub(crate) fn send(client: &HttpClient, url: &CheckedUrl, notification: &Notification) -> Outcome {
    let body = body(notification).to_string();
    let answer = client.post(&Post {
        url,
        content_type: "application/json; charset=utf-8",
        headers: Vec::new(),
        key: &notification.key,
        body: body.as_bytes(),
    });
    match answer {
        Ok(answer) if answer.is_success_of_api() => Outcome::Delivered,
        Ok(answer) => answer.failure(match answer.body.trim() {
            "invalid_token" | "no_service" | "no_active_hooks" | "no_team" => {
                "the webhook was removed in Slack; create a new one and set its URL"
            }
            "channel_is_archived" | "channel_not_found" => {
                "the channel of the webhook does not exist any more in Slack"
            }
            "action_prohibited" | "posting_to_general_channel_denied" => "an administrator of Slack does not allow it",
            _ => "check the URL of the incoming webhook",
        }),
        Err(outcome) => outcome,
    }
}
