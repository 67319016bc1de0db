//! Secrets: they come from the environment or from files, and are not shown by `Debug` or in errors.

use std::{env, fmt, fs, path::Path};

use crate::ChannelError;

/// A secret text. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret itself. It must not be logged.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads a secret from the environment variable `variable` or from `file`. White space around it is removed.
    ///
    /// # Errors
    /// If the variable is not set, the file cannot be read, or the secret is empty. `setting` is the name of the
    /// setting without `_env` and `_file`.
    pub(crate) fn read(
        setting: &'static str,
        variable: Option<&str>,
        file: Option<&Path>,
    ) -> Result<Option<Self>, ChannelError> {
        let text = match (variable, file) {
            (Some(variable), _) => env::var(variable).map_err(|error| {
                let why = match error {
                    env::VarError::NotPresent => "is not set",
                    env::VarError::NotUnicode(_) => "is not UTF-8",
                };
                ChannelError::new(
                    format!("{setting}_env: the environment variable {variable} {why}"),
                    "set it where the host is started",
                )
            })?,
            (None, Some(file)) => fs::read_to_string(file).map_err(|error| {
                ChannelError::new(
                    format!("{setting}_file: {} cannot be read: {error}", file.display()),
                    "correct the path, and give this user permission to read the file",
                )
            })?,
            (None, None) => return Ok(None),
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(ChannelError::new(
                format!("{setting}: the secret is empty"),
                "set the environment variable or the file to it",
            ));
        }
        Ok(Some(Self(text.to_owned())))
    }

    /// Like [`Self::read`], for a secret that is needed.
    pub(crate) fn require(
        setting: &'static str,
        variable: Option<&str>,
        file: Option<&Path>,
    ) -> Result<Self, ChannelError> {
        Self::read(setting, variable, file)?.ok_or_else(|| {
            ChannelError::new(format!("{setting} is missing"), &format!("give {setting}_env or {setting}_file"))
        })
    }
}
