//! Topic filters, as `wheeltapper-mqtt` takes them, and what `[[mqtt.topic]]` makes of topics.

use super::Checker;
use crate::{Config, FORMATS, words::nearest};

/// A topic's length in MQTT, in bytes.
const LONGEST: usize = 65_535;
/// Levels that the broker takes.
const DEEPEST: usize = 128;

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    for (number, rule) in config.mqtt.topics.iter().enumerate() {
        let at = format!("mqtt.topic.{number}");
        filter(checker, &format!("{at}.filter"), &rule.filter);
        if let Some(sensor) = &rule.sensor {
            template(checker, &format!("{at}.sensor"), sensor, &rule.filter);
        }
        if let Some(format) = &rule.format {
            self::format(checker, &format!("{at}.format"), format);
        }
    }
}

/// A filter with `+` and `#`.
pub(super) fn filter(checker: &mut Checker<'_>, at: &str, filter: &str) {
    if filter.is_empty() {
        return checker.at(at, "the topic filter is empty", "write a topic, or \"#\" for all");
    }
    if filter.len() > LONGEST || filter.split('/').count() > DEEPEST {
        let help = format!("shorten it to {LONGEST} bytes and {DEEPEST} levels");
        return checker.at(at, "the topic filter is longer than MQTT allows", &help);
    }
    if filter.contains('\0') {
        return checker.at(at, "a topic has no NUL character", "remove \\u0000");
    }
    let levels: Vec<&str> = filter.split('/').collect();
    let last = levels.len() - 1;
    let message = format!("there is no topic filter {filter:?}");
    if let Some((_, level)) = levels.iter().enumerate().find(|(_, level)| level.len() > 1 && level.contains(['+', '#']))
    {
        let help = format!(
            "in {level:?} a wildcard is not alone: + stands for one whole level, # for all that follow, as in \"a/+/b/#\""
        );
        return checker.at(at, message, &help);
    }
    if let Some(place) = levels.iter().position(|level| *level == "#").filter(|place| *place < last) {
        let short = levels.get(..=place).unwrap_or_default().join("/");
        let single = levels.iter().enumerate().map(|(at, level)| if *level == "#" && at < last { "+" } else { level });
        let single = single.collect::<Vec<_>>().join("/");
        let help = format!(
            "# stands for all levels that follow, so nothing comes behind it: write {short:?}, or {single:?} for just one level"
        );
        checker.at(at, message, &help);
    }
}

/// What a client subscribes to: a filter, perhaps shared.
pub(super) fn subscription(checker: &mut Checker<'_>, at: &str, text: &str) {
    let own = match text.strip_prefix("$share/") {
        None if text == "$share" => None,
        None => Some(text),
        Some(shared) => shared
            .split_once('/')
            .filter(|(group, filter)| !group.is_empty() && !group.contains(['+', '#']) && !filter.is_empty())
            .map(|(_, filter)| filter),
    };
    match own {
        Some(own) => filter(checker, at, own),
        None => {
            let message = format!("there is no shared subscription {text:?}");
            checker.at(at, message, "write \"$share/group/filter\", the group without wildcards");
        }
    }
}

/// A subject of NATS.
pub(super) fn subject(checker: &mut Checker<'_>, at: &str, subject: &str) {
    let mut tokens = subject.split('.').peekable();
    let mut well = true;
    while let Some(token) = tokens.next() {
        let wild = token.contains(['*', '>']) && token != "*" && (token != ">" || tokens.peek().is_some());
        well &= !(token.is_empty()
            || wild
            || token.contains(|character: char| character.is_whitespace() || character.is_control()));
    }
    if !well {
        let help =
            "write words between dots, * for one of them, > at the end for all that follow, such as \"plant.*.>\"";
        checker.at(at, format!("there is no subject {subject:?}"), help);
    }
}

/// What a sensor is called after its topic.
fn template(checker: &mut Checker<'_>, at: &str, template: &str, filter: &str) {
    let singles = filter.split('/').filter(|level| *level == "+").count();
    let rest = filter.split('/').any(|level| level == "#");
    if template.trim().is_empty() {
        return checker.at(at, "a sensor has a name", "write it, such as \"plant/{1}/{2}\", or leave sensor out");
    }
    let mut remaining = template;
    while let Some((_, tail)) = remaining.split_once('{') {
        let Some((name, tail)) = tail.split_once('}') else {
            return checker.at(at, format!("in {template:?} a brace is not closed"), "write {1}, {2}, {#} or {topic}");
        };
        remaining = tail;
        let number = name.parse::<usize>().ok().filter(|_| name.bytes().all(|digit| digit.is_ascii_digit()));
        let there = match (name, number) {
            ("topic", _) => true,
            ("#", _) => rest,
            (_, Some(number)) => (1..=singles).contains(&number),
            _ => {
                let message = format!("{{{name}}} stands for nothing");
                return checker.at(
                    at,
                    message,
                    "write {1}, {2} for what the first, second + stood for, {#} for the rest, {topic} for all of it",
                );
            }
        };
        if !there {
            let message = format!(
                "{{{name}}} stands for nothing: the filter {filter:?} has {singles} \"+\" and {} \"#\"",
                if rest { "a" } else { "no" }
            );
            return checker.at(at, message, "put the wildcard into the filter, or use {topic} for all of the topic");
        }
    }
}

fn format(checker: &mut Checker<'_>, at: &str, format: &str) {
    let essence = format.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if FORMATS.contains(&essence.as_str()) {
        return;
    }
    // Media types are as good, but nobody needs to be told all of them.
    let short: Vec<&str> = FORMATS.iter().copied().filter(|name| !name.contains('/')).collect();
    let known = format!("known are {}; without one it is found out from the payload", short.join(", "));
    let help = match nearest(&essence, &short) {
        Some(near) => format!("did you mean {near:?}? {known}"),
        None => known,
    };
    checker.at(at, format!("there is no format {format:?}"), &help);
}
