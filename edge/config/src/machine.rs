//! Checks that depend on this computer: environment variables, files, and an existing data folder.

use std::{env, fmt, fs, path::Path};

use crate::Config;

/// A part of the configuration that does not work on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineProblem {
    /// Whether it prevents the host from starting. If not, the host starts, but something does not work.
    pub stops: bool,
    /// The setting, and what is wrong with it.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for MachineProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.stops { "error" } else { "warning" };
        writeln!(out, "{kind}: on this machine: {}", self.message)?;
        writeln!(out, "  help: {}", self.help)
    }
}

/// Checks whether a configuration works on this computer, for the current user: finds environment variables that are
/// not set, files that cannot be read, and a data folder with another number of partitions. Paths are used as they are;
/// [`crate::load`] resolves relative ones.
pub fn check_machine(config: &Config) -> Vec<MachineProblem> {
    let mut machine = Machine::default();
    partitions(&mut machine, config);
    secrets(&mut machine, config);
    certificates(&mut machine, config);
    called(&mut machine, config);
    for (stage, file) in &config.line.components {
        machine.file(true, &format!("[line.components] {stage}"), file);
    }
    for file in config.detect.lives.iter().flat_map(|lives| &lives.files) {
        machine.file(true, "[detect.lives] files", file);
    }
    for oidc in &config.access.oidc {
        if let Some(file) = &oidc.jwks_file {
            machine.file(true, &format!("[[access.oidc]] {}: jwks_file", oidc.issuer), file);
        }
    }
    machine.problems
}

#[derive(Debug, Default)]
struct Machine {
    problems: Vec<MachineProblem>,
}

impl Machine {
    fn say(&mut self, stops: bool, message: String, help: impl Into<String>) {
        self.problems.push(MachineProblem { stops, message, help: help.into() });
    }

    /// Returns the text of a file, or reports why it cannot be read.
    fn file(&mut self, stops: bool, setting: &str, file: &Path) -> Option<String> {
        match fs::read(file) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                let message = format!("{setting}: {} cannot be read: {error}", file.display());
                self.say(stops, message, "correct the path, and give this user permission to read the file");
                None
            }
        }
    }

    /// Returns the value of an environment variable, or reports why it cannot be used.
    fn variable(&mut self, stops: bool, setting: &str, variable: &str) -> Option<String> {
        match env::var(variable) {
            Ok(value) => Some(value),
            Err(env::VarError::NotPresent) => {
                let message = format!("{setting}: the environment variable {variable} is not set");
                self.say(stops, message, format!("set it where the host is started, as in `export {variable}=...`"));
                None
            }
            Err(env::VarError::NotUnicode(_)) => {
                let message = format!("{setting}: the environment variable {variable} is not UTF-8");
                self.say(stops, message, "set it to UTF-8 text");
                None
            }
        }
    }

    /// Checks a secret in an environment variable or a file, and warns if it is empty.
    fn secret(&mut self, stops: bool, setting: &str, variable: Option<&str>, file: Option<&Path>) {
        let secret = match (variable, file) {
            (Some(variable), _) => self.variable(stops, setting, variable),
            (None, Some(file)) => self.file(stops, setting, file),
            (None, None) => None,
        };
        if secret.is_some_and(|secret| secret.trim().is_empty()) {
            let help = "set it to a long random text, such as the output of `openssl rand -hex 32`";
            self.say(false, format!("{setting}: the secret is empty and protects nothing"), help);
        }
    }

    fn pem(&mut self, setting: &str, file: &Path, label: &str, stops: bool) {
        let has_begin_line =
            |text: &str| text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(label));
        if self.file(stops, setting, file).is_some_and(|text| !has_begin_line(&text)) {
            let message = format!("{setting}: {} contains no {}", file.display(), label.to_lowercase());
            self.say(stops, message, format!("name a PEM file, with a line \"-----BEGIN {label}-----\""));
        }
    }
}

fn partitions(machine: &mut Machine, config: &Config) {
    let created = fs::read_to_string(config.data.join("partitions"));
    let created = created.ok().and_then(|text| text.trim().parse::<u16>().ok());
    if let Some(created) = created.filter(|created| config.partitions != 0 && *created != config.partitions) {
        let message = format!(
            "the data folder {} was created with {created} partitions, but the configuration says {}",
            config.data.display(),
            config.partitions
        );
        machine.say(true, message, format!("set partitions = {created}, or use a new data folder"));
    }
}

fn secrets(machine: &mut Machine, config: &Config) {
    for source in &config.http.sources {
        let setting = format!("[[http.source]] {}", source.name);
        machine.secret(true, &setting, source.secret_env.as_deref(), source.secret_file.as_deref());
    }
    if let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) {
        for user in &broker.users {
            let setting = format!("[[mqtt.broker.user]] {}", user.name);
            machine.secret(true, &setting, user.password_env.as_deref(), user.password_file.as_deref());
        }
    }
    for route in &config.alerts.routes {
        let setting = format!("[[alerts.route]] {}", route.name);
        let url = route.webhook_env.as_deref().and_then(|variable| machine.variable(true, &setting, variable));
        if url.is_some_and(|url| !(url.starts_with("http://") || url.starts_with("https://"))) {
            let message =
                format!("{setting}: the value of its environment variable is not a URL, so no alert is delivered");
            machine.say(false, message, "set it to https://host/path");
        }
    }
}

fn certificates(machine: &mut Machine, config: &Config) {
    let broker = config.mqtt.broker.as_ref().filter(|broker| broker.enabled).and_then(|broker| broker.tls.as_ref());
    for (table, tls) in [("[http] tls", config.http.tls.as_ref()), ("[mqtt.broker] tls", broker)] {
        let Some(tls) = tls else { continue };
        machine.pem(&format!("{table}: cert"), &tls.cert, "CERTIFICATE", true);
        machine.pem(&format!("{table}: key"), &tls.key, "PRIVATE KEY", true);
    }
}

/// Checks secrets and certificates of the servers that the host connects to.
fn called(machine: &mut Machine, config: &Config) {
    for client in &config.mqtt.clients {
        let setting = format!("[[mqtt.client]] {}", client.url);
        machine.secret(true, &setting, client.password_env.as_deref(), client.password_file.as_deref());
        if let Some(file) = &client.ca_file {
            machine.pem(&format!("{setting}: ca_file"), file, "CERTIFICATE", false);
        }
    }
    // Warnings only: the host retries connections to NATS until they succeed.
    for nats in &config.nats {
        let setting = format!("[[nats]] {}", nats.url);
        for variable in [&nats.password_env, &nats.token_env].into_iter().flatten() {
            machine.secret(false, &setting, Some(variable), None);
        }
        if let Some(file) = &nats.creds_file {
            machine.file(false, &format!("{setting}: creds_file"), file);
        }
    }
}
