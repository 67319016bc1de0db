//! Text messages and calls: the REST API of Twilio and of compatible providers.
//!
//! Limits: 1,600 characters in the body of a message (error 21617), 4,000 in the TwiML of a call (error 32018).

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    Attempt, Notification, Outcome,
    http::{Answer, CheckedUrl, HttpClient, Post},
    secret::Secret,
    text::{self, Unit},
};

const MAX_BODY: usize = 1600;
const MAX_TWIML: usize = 4000;
const MAX_SUBJECT: usize = 160;
const MAX_ASSET: usize = 120;
/// A text message is short, as it is paid by the part of 153 characters; the link leads to the rest.
const MAX_REASON: usize = 300;
const MAX_SPOKEN: usize = 900;

/// An account and its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) sid: String,
    pub(crate) token: Secret,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// A text message.
    Sms,
    /// A call that reads the text aloud.
    Voice,
}

/// Returns the text of a message.
pub(crate) fn sms(notification: &Notification) -> String {
    let shorten = |text: &str, limit| text::clamp(text, limit, Unit::Utf16, text::visible);
    let mut lines = vec![shorten(&notification.subject, MAX_SUBJECT), shorten(&notification.asset, MAX_ASSET)];
    lines.extend(notification.sections.first().map(|section| shorten(&section.text, MAX_REASON)));
    lines.extend(notification.link.clone().filter(|link| link.len() <= 600));
    lines.retain(|line| !line.trim().is_empty());
    text::clamp_plain(&lines.join("\n"), MAX_BODY, Unit::Utf16)
}

/// Returns the TwiML of a call, which reads the alert twice.
pub(crate) fn twiml(notification: &Notification) -> String {
    let speak = |text: &str, limit| text::clamp(&text::one_line(text), limit, Unit::Utf16, text::html);
    let asset = notification.asset.replace('/', ", ");
    let reason = notification.sections.first().map_or("", |section| section.text.as_str());
    let spoken =
        format!("{}. {}. {}", speak(&notification.subject, 300), speak(&asset, 200), speak(reason, MAX_SPOKEN));
    let twiml = format!(
        "<Response><Say>Wheeltapper. {spoken}</Say><Pause length=\"1\"/><Say>I repeat. {spoken}</Say></Response>"
    );
    debug_assert!(twiml.len() <= MAX_TWIML || !twiml.is_ascii(), "{}", twiml.len());
    twiml
}

/// Returns the form of a request.
pub(crate) fn form(
    medium: Medium,
    account: &Account,
    to: &str,
    notification: &Notification,
) -> Vec<(&'static str, String)> {
    let mut form = vec![("To", to.to_owned())];
    match medium {
        // The SID of a messaging service begins with MG.
        Medium::Sms if account.from.starts_with("MG") => form.push(("MessagingServiceSid", account.from.clone())),
        _ => form.push(("From", account.from.clone())),
    }
    form.push(match medium {
        Medium::Sms => ("Body", sms(notification)),
        Medium::Voice => ("Twiml", twiml(notification)),
    });
    form
}

/// Sends a notification once to each phone that is not in `finished`. `url` is that of the resource.
pub(crate) fn send(
    client: &HttpClient,
    url: &CheckedUrl,
    medium: Medium,
    account: &Account,
    finished: &BTreeSet<String>,
    notification: &Notification,
) -> Attempt {
    Attempt::to_each(&account.to, finished, client.attempt_limit(), |to| {
        let form = form(medium, account, to, notification);
        let body = url_encoded(&form);
        let credentials = STANDARD.encode(format!("{}:{}", account.sid, account.token.reveal()));
        let answer = client.post(&Post {
            url,
            content_type: "application/x-www-form-urlencoded",
            headers: vec![("Authorization", format!("Basic {credentials}"))],
            key: &format!("{}-{to}", notification.key),
            body: body.as_bytes(),
        });
        answer.map_or_else(|outcome| outcome, outcome)
    })
}

fn url_encoded(form: &[(&str, String)]) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

fn outcome(answer: Answer) -> Outcome {
    if answer.is_success_of_api() {
        return Outcome::Accepted { note: "the provider has accepted it: see its log for the delivery".into() };
    }
    let parsed: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    answer.failure(match (answer.status, parsed["code"].as_u64()) {
        (401, _) | (_, Some(20003)) => "check `account` and the auth token",
        (_, Some(21211 | 21214 | 21614 | 13224)) => "the number is not one that can be reached; write it as +31612345678",
        (_, Some(21608 | 21610 | 21612 | 21408)) => {
            "the provider does not send to this number; check its permissions, and whether the recipient has stopped them"
        }
        (_, Some(21606 | 21660 | 21659)) => "`from` is not a number of this account",
        (404, _) => "check `account` and `url`",
        _ => "check the settings of the channel",
    })
}
