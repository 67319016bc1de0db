//! The text and HTML parts of an e-mail.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use lettre::{
    Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use minijinja::{AutoEscape, Environment};
use serde_json::json;

use super::Email;
use crate::{
    ChannelError, Notification, Severity,
    notification::Event,
    text::{self, Unit},
};

const TEMPLATE: &str = include_str!("../../../templates/email.html");
/// Maximum length of a subject; longer ones are cut by mail programs.
const MAX_SUBJECT: usize = 200;
const MAX_FACT: usize = 2_000;
/// Maximum length of a section; Gmail hides what exceeds 102 KB of a message.
const MAX_SECTION: usize = 20_000;
const MAX_SECTIONS: usize = 4;
/// Width of a line of the text part.
const TEXT_WIDTH: usize = 78;

/// Returns the text part.
pub(crate) fn text(notification: &Notification) -> String {
    let shorten = |text: &str, limit| text::clamp(text, limit, Unit::Characters, text::visible);
    let mut out = format!("{}\n\n", shorten(&notification.subject, MAX_SUBJECT));
    // Writing to a String cannot fail.
    for fact in &notification.facts {
        let _ = writeln!(out, "{:<14}{}", format!("{}:", fact.label), shorten(&fact.value, MAX_FACT));
    }
    for section in notification.sections.iter().take(MAX_SECTIONS) {
        let _ = write!(out, "\n{}\n{}\n", section.heading, wrapped(&shorten(&section.text, MAX_SECTION)));
    }
    if let Some(link) = &notification.link {
        let _ = write!(out, "\nOpen in Wheeltapper: {link}\n");
    }
    let _ = write!(out, "\n-- \nSent by Wheeltapper, route {}.\n", shorten(&notification.route, 100));
    out
}

/// Breaks long lines at spaces.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut width = 0;
        for word in line.split(' ') {
            let length = word.chars().count();
            if width > 0 && width + 1 + length > TEXT_WIDTH {
                out.push('\n');
                width = 0;
            } else if width > 0 {
                out.push(' ');
                width += 1;
            }
            out.push_str(word);
            width += length;
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// Returns the HTML part.
///
/// # Errors
/// If the template fails, which no notification causes.
pub(crate) fn html(notification: &Notification) -> Result<String, ChannelError> {
    let shorten = |text: &str, limit| text::clamp(text, limit, Unit::Characters, text::visible);
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let (color, label) = appearance(notification);
    let facts: Vec<_> = notification
        .facts
        .iter()
        .map(|fact| json!({ "label": fact.label, "value": shorten(&fact.value, MAX_FACT) }))
        .collect();
    let sections: Vec<_> = notification
        .sections
        .iter()
        .take(MAX_SECTIONS)
        .map(|section| json!({ "heading": section.heading, "text": shorten(&section.text, MAX_SECTION) }))
        .collect();
    let values = json!({
        "subject": shorten(&notification.subject, MAX_SUBJECT),
        "color": color,
        "label": label,
        "facts": facts,
        "sections": sections,
        "link": notification.link,
        "route": shorten(&notification.route, 100),
        "preview": shorten(&notification.body().replace('\n', " "), 150),
    });
    environment
        .render_str(TEMPLATE, minijinja::value::Serde(&values))
        .map_err(|error| ChannelError::new(format!("the template of e-mail fails: {error}"), "report this as a defect"))
}

/// The colour of the bar and the word in it. White on each colour has a contrast of at least 4.5 to 1.
fn appearance(notification: &Notification) -> (&'static str, &'static str) {
    match (notification.event, notification.severity) {
        (Event::Resolved, _) => ("#1a7f37", "Resolved"),
        (Event::Test, _) => ("#0b5cad", "Test"),
        (_, Severity::Critical) => ("#b3261e", "Critical"),
        (_, Severity::High) => ("#b54708", "High"),
        (_, Severity::Medium) => ("#8a6100", "Medium"),
        (_, Severity::Low) => ("#4a5568", "Low"),
    }
}

/// Returns a message to all recipients of the channel. `now` is in nanoseconds since 1970.
///
/// # Errors
/// If a header cannot be written, which the checked settings exclude.
pub(crate) fn compose(email: &Email, notification: &Notification, now: i64) -> Result<Message, ChannelError> {
    let domain = email.from.email.domain();
    let id = |text: &str| {
        let plain: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(150).collect();
        format!("<{plain}@{domain}>")
    };
    // Messages of one alert refer to the same message, so that mail programs show them as one conversation.
    let thread = id(&format!("alert-{}", notification.thread));
    let subject = text::clamp(&notification.subject, MAX_SUBJECT, Unit::Characters, text::spaced);
    let mut builder = Message::builder()
        .from(email.from.clone())
        .subject(subject)
        .date(SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(now).unwrap_or_default()))
        .message_id(Some(id(&notification.key)))
        .references(thread.clone())
        .in_reply_to(thread);
    for to in &email.to {
        builder = builder.to(Mailbox::clone(to));
    }
    // Automatic answers are not sent to it (RFC 3834).
    builder = builder.raw_header(header("Auto-Submitted", "auto-generated"));
    if notification.severity == Severity::Critical && notification.event != Event::Resolved {
        builder = builder.raw_header(header("Importance", "high")).raw_header(header("X-Priority", "1"));
    }
    // The boundary is derived from the key, so that each attempt sends the same bytes.
    let boundary: String = id(&notification.key).chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    let parts = MultiPart::alternative()
        .boundary(format!("part-{boundary}"))
        .singlepart(SinglePart::plain(text(notification)))
        .singlepart(SinglePart::html(html(notification)?));
    builder
        .multipart(parts)
        .map_err(|error| ChannelError::new(format!("the e-mail cannot be written: {error}"), "check `from` and `to`"))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
