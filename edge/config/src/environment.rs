//! Checks that depend on this computer: environment variables, files, and an existing data folder.

use std::{env, fmt, fs, path::Path};

use crate::{AlertChannel, Config};

/// A part of the configuration that does not work on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentProblem {
    /// Whether it prevents the host from starting. If not, the host starts, but something does not work.
    pub is_fatal: bool,
    /// The setting, and what is wrong with it.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for EnvironmentProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_fatal { "error" } else { "warning" };
        writeln!(out, "{kind}: on this machine: {}", self.message)?;
        writeln!(out, "  help: {}", self.help)
    }
}

/// Checks whether a configuration works on this computer, for the current user: finds environment variables that are
/// not set, files that cannot be read, and a data folder with another number of partitions. Paths are used as they are;
/// [`crate::load`] resolves relative ones.
pub fn check_environment(config: &Config) -> Vec<EnvironmentProblem> {
    let mut machine = EnvironmentChecker::default();
    check_partitions(&mut machine, config);
    check_secrets(&mut machine, config);
    check_certificates(&mut machine, config);
    check_connections(&mut machine, config);
    for (stage, file) in &config.line.components {
        machine.check_file(true, &format!("[line.components] {stage}"), file);
    }
    for file in config.detect.run_to_failure.iter().flat_map(|runs_to_failure| &runs_to_failure.files) {
        machine.check_file(true, "[detect.run_to_failure] files", file);
    }
    for oidc in &config.access.oidc {
        if let Some(file) = &oidc.jwks_file {
            machine.check_file(true, &format!("[[access.oidc]] {}: jwks_file", oidc.issuer), file);
        }
    }
    machine.problems
}

#[derive(Debug, Default)]
struct EnvironmentChecker {
    problems: Vec<EnvironmentProblem>,
}

impl EnvironmentChecker {
    fn report(&mut self, stops: bool, message: String, help: impl Into<String>) {
        self.problems.push(EnvironmentProblem { is_fatal: stops, message, help: help.into() });
    }

    /// Returns the text of a file, or reports why it cannot be read.
    fn check_file(&mut self, stops: bool, setting: &str, file: &Path) -> Option<String> {
        match fs::read(file) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                let message = format!("{setting}: {} cannot be read: {error}", file.display());
                self.report(stops, message, "correct the path, and give this user permission to read the file");
                None
            }
        }
    }

    /// Returns the value of an environment variable, or reports why it cannot be used.
    fn check_variable(&mut self, stops: bool, setting: &str, variable: &str) -> Option<String> {
        match env::var(variable) {
            Ok(value) => Some(value),
            Err(env::VarError::NotPresent) => {
                let message = format!("{setting}: the environment variable {variable} is not set");
                self.report(stops, message, format!("set it where the host is started, as in `export {variable}=...`"));
                None
            }
            Err(env::VarError::NotUnicode(_)) => {
                let message = format!("{setting}: the environment variable {variable} is not UTF-8");
                self.report(stops, message, "set it to UTF-8 text");
                None
            }
        }
    }

    /// Checks a secret in an environment variable or a file, and warns if it is empty.
    fn check_secret(&mut self, stops: bool, setting: &str, variable: Option<&str>, file: Option<&Path>) {
        let secret = match (variable, file) {
            (Some(variable), _) => self.check_variable(stops, setting, variable),
            (None, Some(file)) => self.check_file(stops, setting, file),
            (None, None) => None,
        };
        if secret.is_some_and(|secret| secret.trim().is_empty()) {
            let help = "set it to a long random text, such as the output of `openssl rand -hex 32`";
            self.report(false, format!("{setting}: the secret is empty and protects nothing"), help);
        }
    }

    fn check_pem(&mut self, setting: &str, file: &Path, label: &str, stops: bool) {
        let has_begin_line =
            |text: &str| text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(label));
        if self.check_file(stops, setting, file).is_some_and(|text| !has_begin_line(&text)) {
            let message = format!("{setting}: {} contains no {}", file.display(), label.to_lowercase());
            self.report(stops, message, format!("name a PEM file, with a line \"-----BEGIN {label}-----\""));
        }
    }
}

fn check_partitions(machine: &mut EnvironmentChecker, config: &Config) {
    let created = fs::read_to_string(config.data.join("partitions"));
    let created = created.ok().and_then(|text| text.trim().parse::<u16>().ok());
    if let Some(created) = created.filter(|created| config.partitions != 0 && *created != config.partitions) {
        let message = format!(
            "the data folder {} was created with {created} partitions, but the configuration says {}",
            config.data.display(),
            config.partitions
        );
        machine.report(true, message, format!("set partitions = {created}, or use a new data folder"));
    }
}

fn check_secrets(machine: &mut EnvironmentChecker, config: &Config) {
    for source in &config.http.sources {
        let setting = format!("[[http.source]] {}", source.name);
        machine.check_secret(true, &setting, source.secret_env.as_deref(), source.secret_file.as_deref());
    }
    if let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) {
        for user in &broker.users {
            let setting = format!("[[mqtt.broker.user]] {}", user.name);
            machine.check_secret(true, &setting, user.password_env.as_deref(), user.password_file.as_deref());
        }
    }
    for route in &config.alerts.routes {
        let setting = format!("[[alerts.route]] {}", route.name);
        let url = route.webhook_env.as_deref().and_then(|variable| machine.check_variable(true, &setting, variable));
        if url.is_some_and(|url| !(url.starts_with("http://") || url.starts_with("https://"))) {
            let message =
                format!("{setting}: the value of its environment variable is not a URL, so no alert is delivered");
            machine.report(false, message, "set it to https://host/path");
        }
    }
    for channel in &config.alerts.channels {
        check_channel(machine, channel);
    }
}

/// Checks the secrets and files of a channel of alerts.
fn check_channel(machine: &mut EnvironmentChecker, channel: &AlertChannel) {
    let setting = format!("[[alerts.channel]] {}", channel.name);
    let mut secrets = Vec::new();
    secrets.extend(channel.email.as_ref().map(|email| (&email.password_env, &email.password_file)));
    secrets.extend(channel.slack.as_ref().map(|slack| (&slack.url_env, &slack.url_file)));
    secrets.extend(channel.teams.as_ref().map(|teams| (&teams.url_env, &teams.url_file)));
    secrets.extend(channel.pagerduty.as_ref().map(|settings| (&settings.routing_key_env, &settings.routing_key_file)));
    secrets.extend(channel.telegram.as_ref().map(|telegram| (&telegram.token_env, &telegram.token_file)));
    secrets.extend(channel.ntfy.as_ref().map(|ntfy| (&ntfy.token_env, &ntfy.token_file)));
    let twilio = [channel.sms.as_ref(), channel.voice.as_ref()].into_iter().flatten();
    secrets.extend(twilio.map(|twilio| (&twilio.token_env, &twilio.token_file)));
    secrets.extend(channel.mqtt.as_ref().map(|mqtt| (&mqtt.password_env, &mqtt.password_file)));
    if let Some(webhook) = &channel.webhook {
        secrets.extend([(&webhook.url_env, &webhook.url_file), (&webhook.secret_env, &webhook.secret_file)]);
        if let Some(file) = &webhook.template_file {
            machine.check_file(true, &format!("{setting}: template_file"), file);
        }
    }
    for (variable, file) in secrets {
        machine.check_secret(true, &setting, variable.as_deref(), file.as_deref());
    }
    if let Some(file) = &channel.ca_file {
        machine.check_pem(&format!("{setting}: ca_file"), file, "CERTIFICATE", true);
    }
}

fn check_certificates(machine: &mut EnvironmentChecker, config: &Config) {
    let broker = config.mqtt.broker.as_ref().filter(|broker| broker.enabled).and_then(|broker| broker.tls.as_ref());
    for (table, tls) in [("[http] tls", config.http.tls.as_ref()), ("[mqtt.broker] tls", broker)] {
        let Some(tls) = tls else { continue };
        machine.check_pem(&format!("{table}: cert"), &tls.cert, "CERTIFICATE", true);
        machine.check_pem(&format!("{table}: key"), &tls.key, "PRIVATE KEY", true);
    }
}

/// Checks secrets and certificates of the servers that the host connects to.
fn check_connections(machine: &mut EnvironmentChecker, config: &Config) {
    for client in &config.mqtt.clients {
        let setting = format!("[[mqtt.client]] {}", client.url);
        machine.check_secret(true, &setting, client.password_env.as_deref(), client.password_file.as_deref());
        if let Some(file) = &client.ca_file {
            machine.check_pem(&format!("{setting}: ca_file"), file, "CERTIFICATE", false);
        }
    }
    // Warnings only: the host retries connections to NATS until they succeed.
    for nats in &config.nats {
        let setting = format!("[[nats]] {}", nats.url);
        for variable in [&nats.password_env, &nats.token_env].into_iter().flatten() {
            machine.check_secret(false, &setting, Some(variable), None);
        }
        if let Some(file) = &nats.creds_file {
            machine.check_file(false, &format!("{setting}: creds_file"), file);
        }
    }
}
