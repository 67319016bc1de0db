//! Errors of the configuration, displayed like those of a compiler.

use std::{fmt, ops::Range};

use crate::messages::explain_toml_error;

/// One error in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong.
    pub message: String,
    /// Name of the file.
    pub file: String,
    /// Line and column, from 1; `None` when the error concerns the whole file.
    pub position: Option<(usize, usize)>,
    /// The text of the line, and the number of characters to mark.
    source: Option<(String, usize)>,
    /// What to write instead.
    pub help: Option<String>,
}

/// All errors of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// The errors, in the order of the file.
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
    /// Creates an error at the byte range `span` of `text`.
    pub(crate) fn at_span(
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
            let source_line = text.get(start..).unwrap_or("").lines().next().unwrap_or("");
            let column = before.get(start..).unwrap_or("").chars().count() + 1;
            let width = text.get(span.start..span.end).unwrap_or("").lines().next().unwrap_or("").chars().count();
            position = Some((line, column));
            source = Some((source_line.replace('\t', " "), width));
        }
        Self { message, file: file.to_owned(), position, source, help }
    }
}

impl ConfigErrors {
    pub(crate) fn new(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(|error| error.position);
        Self { errors }
    }

    pub(crate) fn for_file(file: &str, message: String, help: Option<&str>) -> Self {
        Self::new(vec![ConfigError::at_span(message, help.map(str::to_owned), None, "", file)])
    }

    pub(crate) fn from_toml(error: &toml::de::Error, text: &str, file: &str) -> Self {
        let found = error.span().and_then(|span| text.get(span)).unwrap_or("");
        let (message, help) = explain_toml_error(error.message().trim(), found);
        Self::new(vec![ConfigError::at_span(message, Some(help), error.span(), text, file)])
    }
}
