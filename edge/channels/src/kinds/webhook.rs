//! A web server: JSON or a template by POST, signed with HMAC-SHA256.
//!
//! Without a template the body is `{event, route, text, alert}` as in routes with `webhook`, and more. A signature
//! follows the Standard Webhooks specification: `webhook-id`, `webhook-timestamp` (seconds since 1970) and
//! `webhook-signature`, which is `v1,` and the base64 of the HMAC-SHA256 of `{id}.{timestamp}.{body}`. A secret that
//! begins with `whsec_` is base64, any other is used as it is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Value, json};
use sha2::Sha256;
use wheeltapper_config::WebhookSignature;

use crate::{
    ChannelError, Notification, Outcome,
    clock::SECOND,
    http::{CheckedUrl, HttpClient, Post},
    secret::Secret,
};

/// Steps that a template may take; a normal one takes some hundreds.
const MAX_STEPS: u64 = 100_000;
/// Maximum size of a body, in bytes.
const MAX_BODY: usize = 256 << 10;
const TEMPLATE: &str = "body";

/// What is posted where.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) url: CheckedUrl,
    pub(crate) secret: Option<Secret>,
    pub(crate) signature: WebhookSignature,
    pub(crate) content_type: String,
    pub(crate) template: Option<Environment<'static>>,
}

/// Parses a template. Values are escaped as JSON if `content_type` is JSON, as HTML if it is HTML or XML.
///
/// # Errors
/// With the line of the template, if it is not valid or fails with an example.
pub(crate) fn template(text: String, content_type: &str) -> Result<Environment<'static>, ChannelError> {
    let wrong = |error: minijinja::Error| {
        let line = error.line().map_or_else(String::new, |line| format!(" in line {line}"));
        let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        ChannelError::new(
            format!("template_file: the template is not valid{line}: {what}"),
            "its variables are those of the default body, such as {{ text }} and {{ alert.asset }}",
        )
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MAX_STEPS));
    let escape = match content_type.split(';').next().unwrap_or_default().trim() {
        kind if kind.ends_with("json") => AutoEscape::Json,
        kind if kind.ends_with("html") || kind.ends_with("xml") => AutoEscape::Html,
        _ => AutoEscape::None,
    };
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.add_template_owned(TEMPLATE, text).map_err(wrong)?;
    Ok(environment)
}

/// Returns the fields of the default body, which are also the variables of a template.
pub(crate) fn fields(notification: &Notification) -> Value {
    json!({
        "event": notification.event,
        "route": notification.route,
        "text": format!("{}. {}", notification.subject, notification.body().replace('\n', " ")),
        "alert": notification.alert,
        "key": notification.key,
        "severity": notification.severity,
        "asset": notification.asset,
        "subject": notification.subject,
        "facts": notification.facts,
        "sections": notification.sections,
        "link": notification.link,
        "time": crate::clock::rfc3339(notification.time),
    })
}

impl Webhook {
    /// Returns the body of the request.
    ///
    /// # Errors
    /// If the template fails or its result is too large.
    pub(crate) fn body(&self, notification: &Notification) -> Result<String, String> {
        let fields = fields(notification);
        let body = match &self.template {
            None => fields.to_string(),
            Some(environment) => environment
                .get_template(TEMPLATE)
                .and_then(|template| template.render(minijinja::value::Serde(&fields)))
                .map_err(|error| format!("the template fails: {error}; correct template_file"))?,
        };
        if body.len() > MAX_BODY {
            return Err(format!(
                "the body has {} bytes, but at most {MAX_BODY} are sent; shorten template_file",
                body.len()
            ));
        }
        Ok(body)
    }

    /// Returns the headers that sign a body. `now` is in nanoseconds since 1970.
    fn signature(&self, key: &str, body: &str, now: i64) -> Vec<(&'static str, String)> {
        let Some(secret) = &self.secret else { return Vec::new() };
        match self.signature {
            WebhookSignature::StandardWebhooks => {
                let timestamp = now / SECOND;
                let tag =
                    hmac(secret, &[key.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body.as_bytes()]);
                vec![
                    ("webhook-id", key.to_owned()),
                    ("webhook-timestamp", timestamp.to_string()),
                    ("webhook-signature", format!("v1,{}", STANDARD.encode(tag))),
                ]
            }
            WebhookSignature::Body => {
                vec![("X-Hub-Signature-256", format!("sha256={}", hex::encode(hmac(secret, &[body.as_bytes()]))))]
            }
        }
    }

    /// Sends a notification once. `now` is in nanoseconds since 1970.
    pub(crate) fn send(&self, client: &HttpClient, notification: &Notification, now: i64) -> Outcome {
        let body = match self.body(notification) {
            Ok(body) => body,
            Err(why) => return Outcome::rejected(why),
        };
        let answer = client.post(&Post {
            url: &self.url,
            content_type: &self.content_type,
            headers: self.signature(&notification.key, &body, now),
            key: &notification.key,
            body: body.as_bytes(),
        });
        match answer {
            Ok(answer) if answer.is_success() => Outcome::Delivered,
            Ok(answer) => answer.failure(match answer.status {
                401 | 403 => "check the secret with which requests are signed",
                _ => "check the URL of the channel",
            }),
            Err(outcome) => outcome,
        }
    }
}

fn hmac(secret: &Secret, parts: &[&[u8]]) -> Vec<u8> {
    let text = secret.reveal();
    let decoded = text.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
    let key = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}
