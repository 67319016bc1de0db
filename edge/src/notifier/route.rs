//! The receiver of a route, and which alerts it gets.

use std::env;

use anyhow::{Context as _, ensure};
use ureq::http::Uri;
use wheeltapper_config::AlertRoute;

use crate::{
    components::wit::types::{Alert, Severity},
    intake::site_filter::is_at_sites,
};

/// A route whose URL has been resolved and checked.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) target: Target,
    min_severity: u8,
    sites: Vec<String>,
}

/// Where the notifications of a route go.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// This URL, which may hold a secret.
    Webhook(String),
    /// The outboxes of these channels.
    Channels(Vec<String>),
}

impl Route {
    /// Reads the URL, from the environment if the configuration names a variable, and checks it.
    ///
    /// # Errors
    /// What was expected, what was received and what to do; never the URL itself, which may hold a secret.
    pub(super) fn new(route: &AlertRoute) -> anyhow::Result<Self> {
        let target = if route.channels.is_empty() {
            Target::Webhook(webhook_url(route)?)
        } else {
            Target::Channels(route.channels.clone())
        };
        let min_severity = match route.severity.as_str() {
            "medium" => Severity::Medium,
            "high" => Severity::High,
            "critical" => Severity::Critical,
            _ => Severity::Low,
        };
        Ok(Self { name: route.name.clone(), target, min_severity: rank(min_severity), sites: route.sites.clone() })
    }

    /// The channels of the route; none if it has a webhook.
    pub(super) fn channels(&self) -> &[String] {
        match &self.target {
            Target::Webhook(_) => &[],
            Target::Channels(channels) => channels,
        }
    }

    /// Whether this route sends notifications of an alert.
    pub(super) fn matches(&self, alert: &Alert) -> bool {
        rank(alert.severity) >= self.min_severity && (self.sites.is_empty() || is_at_sites(&alert.asset, &self.sites))
    }
}

/// Reads and checks the URL of a route's webhook.
fn webhook_url(route: &AlertRoute) -> anyhow::Result<String> {
    let url = match (&route.webhook, &route.webhook_env) {
        (Some(url), _) => url.clone(),
        (None, Some(name)) => env::var(name)
            .with_context(|| format!("[[alerts.route]] {}: the environment variable {name} is not set", route.name))?,
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
    Ok(url)
}

fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Low => 0,
        Severity::Medium => 1,
        Severity::High => 2,
        Severity::Critical => 3,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::notifier::tests::alert;

    #[test]
    fn a_route_gets_the_alerts_of_its_sites() {
        let route = |sites: &[&str]| {
            Route::new(&AlertRoute {
                name: "ops".into(),
                severity: "low".into(),
                sites: sites.iter().map(|&site| site.to_owned()).collect(),
                webhook: Some("http://127.0.0.1:9/".into()),
                webhook_env: None,
                channels: Vec::new(),
            })
            .unwrap()
        };
        for (sites, asset, matches) in [
            (&[][..], "plant/hall-1/pump", true),
            (&["plant"], "plant/hall-1/pump", true),
            (&["plant/hall-1"], "plant/hall-1/pump", true),
            (&["plant/hall-1"], "plant/hall-10/pump", false),
            (&["plan"], "plant/hall-1/pump", false),
            (&["other", "plant/hall-1"], "plant/hall-1/pump", true),
        ] {
            assert_eq!(route(sites).matches(&alert("1", asset, "Open")), matches, "{sites:?} {asset}");
        }
    }
}
