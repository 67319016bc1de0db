//! `[[alerts.channel]]`: how alerts reach people and programs.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Duration;

/// `[[alerts.channel]]`: one way to send alerts. Exactly one of the tables of the kinds is set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertChannel {
    /// Unique name. Messages that wait are stored under it.
    pub name: String,
    /// Channel that gets the messages while this one does not accept them.
    pub fallback: Option<String>,
    /// Maximum number of messages in a minute; further alerts are summarised in one message.
    #[serde(default = "default_max_per_minute")]
    pub max_per_minute: u32,
    /// How long a message waits for others, so that they can be summarised.
    #[serde(default = "default_group_wait")]
    pub group_wait: Duration,
    /// Maximum time for one attempt to send a message to one recipient.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// PEM file with CA certificates to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Times in which only severe alerts are sent; others wait until the end.
    #[serde(default)]
    pub quiet_hours: Vec<QuietHours>,
    /// E-mail.
    pub email: Option<EmailChannel>,
    /// Slack.
    pub slack: Option<SlackChannel>,
    /// Microsoft Teams.
    pub teams: Option<TeamsChannel>,
    /// PagerDuty.
    pub pagerduty: Option<PagerDutyChannel>,
    /// Telegram.
    pub telegram: Option<TelegramChannel>,
    /// ntfy.
    pub ntfy: Option<NtfyChannel>,
    /// Text messages to phones.
    pub sms: Option<TwilioChannel>,
    /// Calls to phones, which read the alert aloud.
    pub voice: Option<TwilioChannel>,
    /// A web server that accepts JSON.
    pub webhook: Option<WebhookChannel>,
    /// Syslog with the Common Event Format.
    pub syslog: Option<SyslogChannel>,
    /// An MQTT topic.
    pub mqtt: Option<MqttChannel>,
}

/// A time of each day or of some days in which only severe alerts are sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Beginning, such as `22:00`.
    pub from: String,
    /// End, such as `06:00` or `24:00`. If it is not after the beginning, it is on the next day.
    pub to: String,
    /// Days on which the time begins: `mon` to `sun`; empty means every day.
    #[serde(default)]
    pub days: Vec<String>,
    /// IANA time zone; by default that of `[alerts]`.
    pub zone: Option<String>,
    /// Minimum severity of the alerts that are sent nevertheless.
    #[serde(default = "default_quiet_severity")]
    pub except: String,
}

/// `[[alerts.silence]]`: alerts of some machines are not sent for some time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Silence {
    /// Sites whose alerts are not sent, such as `plant` or `plant/hall-1`.
    pub sites: Vec<String>,
    /// Machines whose alerts are not sent, such as `plant/hall-1/pump-7`.
    pub machines: Vec<String>,
    /// Beginning: RFC 3339 with an offset, or a local time with a zone, such as `2026-12-01T22:00[Europe/Berlin]`.
    pub from: String,
    /// End, in the same form.
    pub to: String,
    /// Why.
    pub reason: String,
    /// Who decided it.
    pub author: String,
}

/// `[alerts.channel.email]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailChannel {
    /// Host name of the SMTP server.
    pub server: String,
    /// Port; by default 587 with STARTTLS, 465 with TLS, 25 without.
    pub port: Option<u16>,
    /// Encryption.
    #[serde(default)]
    pub security: EmailSecurity,
    /// Sender, such as `Wheeltapper <alerts@plant.example>`.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// Name that this host gives to the server (EHLO); by default the domain of the sender.
    pub hello: Option<String>,
    /// User name; without it, the host does not sign in.
    pub user: Option<String>,
    /// Environment variable that holds the password.
    pub password_env: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
}

impl EmailChannel {
    /// Returns the port that is set, or the usual one.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            EmailSecurity::Starttls => 587,
            EmailSecurity::Tls => 465,
            EmailSecurity::None => 25,
        })
    }
}

/// Encryption of the connection to an SMTP server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailSecurity {
    /// The connection begins in the clear and is encrypted before anything is sent; a server without STARTTLS is not
    /// used.
    #[default]
    Starttls,
    /// The connection is encrypted from the beginning.
    Tls,
    /// No encryption; only without a user.
    None,
}

/// `[alerts.channel.slack]`: an incoming webhook of Slack.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackChannel {
    /// Environment variable that holds the URL, which is a secret.
    pub url_env: Option<String>,
    /// File that holds the URL.
    pub url_file: Option<PathBuf>,
}

/// `[alerts.channel.teams]`: a workflow of Microsoft Teams that posts adaptive cards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamsChannel {
    /// Environment variable that holds the URL, which is a secret.
    pub url_env: Option<String>,
    /// File that holds the URL.
    pub url_file: Option<PathBuf>,
    /// Whether the card is an attachment of a message, as the templates of Teams expect. If not, the body is the card
    /// alone.
    #[serde(default = "default_true")]
    pub envelope: bool,
}

/// `[alerts.channel.pagerduty]`: the Events API v2.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDutyChannel {
    /// Environment variable that holds the integration key of the service (32 characters).
    pub routing_key_env: Option<String>,
    /// File that holds the integration key.
    pub routing_key_file: Option<PathBuf>,
    /// Address of the API; in Europe `https://events.eu.pagerduty.com`.
    #[serde(default = "default_pagerduty_url")]
    pub url: String,
}

/// `[alerts.channel.telegram]`: a bot of Telegram.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramChannel {
    /// Environment variable that holds the bot's token.
    pub token_env: Option<String>,
    /// File that holds the bot's token.
    pub token_file: Option<PathBuf>,
    /// Chats: numeric ids, or names of public channels such as `@plant_alerts`.
    pub chats: Vec<String>,
    /// Address of the Bot API.
    #[serde(default = "default_telegram_url")]
    pub url: String,
}

/// `[alerts.channel.ntfy]`: a topic of an ntfy server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NtfyChannel {
    /// Address of the server.
    #[serde(default = "default_ntfy_url")]
    pub url: String,
    /// Topic; on a public server, anyone who knows it can read.
    pub topic: String,
    /// Environment variable that holds the access token.
    pub token_env: Option<String>,
    /// File that holds the access token.
    pub token_file: Option<PathBuf>,
}

/// `[alerts.channel.sms]` and `[alerts.channel.voice]`: the API of Twilio.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwilioChannel {
    /// Account SID.
    pub account: String,
    /// Environment variable that holds the auth token.
    pub token_env: Option<String>,
    /// File that holds the auth token.
    pub token_file: Option<PathBuf>,
    /// Sender: a phone number such as `+31201234567`, or for text messages the SID of a messaging service.
    pub from: String,
    /// Phone numbers of the recipients.
    pub to: Vec<String>,
    /// Address of the API, or of a compatible one.
    #[serde(default = "default_twilio_url")]
    pub url: String,
}

/// `[alerts.channel.webhook]`: a web server that accepts a POST.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookChannel {
    /// URL. Use `url_env` or `url_file` if it contains a secret.
    pub url: Option<String>,
    /// Environment variable that holds the URL.
    pub url_env: Option<String>,
    /// File that holds the URL.
    pub url_file: Option<PathBuf>,
    /// Environment variable that holds the secret with which requests are signed.
    pub secret_env: Option<String>,
    /// File that holds the secret.
    pub secret_file: Option<PathBuf>,
    /// How requests are signed.
    #[serde(default)]
    pub signature: WebhookSignature,
    /// File with a template of the body (Jinja); by default JSON with all fields.
    pub template_file: Option<PathBuf>,
    /// Media type of the body.
    #[serde(default = "default_content_type")]
    pub content_type: String,
}

/// How the requests of a webhook are signed with HMAC-SHA256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookSignature {
    /// `webhook-signature` of the Standard Webhooks specification: id, time and body.
    #[default]
    StandardWebhooks,
    /// `X-Hub-Signature-256`: the body alone; anyone who sees a request can replay it.
    Body,
}

/// `[alerts.channel.syslog]`: RFC 5424 messages with the Common Event Format.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogChannel {
    /// `udp://host:514`, `tcp://host:601` or `tls://host:6514`.
    pub url: String,
}

/// `[alerts.channel.mqtt]`: a topic of an MQTT broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttChannel {
    /// URL of the broker: `mqtt://host:1883` or `mqtts://host:8883`.
    pub url: String,
    /// Topic; `{asset}`, `{severity}` and `{event}` are replaced.
    pub topic: String,
    /// Whether the broker keeps the newest message of each topic for new subscribers.
    #[serde(default)]
    pub retain: bool,
    /// User name.
    pub user: Option<String>,
    /// Environment variable that holds the password.
    pub password_env: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
}

fn default_true() -> bool {
    true
}
fn default_max_per_minute() -> u32 {
    10
}
fn default_group_wait() -> Duration {
    Duration::from_secs(5)
}
fn default_timeout() -> Duration {
    Duration::from_secs(10)
}
fn default_quiet_severity() -> String {
    "critical".into()
}
fn default_pagerduty_url() -> String {
    "https://events.pagerduty.com".into()
}
fn default_telegram_url() -> String {
    "https://api.telegram.org".into()
}
fn default_ntfy_url() -> String {
    "https://ntfy.sh".into()
}
fn default_twilio_url() -> String {
    "https://api.twilio.com".into()
}
fn default_content_type() -> String {
    "application/json".into()
}
