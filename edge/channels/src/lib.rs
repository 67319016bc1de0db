//! Channels of alerts: how an alert is rendered for, and sent through, e-mail, Slack, Microsoft Teams, PagerDuty,
//! Telegram, ntfy, text messages and calls, webhooks, syslog and MQTT.
//!
//! - A [`Channel`] sends a [`Notification`] once and returns what the receiver said ([`Attempt`]). It follows no
//!   redirect, sends only to allowed hosts ([`AllowedHosts`]), and shortens and escapes every text for its kind.
//! - An [`Outbox`] decides what a channel sends when: retries with back-off, a circuit breaker, a limit of the rate with
//!   a summary of the rest, and times in which messages wait. It is a state machine without clock, entropy and I/O.
//! - [`QuietTimes`] and [`Silences`] decide how long a message waits.
//!
//! All times are in nanoseconds since 1970 (UTC) and are arguments.

mod channel;
mod clock;
mod error;
mod hosts;
mod http;
mod kinds;
mod notification;
mod outbox;
mod outcome;
mod schedule;
mod secret;
mod text;
mod tls;

pub use channel::Channel;
pub use error::ChannelError;
pub use hosts::AllowedHosts;
pub use notification::{AlertMessage, Event, Fact, Notification, Section, Severity, Wording};
pub use outbox::{BreakerState, Effect, Outbox, OutboxSettings, OutboxState, Parcel, Step};
pub use outcome::{Attempt, Outcome};
pub use schedule::{QuietTimes, Silences};
pub use secret::Secret;
