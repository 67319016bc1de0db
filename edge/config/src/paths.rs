//! Resolves the relative paths in a configuration.

use std::path::{Path, PathBuf};

use crate::Config;

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
        paths.extend(self.line.components.values_mut());
        paths.extend(self.detect.run_to_failure.iter_mut().flat_map(|runs_to_failure| &mut runs_to_failure.files));
        paths
    }
}
