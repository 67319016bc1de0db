//! Validation after parsing: duplicate names, values out of range, invalid times and addresses, and conflicting
//! settings.

mod access;
mod address;
mod channel_kinds;
mod channels;
mod network;
mod plant;
mod sizes;
mod stages;
mod topics;

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::{Config, ConfigError, ListenOverride, messages::most_similar};

struct Checker<'a> {
    text: &'a str,
    file: &'a str,
    /// The parsed file with spans, to find the position of each checked value.
    root: DeValue<'a>,
    errors: Vec<ConfigError>,
}

impl Checker<'_> {
    fn report_at_span(&mut self, span: Range<usize>, message: impl Into<String>, help: &str) {
        let error = ConfigError::at_span(message.into(), Some(help.to_owned()), Some(span), self.text, self.file);
        self.errors.push(error);
    }

    /// Reports an error at the value with a path such as `mqtt.topic.0.filter`, or at its table if the value is
    /// missing.
    fn report(&mut self, path: &str, message: impl Into<String>, help: &str) {
        self.report_at_span(self.span_of(path), message, help);
    }

    fn span_of(&self, path: &str) -> Range<usize> {
        let (mut value, mut span) = (&self.root, 0..0);
        for key in path.split('.') {
            let next = match key.parse::<usize>() {
                Ok(number) if value.is_array() => value.get(number),
                _ => value.get(key),
            };
            let Some(next) = next else { break };
            (value, span) = (next.get_ref(), next.span());
        }
        span
    }

    /// Whether the file sets the value with this path, so that it is not a default.
    fn is_set(&self, path: &str) -> bool {
        let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut current = Some(&self.root);
        for name in table.split('.').filter(|name| !name.is_empty()) {
            current = current.and_then(|value| value.get(name)).map(toml::Spanned::get_ref);
        }
        current.is_some_and(|value| value.get(key).is_some())
    }

    /// Reports an error with a suggestion unless `word` is one of `known`. Returns whether it is.
    fn check_one_of(&mut self, path: &str, word: &str, known: &[&str], message: &str) -> bool {
        let is_known = known.contains(&word);
        if !is_known {
            let help = match most_similar(word, known) {
                Some(near) => format!("did you mean {near:?}? Known values: {}", known.join(", ")),
                None => format!("write one of {}", known.join(", ")),
            };
            self.report(path, message, &help);
        }
        is_known
    }
}

/// Validates a configuration. The addresses that `listen` overrides are not checked.
pub(crate) fn check(config: &Config, text: &str, file: &str, listen: &ListenOverride) -> Vec<ConfigError> {
    let Ok(root) = DeTable::parse(text) else { return Vec::new() };
    let mut checker = Checker { text, file, root: DeValue::Table(root.into_inner()), errors: Vec::new() };
    stages::check(&mut checker, config);
    channels::check(&mut checker, &config.alerts);
    sizes::check(&mut checker, config);
    network::check(&mut checker, config, listen);
    topics::check(&mut checker, config);
    plant::check(&mut checker, config);
    access::check(&mut checker);
    checker.errors
}
