//! Errors as a compiler tells them.

use std::{fmt, ops::Range};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What.
    pub message: String,
    /// Where: file, line and column from 1; none when it concerns the whole file.
    pub file: String,
    /// Line and column, from 1.
    pub position: Option<(usize, usize)>,
    /// The line itself, and how many characters of it are meant.
    source: Option<(String, usize)>,
    /// What to write instead.
    pub help: Option<String>,
}

/// All that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// In the order of the file.
    pub errors: Vec<ConfigError>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(out, "{error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "error: {}", self.message)?;
        match (self.position, &self.source) {
            (Some((line, column)), Some((text, width))) => {
                let margin = line.to_string().len();
                writeln!(out, "{:margin$}--> {}:{line}:{column}", "", self.file)?;
                writeln!(out, "{:margin$} |", "")?;
                writeln!(out, "{line} | {text}")?;
                writeln!(out, "{:margin$} | {:pad$}{}", "", "", "^".repeat((*width).max(1)), pad = column - 1)?;
            }
            _ => writeln!(out, "  --> {}", self.file)?,
        }
        if let Some(help) = &self.help {
            writeln!(out, "  help: {help}")?;
        }
        Ok(())
    }
}

impl ConfigError {
    /// An error at `span` (bytes) of `text`.
    pub(crate) fn at(
        message: String,
        help: Option<String>,
        span: Option<Range<usize>>,
        text: &str,
        file: &str,
    ) -> Self {
        let (mut position, mut source) = (None, None);
        if let Some(span) = span {
            let before = text.get(..span.start).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            let whole = text.get(start..).unwrap_or("").lines().next().unwrap_or("");
            let column = before.get(start..).unwrap_or("").chars().count() + 1;
            let meant = text.get(span.start..span.end).unwrap_or("").lines().next().unwrap_or("").chars().count();
            position = Some((line, column));
            source = Some((whole.replace('\t', " "), meant));
        }
        Self { message, file: file.to_owned(), position, source, help }
    }
}

impl ConfigErrors {
    pub(crate) fn new(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(|error| error.position);
        Self { errors }
    }

    pub(crate) fn whole(file: &str, message: String) -> Self {
        Self::new(vec![ConfigError::at(message, None, None, "", file)])
    }

    pub(crate) fn from_toml(error: &toml::de::Error, text: &str, file: &str) -> Self {
        let said = error.message().trim();
        let (message, help) = explain(said);
        Self::new(vec![ConfigError::at(message, help, error.span(), text, file)])
    }
}

/// Turns serde's words into ours, with a suggestion.
fn explain(said: &str) -> (String, Option<String>) {
    let mut quoted = said.split('`').skip(1).step_by(2);
    if said.starts_with("unknown field") || said.starts_with("unknown variant") {
        let what = if said.starts_with("unknown field") { "key" } else { "value" };
        let wrong = quoted.next().unwrap_or("");
        if ["password", "secret", "token"].contains(&wrong) {
            let help = format!(
                "secrets do not belong in this file: use `{wrong}_env` (an environment variable) or `{wrong}_file`"
            );
            return (format!("unknown {what} `{wrong}`"), Some(help));
        }
        let known: Vec<&str> = quoted.collect();
        let help = match nearest(wrong, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "remove it".to_owned(),
            None => format!("known here: {}", known.join(", ")),
        };
        return (format!("unknown {what} `{wrong}`"), Some(help));
    }
    if said.starts_with("missing field") {
        let name = quoted.next().unwrap_or("");
        return (format!("`{name}` is missing"), Some(format!("add `{name} = ...` to this table")));
    }
    (said.to_owned(), None)
}

/// The one of `known` that `wrong` was probably meant to be.
pub(crate) fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|word| (strsim::jaro_winkler(wrong, word), *word));
    scored.filter(|(likeness, _)| *likeness > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}
