//! A channel that is ready to send: its settings are checked and its secrets are read.

use std::{collections::BTreeSet, fmt, time::Duration};

use wheeltapper_config::{AlertChannel, MqttChannel, TwilioChannel, WebhookChannel};

use crate::{
    Attempt, ChannelError, Notification,
    hosts::AllowedHosts,
    http::{CheckedUrl, HttpClient},
    kinds::{
        email::{self, Email},
        mqtt::MqttTopic,
        ntfy, pagerduty, slack,
        syslog::Syslog,
        teams, telegram,
        twilio::{self, Account, Medium},
        webhook::{self, Webhook},
    },
    secret::Secret,
    tls,
};

/// A channel of `[[alerts.channel]]`.
pub struct Channel {
    kind: Kind,
    client: HttpClient,
}

enum Kind {
    Email(Box<Email>),
    Slack { url: CheckedUrl },
    Teams { url: CheckedUrl, envelope: bool },
    PagerDuty { url: CheckedUrl, routing_key: Secret },
    Telegram { url: CheckedUrl, chats: Vec<String> },
    Ntfy { url: CheckedUrl, topic: String, token: Option<Secret> },
    Twilio { url: CheckedUrl, medium: Medium, account: Account },
    Webhook(Box<Webhook>),
    Syslog(Syslog),
    Mqtt(MqttTopic),
}

impl fmt::Debug for Channel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Channel").field("kind", &self.kind_name()).finish_non_exhaustive()
    }
}

impl Channel {
    /// Checks the settings, and reads secrets, certificates and templates.
    ///
    /// # Errors
    /// What is wrong with a setting and what to do; the text contains no secret.
    pub fn open(settings: &AlertChannel, hosts: &AllowedHosts) -> Result<Self, ChannelError> {
        let timeout = settings.timeout.to_std();
        let ca = tls::read_ca_file(settings.ca_file.as_deref())?;
        let client = HttpClient::new(timeout, ca.as_deref())?;
        let kind = Kind::open(settings, ca, timeout, hosts)?;
        Ok(Self { kind, client })
    }

    /// Returns the name of the kind, as in the configuration.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Email(_) => "email",
            Kind::Slack { .. } => "slack",
            Kind::Teams { .. } => "teams",
            Kind::PagerDuty { .. } => "pagerduty",
            Kind::Telegram { .. } => "telegram",
            Kind::Ntfy { .. } => "ntfy",
            Kind::Twilio { medium: Medium::Sms, .. } => "sms",
            Kind::Twilio { medium: Medium::Voice, .. } => "voice",
            Kind::Webhook(_) => "webhook",
            Kind::Syslog(_) => "syslog",
            Kind::Mqtt(_) => "mqtt",
        }
    }

    /// Sends a notification once to each recipient that is not in `finished`. `now` is in nanoseconds since 1970; it is
    /// the time of the attempt in signatures and headers. Blocks for at most the time-out for each recipient.
    pub fn send(&self, notification: &Notification, finished: &BTreeSet<String>, now: i64) -> Attempt {
        let client = &self.client;
        match &self.kind {
            Kind::Email(email) => email::send(email, finished, notification, now),
            Kind::Slack { url } => slack::send(client, url, notification).into(),
            Kind::Teams { url, envelope } => teams::send(client, url, *envelope, notification).into(),
            Kind::PagerDuty { url, routing_key } => pagerduty::send(client, url, routing_key, notification).into(),
            Kind::Telegram { url, chats } => telegram::send(client, url, chats, finished, notification),
            Kind::Ntfy { url, topic, token } => ntfy::send(client, url, topic, token.as_ref(), notification).into(),
            Kind::Twilio { url, medium, account } => {
                twilio::send(client, url, *medium, account, finished, notification)
            }
            Kind::Webhook(webhook) => webhook.send(client, notification, now).into(),
            Kind::Syslog(syslog) => syslog.send(notification, std::process::id()).into(),
            Kind::Mqtt(topic) => topic.send(notification).into(),
        }
    }
}

impl Kind {
    fn open(
        settings: &AlertChannel,
        ca: Option<Vec<u8>>,
        timeout: Duration,
        hosts: &AllowedHosts,
    ) -> Result<Self, ChannelError> {
        if let Some(email) = &settings.email {
            return Ok(Self::Email(Box::new(Email::new(email, ca, timeout, hosts)?)));
        }
        if let Some(slack) = &settings.slack {
            let url = secret_url(slack.url_env.as_deref(), slack.url_file.as_deref(), hosts)?;
            return Ok(Self::Slack { url });
        }
        if let Some(teams) = &settings.teams {
            let url = secret_url(teams.url_env.as_deref(), teams.url_file.as_deref(), hosts)?;
            return Ok(Self::Teams { url, envelope: teams.envelope });
        }
        if let Some(pagerduty) = &settings.pagerduty {
            let url = CheckedUrl::new("url", &pagerduty.url, hosts)?.join("v2/enqueue");
            let (variable, file) = (pagerduty.routing_key_env.as_deref(), pagerduty.routing_key_file.as_deref());
            return Ok(Self::PagerDuty { url, routing_key: Secret::require("routing_key", variable, file)? });
        }
        if let Some(telegram) = &settings.telegram {
            let token = Secret::require("token", telegram.token_env.as_deref(), telegram.token_file.as_deref())?;
            let url = CheckedUrl::new("url", &telegram.url, hosts)?.join(&format!("bot{}/sendMessage", token.reveal()));
            return Ok(Self::Telegram { url, chats: telegram.chats.clone() });
        }
        if let Some(ntfy) = &settings.ntfy {
            let url = CheckedUrl::new("url", &ntfy.url, hosts)?;
            let token = Secret::read("token", ntfy.token_env.as_deref(), ntfy.token_file.as_deref())?;
            return Ok(Self::Ntfy { url, topic: ntfy.topic.clone(), token });
        }
        if let Some(sms) = &settings.sms {
            return twilio(sms, Medium::Sms, hosts);
        }
        if let Some(voice) = &settings.voice {
            return twilio(voice, Medium::Voice, hosts);
        }
        if let Some(settings) = &settings.webhook {
            return webhook(settings, hosts);
        }
        if let Some(syslog) = &settings.syslog {
            return Ok(Self::Syslog(Syslog::new(&syslog.url, ca, timeout, hosts)?));
        }
        if let Some(topic) = &settings.mqtt {
            return mqtt(&settings.name, topic, settings.ca_file.clone(), timeout, hosts);
        }
        Err(ChannelError::new("the channel has no kind", "add a table such as [alerts.channel.email]"))
    }
}

/// A URL that is a secret as a whole.
fn secret_url(
    variable: Option<&str>,
    file: Option<&std::path::Path>,
    hosts: &AllowedHosts,
) -> Result<CheckedUrl, ChannelError> {
    let url = Secret::require("url", variable, file)?;
    CheckedUrl::new(if variable.is_some() { "url_env" } else { "url_file" }, url.reveal(), hosts)
}

fn twilio(settings: &TwilioChannel, medium: Medium, hosts: &AllowedHosts) -> Result<Kind, ChannelError> {
    let resource = match medium {
        Medium::Sms => "Messages.json",
        Medium::Voice => "Calls.json",
    };
    let url = CheckedUrl::new("url", &settings.url, hosts)?;
    let token = Secret::require("token", settings.token_env.as_deref(), settings.token_file.as_deref())?;
    let account =
        Account { sid: settings.account.clone(), token, from: settings.from.clone(), to: settings.to.clone() };
    let url = url.join(&format!("2010-04-01/Accounts/{}/{resource}", settings.account));
    Ok(Kind::Twilio { url, medium, account })
}

fn webhook(settings: &WebhookChannel, hosts: &AllowedHosts) -> Result<Kind, ChannelError> {
    let url = match &settings.url {
        Some(url) => CheckedUrl::new("url", url, hosts)?,
        None => secret_url(settings.url_env.as_deref(), settings.url_file.as_deref(), hosts)?,
    };
    let template = match &settings.template_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                ChannelError::new(
                    format!("template_file: {} cannot be read: {error}", path.display()),
                    "correct the path, and give this user permission to read the file",
                )
            })?;
            Some(webhook::template(text, &settings.content_type)?)
        }
        None => None,
    };
    let secret = Secret::read("secret", settings.secret_env.as_deref(), settings.secret_file.as_deref())?;
    Ok(Kind::Webhook(Box::new(Webhook {
        url,
        secret,
        signature: settings.signature,
        content_type: settings.content_type.clone(),
        template,
    })))
}

fn mqtt(
    name: &str,
    settings: &MqttChannel,
    ca_file: Option<std::path::PathBuf>,
    timeout: Duration,
    hosts: &AllowedHosts,
) -> Result<Kind, ChannelError> {
    let host = crate::http::host(&settings.url)
        .ok_or_else(|| ChannelError::new("url is not that of an MQTT broker", "write mqtt://host:1883"))?;
    hosts.check(&host)?;
    let password = Secret::read("password", settings.password_env.as_deref(), settings.password_file.as_deref())?;
    let client = wheeltapper_mqtt::ClientConfig {
        url: settings.url.clone(),
        // Two connections with one client id would end each other.
        client_id: format!("wheeltapper-{name}-{}", std::process::id()),
        version: 5,
        topics: Vec::new(),
        qos: 1,
        user_name: settings.user.clone(),
        password: password.map(|password| password.reveal().to_owned()),
        ca_file,
    };
    Ok(Kind::Mqtt(MqttTopic { client, topic: settings.topic.clone(), retain: settings.retain, timeout }))
}
