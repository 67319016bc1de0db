//! The kinds of channels: how each renders a notification, and how it sends it.

pub(crate) mod email;
pub(crate) mod mqtt;
pub(crate) mod ntfy;
pub(crate) mod pagerduty;
pub(crate) mod slack;
pub(crate) mod syslog;
pub(crate) mod teams;
pub(crate) mod telegram;
pub(crate) mod twilio;
pub(crate) mod webhook;

#[cfg(test)]
mod tests;
