//! Parsing of listen addresses (`host:port`) and of URLs of servers.

use std::net::{IpAddr, SocketAddr};

/// A listen address: host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListenAddress {
    host: String,
    pub(super) port: u16,
}

impl ListenAddress {
    /// Parses an IP address or host name with a port. The error completes a sentence that begins with the address, such
    /// as "has no port".
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { host: address.ip().to_string(), port: address.port() });
        }
        if text.contains("://") {
            return Err("is a URL");
        }
        if text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok() {
            return Err("has no port");
        }
        let Some((host, port)) = text.rsplit_once(':') else { return Err("has no port") };
        let Some(port) = parse_port(port) else { return Err("has a port that is not a number from 0 to 65535") };
        match host {
            "" => Err("has no host"),
            _ if host.contains(':') => Err("is an IPv6 address without brackets"),
            _ if is_host_name(host) => Ok(Self { host: host.to_ascii_lowercase(), port }),
            _ => Err("has a host that is neither a name nor an IP address"),
        }
    }

    /// Whether two sockets cannot listen on both addresses at the same time.
    pub(super) fn conflicts_with(&self, other: &Self) -> bool {
        let (first, second) = (self.ip(), other.ip());
        let any = |ip: Option<IpAddr>| ip.is_some_and(|ip| ip.is_unspecified());
        let loopback = |ip: Option<IpAddr>| ip.is_some_and(|ip| ip.is_loopback());
        // On Linux `[::]` also covers IPv4; `0.0.0.0` does not cover IPv6.
        let covers = |any_of: Option<IpAddr>, other: Option<IpAddr>| {
            any(any_of)
                && (any_of.is_some_and(|ip| ip.is_ipv6()) || other.is_none_or(|ip| ip.is_ipv4() || any(Some(ip))))
        };
        let is_loopback_name = |name: &Self, ip: Option<IpAddr>| name.host == "localhost" && loopback(ip);
        let same = self.host == other.host || covers(first, second) || covers(second, first);
        // Port 0 means any free port.
        self.port != 0
            && self.port == other.port
            && (same || is_loopback_name(self, second) || is_loopback_name(other, first))
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Suggests a valid listen address for an invalid one; `port` is the default port.
pub(super) fn suggest_address(text: &str, port: u16) -> String {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or(bare);
    let inside = bare.trim_start_matches('[').trim_end_matches(']');
    let (host, own) = match bare.rsplit_once(':') {
        _ if inside.parse::<IpAddr>().is_ok() => (inside, None),
        Some((host, own)) => (host, parse_port(own)),
        None => (bare, None),
    };
    let port = own.unwrap_or(port);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("write \"[{ip}]:{port}\""),
        Ok(IpAddr::V4(ip)) => format!("write \"{ip}:{port}\""),
        Err(_) => match parse_port(bare) {
            Some(port) => {
                format!("write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for all addresses of this machine")
            }
            None if host.is_empty() || host == "*" => {
                format!("write \"0.0.0.0:{port}\" for all addresses of this machine")
            }
            None if is_host_name(host) => format!("write \"{host}:{port}\""),
            None => format!("write host:port, such as \"127.0.0.1:{port}\""),
        },
    }
}

/// Checks that `text` is `scheme://host[:port]` with one of `schemes` and an optional path. The error completes a
/// sentence that begins with the URL, such as "has no host".
pub(super) fn check_url(text: &str, schemes: &[&str]) -> Result<(), &'static str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Err("has no scheme") };
    if !schemes.contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err("has an unsupported scheme");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("has a user name in it");
    }
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port, is_host) = match bracketed {
        Some((ip, port)) => (ip, port, ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (host, port, is_host_name(host) || host.parse::<IpAddr>().is_ok())
        }
    };
    match port.strip_prefix(':') {
        _ if host.is_empty() => Err("has no host"),
        _ if !is_host => Err("has a host that is neither a name nor an IP address"),
        Some(port) if parse_port(port).is_none_or(|port| port == 0) => {
            Err("has a port that is not a number from 1 to 65535")
        }
        None if !port.is_empty() => Err("has text after the host that is not a port"),
        _ => Ok(()),
    }
}

/// Returns the host of a URL, or the text itself if it is not one.
pub(super) fn host_of(text: &str) -> Option<&str> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ip, _)) => ip,
        None if authority.matches(':').count() > 1 => authority,
        None => authority.split(':').next().unwrap_or_default(),
    };
    (!host.is_empty()).then_some(host)
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether the text can be a host name. Text of only digits and dots is not: it is an IP address or invalid.
fn is_host_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let numbers = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !text.is_empty() && text.len() <= 253 && !numbers && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_parsed_or_corrected() {
        for good in ["127.0.0.1:0", "0.0.0.0:8080", "[::]:80", "localhost:8080", "gate_way.plant:1883"] {
            assert!(ListenAddress::parse(good).is_ok(), "{good}");
        }
        for (bad, why, help) in [
            ("127.0.0.1", "no port", "write \"127.0.0.1:8080\""),
            ("[::1]", "no port", "write \"[::1]:8080\""),
            ("::1", "no port", "write \"[::1]:8080\""),
            ("::1:90", "no port", "write \"[::1:90]:8080\""),
            ("localhost", "no port", "write \"localhost:8080\""),
            ("9000", "no port", "write \"127.0.0.1:9000\""),
            (":9000", "no host", "write \"0.0.0.0:9000\""),
            ("*:9000", "neither", "write \"0.0.0.0:9000\""),
            ("127.0.0.1:99999", "65535", "write \"127.0.0.1:8080\""),
            ("127.0.0.1:+80", "65535", "write \"127.0.0.1:8080\""),
            ("127.0.0.1:", "65535", "write \"127.0.0.1:8080\""),
            ("256.0.0.1:80", "neither", "write host:port"),
            ("a b:80", "neither", "write host:port"),
            ("http://plant.example:80/x", "URL", "write \"plant.example:80\""),
            ("", "no port", "write \"0.0.0.0:8080\""),
        ] {
            let error = ListenAddress::parse(bad).unwrap_err();
            let suggestion = suggest_address(bad, 8080);
            assert!(error.contains(why) && suggestion.starts_with(help), "{bad}: {error}; {suggestion}");
        }
    }

    #[test]
    fn addresses_conflict_if_one_socket_covers_both() {
        let clash = |first: &str, second: &str| {
            let (first, second) = (ListenAddress::parse(first).unwrap(), ListenAddress::parse(second).unwrap());
            assert_eq!(first.conflicts_with(&second), second.conflicts_with(&first));
            first.conflicts_with(&second)
        };
        for (first, second, clashes) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "plant.example:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("0.0.0.0:80", "[::]:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("LOCALHOST:80", "localhost:80", true),
            ("localhost:80", "127.0.0.1:80", true),
            ("localhost:80", "192.0.2.1:80", false),
        ] {
            assert_eq!(clash(first, second), clashes, "{first} {second}");
        }
    }

    #[test]
    fn urls_have_a_scheme_and_a_host() {
        for good in ["mqtt://a", "mqtts://a.b:8883", "mqtt://[::1]:1883", "MQTT://10.0.0.1/"] {
            assert_eq!(check_url(good, &["mqtt", "mqtts"]), Ok(()), "{good}");
        }
        for bad in [
            "a:1883",
            "http://a",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://u:p@a",
            "mqtt://a:0",
            "mqtt://a:x",
            "mqtt://[::1]x",
            "mqtt://a b",
        ] {
            assert!(check_url(bad, &["mqtt", "mqtts"]).is_err(), "{bad}");
        }
    }
}
