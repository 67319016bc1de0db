//! The hosts to which channels may send.

use crate::ChannelError;

/// A list of allowed hosts: names, or `*.example.com` for all hosts of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Option<Vec<String>>);

impl AllowedHosts {
    /// `None` allows all hosts.
    pub fn new(hosts: Option<&[String]>) -> Self {
        let normalize = |host: &String| normalized(host);
        Self(hosts.map(|hosts| hosts.iter().map(normalize).collect()))
    }

    /// Whether a channel may send to a host: a name or an IP address, without port.
    pub fn allows(&self, host: &str) -> bool {
        let Some(allowed) = &self.0 else { return true };
        let host = normalized(host);
        allowed.iter().any(|allowed| match allowed.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
            None => *allowed == host,
        })
    }

    pub(crate) fn check(&self, host: &str) -> Result<(), ChannelError> {
        if self.allows(host) {
            return Ok(());
        }
        Err(ChannelError::new(
            format!("the host {host} is not in allowed_hosts of [alerts]"),
            "add it to the list if alerts may be sent there",
        ))
    }
}

/// Lower case, without brackets of an IPv6 address and without the dot of a fully qualified name.
fn normalized(host: &str) -> String {
    host.trim().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_hosts_are_allowed() {
        assert!(AllowedHosts::default().allows("anything"));
        let hosts =
            AllowedHosts::new(Some(&["Mail.plant".to_owned(), "*.logic.azure.com".to_owned(), "::1".to_owned()]));
        for (host, allowed) in [
            ("mail.plant", true),
            ("MAIL.PLANT.", true),
            ("evil-mail.plant", false),
            ("mail.plant.evil.example", false),
            ("prod-1.west.logic.azure.com", true),
            ("logic.azure.com", false),
            ("evillogic.azure.com", false),
            (".logic.azure.com", false),
            ("[::1]", true),
            ("127.0.0.1", false),
        ] {
            assert_eq!(hosts.allows(host), allowed, "{host}");
        }
        assert!(!AllowedHosts::new(Some(&[])).allows("mail.plant"));
    }
}
