//! E-mail: a message with a text and an HTML part, sent by SMTP.

mod compose;
mod smtp;

use lettre::message::Mailbox;
use wheeltapper_config::{EmailChannel, EmailSecurity};

use crate::{ChannelError, hosts::AllowedHosts, secret::Secret};
pub(crate) use compose::compose;
#[cfg(test)]
pub(crate) use compose::{html, text};
pub(crate) use smtp::send;

/// A mail server, and who writes to whom.
#[derive(Clone, Debug)]
pub(crate) struct Email {
    server: String,
    port: u16,
    security: EmailSecurity,
    from: Mailbox,
    to: Vec<Mailbox>,
    hello: String,
    credentials: Option<(String, Secret)>,
    ca: Option<Vec<u8>>,
    timeout: std::time::Duration,
}

impl Email {
    /// # Errors
    /// If an address is not valid, the password is missing, or the server is not an allowed host.
    pub(crate) fn new(
        settings: &EmailChannel,
        ca: Option<Vec<u8>>,
        timeout: std::time::Duration,
        hosts: &AllowedHosts,
    ) -> Result<Self, ChannelError> {
        hosts.check(&settings.server)?;
        let mailbox = |setting: &str, text: &str| {
            text.parse::<Mailbox>().map_err(|_| {
                let help = "write it as name@example.com or \"Name <name@example.com>\"";
                ChannelError::new(format!("{setting}: {text:?} is not an e-mail address"), help)
            })
        };
        let from = mailbox("from", &settings.from)?;
        let to = settings.to.iter().map(|to| mailbox("to", to)).collect::<Result<Vec<_>, _>>()?;
        let credentials = match &settings.user {
            Some(user) => {
                let password =
                    Secret::require("password", settings.password_env.as_deref(), settings.password_file.as_deref())?;
                Some((user.clone(), password))
            }
            None => None,
        };
        Ok(Self {
            hello: settings.hello.clone().unwrap_or_else(|| from.email.domain().to_owned()),
            server: settings.server.clone(),
            port: settings.port(),
            security: settings.security,
            from,
            to,
            credentials,
            ca,
            timeout,
        })
    }
}
