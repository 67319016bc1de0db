//! Validation of topic filters, subscriptions, NATS subjects, and the templates and formats of `[[mqtt.topic]]`. The
//! rules for filters are those of `wheeltapper-mqtt`.

use super::Checker;
use crate::{Config, PAYLOAD_FORMATS, messages::most_similar};

/// Maximum length of a topic in MQTT, in bytes.
const MAX_TOPIC_BYTES: usize = 65_535;
/// Maximum number of topic levels that the broker accepts.
const MAX_TOPIC_LEVELS: usize = 128;

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    for (number, rule) in config.mqtt.topics.iter().enumerate() {
        let at = format!("mqtt.topic.{number}");
        check_filter(checker, &format!("{at}.filter"), &rule.filter);
        if let Some(sensor) = &rule.sensor {
            check_template(checker, &format!("{at}.sensor"), sensor, &rule.filter);
        }
        if let Some(format) = &rule.format {
            self::check_format(checker, &format!("{at}.format"), format);
        }
    }
}

/// Checks a topic filter.
pub(super) fn check_filter(checker: &mut Checker<'_>, at: &str, filter: &str) {
    if filter.is_empty() {
        return checker.report(at, "the topic filter is empty", "write a topic, or \"#\" for all");
    }
    if filter.len() > MAX_TOPIC_BYTES || filter.split('/').count() > MAX_TOPIC_LEVELS {
        let help = format!("shorten it to {MAX_TOPIC_BYTES} bytes and {MAX_TOPIC_LEVELS} levels");
        return checker.report(at, "the topic filter is too long", &help);
    }
    if filter.contains('\0') {
        return checker.report(at, "a topic must not contain a NUL character", "remove \\u0000");
    }
    let levels: Vec<&str> = filter.split('/').collect();
    let last = levels.len() - 1;
    let message = format!("{filter:?} is not a valid topic filter");
    if let Some((_, level)) = levels.iter().enumerate().find(|(_, level)| level.len() > 1 && level.contains(['+', '#']))
    {
        let help = format!(
            "the level {level:?} mixes a wildcard and text: + stands for one whole level, \
             # for all levels that follow, as in \"a/+/b/#\""
        );
        return checker.report(at, message, &help);
    }
    if let Some(index) = levels.iter().position(|level| *level == "#").filter(|index| *index < last) {
        let short = levels.get(..=index).unwrap_or_default().join("/");
        let single = levels.iter().enumerate().map(|(at, level)| if *level == "#" && at < last { "+" } else { level });
        let single = single.collect::<Vec<_>>().join("/");
        let help = format!(
            "# stands for all levels that follow, so it must be the last one: \
             write {short:?}, or {single:?} for one level"
        );
        checker.report(at, message, &help);
    }
}

/// Checks a subscription of a client: a topic filter or a shared subscription.
pub(super) fn check_subscription(checker: &mut Checker<'_>, at: &str, text: &str) {
    let own = match text.strip_prefix("$share/") {
        None if text == "$share" => None,
        None => Some(text),
        Some(shared) => shared
            .split_once('/')
            .filter(|(group, filter)| !group.is_empty() && !group.contains(['+', '#']) && !filter.is_empty())
            .map(|(_, filter)| filter),
    };
    match own {
        Some(own) => check_filter(checker, at, own),
        None => {
            let message = format!("{text:?} is not a valid shared subscription");
            checker.report(at, message, "write \"$share/group/filter\", with no wildcards in the group");
        }
    }
}

/// Checks a NATS subject.
pub(super) fn check_subject(checker: &mut Checker<'_>, at: &str, subject: &str) {
    let mut tokens = subject.split('.').peekable();
    let mut is_valid = true;
    while let Some(token) = tokens.next() {
        let wild = token.contains(['*', '>']) && token != "*" && (token != ">" || tokens.peek().is_some());
        is_valid &= !(token.is_empty()
            || wild
            || token.contains(|character: char| character.is_whitespace() || character.is_control()));
    }
    if !is_valid {
        let help =
            "write tokens separated by dots, * for one token, > at the end for all that follow, such as \"plant.*.>\"";
        checker.report(at, format!("{subject:?} is not a valid NATS subject"), help);
    }
}

/// Checks the template of a sensor id.
fn check_template(checker: &mut Checker<'_>, at: &str, template: &str, filter: &str) {
    let singles = filter.split('/').filter(|level| *level == "+").count();
    let rest = filter.split('/').any(|level| level == "#");
    if template.trim().is_empty() {
        return checker.report(
            at,
            "the sensor id is empty",
            "write one, such as \"plant/{1}/{2}\", or leave sensor out",
        );
    }
    let mut remaining = template;
    while let Some((_, tail)) = remaining.split_once('{') {
        let Some((name, tail)) = tail.split_once('}') else {
            return checker.report(at, format!("{template:?} has an unclosed brace"), "write {1}, {2}, {#} or {topic}");
        };
        remaining = tail;
        let number = name.parse::<usize>().ok().filter(|_| name.bytes().all(|digit| digit.is_ascii_digit()));
        let exists = match (name, number) {
            ("topic", _) => true,
            ("#", _) => rest,
            (_, Some(number)) => (1..=singles).contains(&number),
            _ => {
                let message = format!("the placeholder {{{name}}} is unknown");
                return checker.report(
                    at,
                    message,
                    "write {1}, {2} for the levels of the first and second +, {#} for those of #, \
                     {topic} for the whole topic",
                );
            }
        };
        if !exists {
            let message = format!(
                "the placeholder {{{name}}} has no wildcard: the filter {filter:?} has {singles} \"+\" and {} \"#\"",
                if rest { "a" } else { "no" }
            );
            return checker.report(at, message, "add the wildcard to the filter, or use {topic} for the whole topic");
        }
    }
}

fn check_format(checker: &mut Checker<'_>, at: &str, format: &str) {
    let essence = format.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if PAYLOAD_FORMATS.contains(&essence.as_str()) {
        return;
    }
    // Media types are valid too, but listing them would make the message too long.
    let short: Vec<&str> = PAYLOAD_FORMATS.iter().copied().filter(|name| !name.contains('/')).collect();
    let known = format!("known formats: {}; leave it out to detect the format", short.join(", "));
    let help = match most_similar(&essence, &short) {
        Some(near) => format!("did you mean {near:?}? {known}"),
        None => known,
    };
    checker.report(at, format!("the format {format:?} is unknown"), &help);
}
