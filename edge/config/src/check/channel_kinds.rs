//! Validation of the kinds of channels: `[alerts.channel.email]` and so on.

use std::{collections::BTreeSet, path::Path};

use super::{Checker, address, network};
use crate::{AlertChannel, EmailChannel, EmailSecurity, MqttChannel, TwilioChannel, WebhookChannel};

pub(super) fn check_kind(checker: &mut Checker<'_>, at: &str, channel: &AlertChannel) {
    if let Some(email) = &channel.email {
        check_email(checker, &format!("{at}.email"), email);
    }
    if let Some(slack) = &channel.slack {
        require_secret(checker, &format!("{at}.slack"), "url", slack.url_env.as_deref(), slack.url_file.as_deref());
    }
    if let Some(teams) = &channel.teams {
        require_secret(checker, &format!("{at}.teams"), "url", teams.url_env.as_deref(), teams.url_file.as_deref());
    }
    if let Some(pagerduty) = &channel.pagerduty {
        let at = format!("{at}.pagerduty");
        let (variable, file) = (pagerduty.routing_key_env.as_deref(), pagerduty.routing_key_file.as_deref());
        require_secret(checker, &at, "routing_key", variable, file);
        check_web_url(checker, &at, &pagerduty.url);
    }
    if let Some(telegram) = &channel.telegram {
        let at = format!("{at}.telegram");
        require_secret(checker, &at, "token", telegram.token_env.as_deref(), telegram.token_file.as_deref());
        check_web_url(checker, &at, &telegram.url);
        check_recipients(
            checker,
            &format!("{at}.chats"),
            &telegram.chats,
            is_chat,
            "write \"-1001234567890\" or \"@name\"",
        );
    }
    if let Some(ntfy) = &channel.ntfy {
        let at = format!("{at}.ntfy");
        check_web_url(checker, &at, &ntfy.url);
        network::check_secret(checker, &at, "token", (ntfy.token_env.as_deref(), ntfy.token_file.as_deref()));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if ntfy.topic.is_empty() || ntfy.topic.len() > 64 || !ntfy.topic.chars().all(is_plain) {
            let message = format!("{:?} is not a topic of ntfy", ntfy.topic);
            checker.report(&format!("{at}.topic"), message, "use 1 to 64 letters, digits, dashes and underscores");
        }
    }
    if let Some(sms) = &channel.sms {
        check_twilio(checker, &format!("{at}.sms"), sms);
    }
    if let Some(voice) = &channel.voice {
        check_twilio(checker, &format!("{at}.voice"), voice);
    }
    if let Some(webhook) = &channel.webhook {
        check_webhook(checker, &format!("{at}.webhook"), webhook);
    }
    if let Some(syslog) = &channel.syslog
        && let Err(why) = address::check_url(&syslog.url, &["udp", "tcp", "tls"])
    {
        let help = "write \"udp://host:514\", \"tcp://host:601\" or \"tls://host:6514\"";
        checker.report(&format!("{at}.syslog.url"), format!("{:?} {why}", syslog.url), help);
    }
    if let Some(mqtt) = &channel.mqtt {
        check_mqtt(checker, &format!("{at}.mqtt"), mqtt);
    }
}

fn check_email(checker: &mut Checker<'_>, at: &str, email: &EmailChannel) {
    if email.server.is_empty() || email.server.contains(['/', ' ', '@']) || email.server.matches(':').count() == 1 {
        let message = format!("{:?} is not the name of a mail server", email.server);
        checker.report(&format!("{at}.server"), message, "write just its name, such as \"smtp.example.com\"");
    }
    if email.port == Some(0) {
        checker.report(&format!("{at}.port"), "the port must be from 1 to 65535", "leave it out for the usual port");
    }
    let help = "write \"name@example.com\" or \"Name <name@example.com>\"";
    if !is_email(&email.from) {
        checker.report(&format!("{at}.from"), format!("{:?} is not an e-mail address", email.from), help);
    }
    check_recipients(checker, &format!("{at}.to"), &email.to, is_email, help);
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if email.hello.as_deref().is_some_and(|name| !is_name(name)) {
        let message = "this is not a name that a mail server accepts";
        checker.report(
            &format!("{at}.hello"),
            message,
            "write the host name of this machine, such as \"edge.example.com\"",
        );
    }
    let password = (email.password_env.as_deref(), email.password_file.as_deref());
    match (&email.user, password) {
        (Some(_), (None, None)) => {
            let help = "write password_env = \"VARIABLE\" or password_file = \"FILE\"";
            checker.report(&format!("{at}.user"), "the user has no password", help);
        }
        (Some(_), _) if email.security == EmailSecurity::None => {
            let message = "the password would be sent without encryption";
            checker.report(&format!("{at}.security"), message, "write \"starttls\" or \"tls\", or remove the user");
        }
        (None, (Some(_), _) | (_, Some(_))) => {
            let key = if password.0.is_some() { "password_env" } else { "password_file" };
            checker.report(&format!("{at}.{key}"), "a password without a user is not used", "add user = \"NAME\"");
        }
        _ => {}
    }
    network::check_secret(checker, at, "password", password);
}

/// `name@domain` or `Name <name@domain>`.
fn is_email(text: &str) -> bool {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let is_part = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;@".contains(c))
    };
    !text.contains(char::is_control)
        && address.split_once('@').is_some_and(|(name, domain)| is_part(name) && is_part(domain))
}

/// A numeric id or `@name`.
fn is_chat(text: &str) -> bool {
    let is_name = |name: &str| name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    text.parse::<i64>().is_ok() || text.strip_prefix('@').is_some_and(is_name)
}

/// A phone number in the form of E.164.
fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_recipients(checker: &mut Checker<'_>, at: &str, list: &[String], is_valid: fn(&str) -> bool, help: &str) {
    if list.is_empty() || list.len() > 100 {
        checker.report(at, format!("there must be 1 to 100 recipients, but there are {}", list.len()), help);
    }
    let mut seen = BTreeSet::new();
    for (number, recipient) in list.iter().enumerate() {
        if !is_valid(recipient) {
            checker.report(&format!("{at}.{number}"), format!("{recipient:?} is not a recipient"), help);
        } else if !seen.insert(recipient) {
            checker.report(&format!("{at}.{number}"), format!("{recipient:?} occurs twice"), "remove one of them");
        }
    }
}

fn check_twilio(checker: &mut Checker<'_>, at: &str, twilio: &TwilioChannel) {
    require_secret(checker, at, "token", twilio.token_env.as_deref(), twilio.token_file.as_deref());
    check_web_url(checker, at, &twilio.url);
    if twilio.account.is_empty() || !twilio.account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let help = "write the account SID, which begins with AC";
        checker.report(&format!("{at}.account"), format!("{:?} is not an account SID", twilio.account), help);
    }
    let is_service = twilio.from.starts_with("MG") && !at.ends_with("voice");
    if !is_service && !is_phone(&twilio.from) {
        let message = format!("{:?} is not a phone number", twilio.from);
        checker.report(&format!("{at}.from"), message, "write it as \"+31201234567\"");
    }
    check_recipients(checker, &format!("{at}.to"), &twilio.to, is_phone, "write it as \"+31612345678\"");
}

fn check_webhook(checker: &mut Checker<'_>, at: &str, webhook: &WebhookChannel) {
    let given = [webhook.url.is_some(), webhook.url_env.is_some(), webhook.url_file.is_some()];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => checker.report(at, "the webhook has no URL", "write url, or url_env or url_file if it contains a secret"),
        _ => {
            let key = if webhook.url_file.is_some() { "url_file" } else { "url_env" };
            checker.report(&format!("{at}.{key}"), "the URL is given twice", "remove one of them");
        }
    }
    if let Some(url) = &webhook.url {
        check_web_url(checker, at, url);
    }
    network::check_secret(checker, at, "secret", (webhook.secret_env.as_deref(), webhook.secret_file.as_deref()));
    let is_header = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if !webhook.content_type.contains('/') || !webhook.content_type.bytes().all(is_header) {
        let message = format!("{:?} is not a media type", webhook.content_type);
        checker.report(&format!("{at}.content_type"), message, "leave it out for \"application/json\"");
    }
}

fn check_mqtt(checker: &mut Checker<'_>, at: &str, mqtt: &MqttChannel) {
    if let Err(why) = address::check_url(&mqtt.url, &["mqtt", "tcp", "mqtts", "ssl"]) {
        let help = match why {
            "has a user name in it" => "write user = \"NAME\" and password_env = \"VARIABLE\" below it instead",
            _ => "write \"mqtt://host:1883\", or \"mqtts://host:8883\" with TLS",
        };
        checker.report(&format!("{at}.url"), format!("{:?} {why}", network::redact_credentials(&mqtt.url)), help);
    }
    let template =
        ["{asset}", "{severity}", "{event}"].iter().fold(mqtt.topic.clone(), |text, name| text.replace(name, ""));
    if mqtt.topic.is_empty() || template.contains(['+', '#', '{', '}', '\0']) {
        let help = "write a topic without + and #, such as \"plant/alerts/{asset}\"; known names: {asset}, {severity}, {event}";
        checker.report(&format!("{at}.topic"), format!("{:?} is not the name of a topic", mqtt.topic), help);
    }
    network::check_secret(checker, at, "password", (mqtt.password_env.as_deref(), mqtt.password_file.as_deref()));
}

fn require_secret(checker: &mut Checker<'_>, at: &str, what: &str, variable: Option<&str>, file: Option<&Path>) {
    if variable.is_none() && file.is_none() {
        let help = format!(
            "write {what}_env = \"VARIABLE\" (an environment variable that holds it) or {what}_file = \"FILE\""
        );
        checker.report(at, format!("{what} is missing"), &help);
    }
    network::check_secret(checker, at, what, (variable, file));
}

fn check_web_url(checker: &mut Checker<'_>, at: &str, url: &str) {
    if let Err(why) = address::check_url(url, &["http", "https"]) {
        let help = match why {
            "has a user name in it" => "remove it: the host would not send it",
            _ => "write it as https://host/path",
        };
        checker.report(&format!("{at}.url"), format!("the URL {why}"), help);
    }
}
