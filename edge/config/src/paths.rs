//! Resolves the relative paths in a configuration.

use std::path::{Path, PathBuf};

use crate::{AlertChannel, Config};

impl Config {
    /// Makes each relative path relative to `folder`, the folder of the configuration file, so that it does not depend
    /// on the working directory of the host.
    pub(crate) fn resolve_paths(&mut self, folder: &Path) {
        for path in self.paths().into_iter().filter(|path| path.is_relative()) {
            *path = folder.join(&*path);
        }
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = vec![&mut self.data];
        let broker = self.mqtt.broker.as_mut();
        let (tls, users) = broker.map_or((None, None), |broker| (broker.tls.as_mut(), Some(&mut broker.users)));
        for tls in [self.http.tls.as_mut(), tls].into_iter().flatten() {
            paths.extend([&mut tls.cert, &mut tls.key]);
        }
        paths.extend(self.http.sources.iter_mut().filter_map(|source| source.secret_file.as_mut()));
        paths.extend(users.into_iter().flatten().filter_map(|user| user.password_file.as_mut()));
        for client in &mut self.mqtt.clients {
            paths.extend([client.password_file.as_mut(), client.ca_file.as_mut()].into_iter().flatten());
        }
        paths.extend(self.nats.iter_mut().filter_map(|nats| nats.creds_file.as_mut()));
        paths.extend(self.access.oidc.iter_mut().filter_map(|oidc| oidc.jwks_file.as_mut()));
        paths.extend(self.alerts.channels.iter_mut().flat_map(channel_paths));
        paths.extend(self.line.components.values_mut());
        paths.extend(self.detect.run_to_failure.iter_mut().flat_map(|runs_to_failure| &mut runs_to_failure.files));
        paths
    }
}

/// The paths of a channel: its certificates, secrets and template.
fn channel_paths(channel: &mut AlertChannel) -> impl Iterator<Item = &mut PathBuf> {
    let mut paths = vec![channel.ca_file.as_mut()];
    paths.extend(channel.email.as_mut().map(|email| email.password_file.as_mut()));
    paths.extend(channel.slack.as_mut().map(|slack| slack.url_file.as_mut()));
    paths.extend(channel.teams.as_mut().map(|teams| teams.url_file.as_mut()));
    paths.extend(channel.pagerduty.as_mut().map(|pagerduty| pagerduty.routing_key_file.as_mut()));
    paths.extend(channel.telegram.as_mut().map(|telegram| telegram.token_file.as_mut()));
    paths.extend(channel.ntfy.as_mut().map(|ntfy| ntfy.token_file.as_mut()));
    paths.extend(
        [channel.sms.as_mut(), channel.voice.as_mut()].into_iter().flatten().map(|twilio| twilio.token_file.as_mut()),
    );
    if let Some(webhook) = channel.webhook.as_mut() {
        paths.extend([webhook.url_file.as_mut(), webhook.secret_file.as_mut(), webhook.template_file.as_mut()]);
    }
    paths.extend(channel.mqtt.as_mut().map(|mqtt| mqtt.password_file.as_mut()));
    paths.into_iter().flatten()
}
