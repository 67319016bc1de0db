//! Errors as a compiler tells them.

use std::{fmt, ops::Range};

use crate::words::explain;

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
        let came = error.span().and_then(|span| text.get(span)).unwrap_or("");
        let (message, help) = explain(error.message().trim(), came);
        Self::new(vec![ConfigError::at(message, Some(help), error.span(), text, file)])
    }
}
