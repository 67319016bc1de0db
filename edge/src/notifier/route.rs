//! The receiver of a route, and which alerts it gets.

use std::env;

use anyhow::{Context as _, ensure};
use ureq::http::Uri;
use wheeltapper_config::AlertRoute;

use crate::components::wit::types::{Alert, Severity};

/// A route whose URL has been resolved and checked.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) url: String,
    min_severity: u8,
    sites: Vec<String>,
}

impl Route {
    /// Reads the URL, from the environment if the configuration names a variable, and checks it.
    ///
    /// # Errors
    /// What was expected, what was received and what to do; never the URL itself, which may hold a secret.
    pub(super) fn new(route: &AlertRoute) -> anyhow::Result<Self> {
        let url = match (&route.webhook, &route.webhook_env) {
            (Some(url), _) => url.clone(),
            (None, Some(name)) => env::var(name).with_context(|| {
                format!("[[alerts.route]] {}: the environment variable {name} is not set", route.name)
            })?,
            (None, None) => anyhow::bail!("[[alerts.route]] {}: give webhook or webhook_env", route.name),
        };
        let url = url.trim().to_owned();
        let setting = route.webhook_env.as_deref().unwrap_or("webhook");
        let uri: Uri = url.parse().ok().with_context(|| {
            format!("[[alerts.route]] {}: the value of {setting} is not a URL; write https://host/path", route.name)
        })?;
        ensure!(
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty()),
            "[[alerts.route]] {}: the value of {setting} is not a URL of a web server; write https://host/path",
            route.name
        );
        let min_severity = match route.severity.as_str() {
            "medium" => Severity::Medium,
            "high" => Severity::High,
            "critical" => Severity::Critical,
            _ => Severity::Low,
        };
        Ok(Self { name: route.name.clone(), url, min_severity: rank(min_severity), sites: route.sites.clone() })
    }

    /// Whether this route sends notifications of an alert.
    pub(super) fn matches(&self, alert: &Alert) -> bool {
        let site = alert.asset.split('/').next().unwrap_or_default();
        rank(alert.severity) >= self.min_severity
            && (self.sites.is_empty() || self.sites.iter().any(|allowed| allowed == site))
    }
}

fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Low => 0,
        Severity::Medium => 1,
        Severity::High => 2,
        Severity::Critical => 3,
    }
}
