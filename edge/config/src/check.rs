//! What a parser cannot see: names that clash, limits the wrong way round, times that are none.

mod access;
mod address;
mod network;
mod plant;
mod sizes;
mod stages;
mod topics;

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::{Config, ConfigError, Listen, words::nearest};

struct Checker<'a> {
    text: &'a str,
    file: &'a str,
    /// The same file, read once more for the places of what is checked.
    root: DeValue<'a>,
    errors: Vec<ConfigError>,
}

impl Checker<'_> {
    fn say(&mut self, span: Range<usize>, message: impl Into<String>, help: &str) {
        let error = ConfigError::at(message.into(), Some(help.to_owned()), Some(span), self.text, self.file);
        self.errors.push(error);
    }

    /// Says it at the value of a path such as `mqtt.topic.0.filter`, or else at the table where it is missing.
    fn at(&mut self, path: &str, message: impl Into<String>, help: &str) {
        self.say(self.place(path), message, help);
    }

    fn place(&self, path: &str) -> Range<usize> {
        let (mut here, mut span) = (&self.root, 0..0);
        for part in path.split('.') {
            let next = match part.parse::<usize>() {
                Ok(number) if here.is_array() => here.get(number),
                _ => here.get(part),
            };
            let Some(next) = next else { break };
            (here, span) = (next.get_ref(), next.span());
        }
        span
    }

    /// Whether the file itself says it.
    fn written(&self, path: &str) -> bool {
        let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut here = Some(&self.root);
        for part in table.split('.').filter(|part| !part.is_empty()) {
            here = here.and_then(|value| value.get(part)).map(toml::Spanned::get_ref);
        }
        here.is_some_and(|value| value.get(key).is_some())
    }

    /// Says it unless `word` is one of `known`; then tells whether it is.
    fn one_of(&mut self, path: &str, word: &str, known: &[&str], message: &str) -> bool {
        let found = known.contains(&word);
        if !found {
            let help = match nearest(word, known) {
                Some(near) => format!("did you mean {near:?}? Known here: {}", known.join(", ")),
                None => format!("write one of {}", known.join(", ")),
            };
            self.at(path, message, &help);
        }
        found
    }
}

/// `listen`: where the host will listen whatever the file says.
pub(crate) fn check(config: &Config, text: &str, file: &str, listen: &Listen) -> Vec<ConfigError> {
    let Ok(root) = DeTable::parse(text) else { return Vec::new() };
    let mut checker = Checker { text, file, root: DeValue::Table(root.into_inner()), errors: Vec::new() };
    stages::check(&mut checker, config);
    sizes::check(&mut checker, config);
    network::check(&mut checker, config, listen);
    topics::check(&mut checker, config);
    plant::check(&mut checker, config);
    access::check(&mut checker);
    checker.errors
}
