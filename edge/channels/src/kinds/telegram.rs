//! Telegram: `sendMessage` of the Bot API.
//!
//! A message has at most 4,096 characters after its HTML is parsed, counted in UTF-16 units. The text is clamped with its
//! escape sequences, which is never longer.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use crate::{
    Attempt, Notification, Outcome, Severity,
    http::{self, Answer, CheckedUrl, HttpClient, Post},
    notification::Event,
    text::{self, Unit},
};

const MAX_MESSAGE: usize = 4096;
const MAX_SUBJECT: usize = 300;
const MAX_FACT: usize = 250;
const MAX_FACTS: usize = 8;
const MAX_LINK: usize = 1000;

/// Returns the text of a message in Telegram's HTML.
pub(crate) fn text(notification: &Notification) -> String {
    let escape = |text: &str, limit| text::clamp(text, limit, Unit::Utf16, text::html);
    let mut text = format!("<b>{}</b>\n", escape(&notification.subject, MAX_SUBJECT));
    for fact in notification.facts.iter().take(MAX_FACTS) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}: {}", fact.label, escape(&fact.value, MAX_FACT));
    }
    let link = notification.link.as_deref().filter(|link| Unit::Utf16.length(link) <= MAX_LINK);
    let link = link
        .map_or_else(String::new, |link| format!("\n<a href=\"{}\">Open in Wheeltapper</a>", escape(link, usize::MAX)));
    let mut room = MAX_MESSAGE.saturating_sub(Unit::Utf16.length(&text) + Unit::Utf16.length(&link));
    let count = notification.sections.len();
    for (number, section) in notification.sections.iter().enumerate() {
        let frame = format!("\n<b>{}</b>\n", section.heading);
        // An equal share of the room that is left.
        let share = room / (count - number);
        let Some(limit) = share.checked_sub(Unit::Utf16.length(&frame) + 1).filter(|limit| *limit > 0) else { break };
        let body = escape(&section.text, limit);
        room -= Unit::Utf16.length(&frame) + Unit::Utf16.length(&body) + 1;
        text.push_str(&frame);
        text.push_str(&body);
        text.push('\n');
    }
    text + &link
}

/// Sends a notification once to each chat that is not in `finished`. `url` is that of `sendMessage`; it contains the
/// token.
pub(crate) fn send(
    client: &HttpClient,
    url: &CheckedUrl,
    chats: &[String],
    finished: &BTreeSet<String>,
    notification: &Notification,
) -> Attempt {
    let text = text(notification);
    Attempt::to_each(chats, finished, client.attempt_limit(), |chat| send_to(client, url, chat, &text, notification))
}

fn send_to(client: &HttpClient, url: &CheckedUrl, chat: &str, text: &str, notification: &Notification) -> Outcome {
    let body = json!({
        "chat_id": chat,
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": { "is_disabled": true },
        "disable_notification": notification.severity == Severity::Low || notification.event == Event::Resolved,
    })
    .to_string();
    let answer = client.post(&Post {
        url,
        content_type: "application/json",
        headers: Vec::new(),
        key: &format!("{}-{chat}", notification.key),
        body: body.as_bytes(),
    });
    match answer {
        Ok(answer) => outcome(answer),
        Err(outcome) => outcome,
    }
}

fn outcome(answer: Answer) -> Outcome {
    let parsed: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    if answer.is_success() && parsed["ok"] == true {
        return Outcome::Delivered;
    }
    if answer.is_success() {
        return Outcome::failed("the answer is not that of Telegram; check `url`, and that no proxy is in between");
    }
    let retry_after = parsed["parameters"]["retry_after"].as_u64().map(http::pause);
    let said = parsed["description"].as_str().unwrap_or_default();
    let said = if said.is_empty() { String::new() } else { format!(": {}", text::one_line(said)) };
    let why = match answer.status {
        401 | 404 => format!("Telegram does not know the token{said}; ask @BotFather for it and set it"),
        403 => format!("the bot may not write to this chat{said}; start the bot there, or add it to the group"),
        400 if said.contains("chat not found") => {
            format!("Telegram does not know this chat{said}; write its numeric id, and send the bot a message first")
        }
        _ => return with_pause(answer, retry_after),
    };
    Outcome::rejected(why)
}

fn with_pause(answer: Answer, pause: Option<Duration>) -> Outcome {
    match answer.failure("check `chats` and `url`") {
        Outcome::Failed { why, retry_after } => Outcome::Failed { why, retry_after: pause.or(retry_after) },
        other => other,
    }
}
