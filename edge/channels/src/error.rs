//! Errors of the settings of a channel.

/// A channel cannot be used as it is configured. The text contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct ChannelError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl ChannelError {
    pub(crate) fn new(message: impl Into<String>, help: &str) -> Self {
        Self { message: message.into(), help: help.to_owned() }
    }
}
