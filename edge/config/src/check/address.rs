//! Addresses: `host:port` to listen on, URLs to call.

use std::net::{IpAddr, SocketAddr};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
    pub(super) port: u16,
}

impl Address {
    /// Reads what can be bound: an IP address or a name, and a port.
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
        let Some(port) = port_of(port) else { return Err("has a port that is no number from 0 to 65535") };
        match host {
            "" => Err("has no host"),
            _ if host.contains(':') => Err("is an IPv6 address without brackets"),
            _ if is_name(host) => Ok(Self { host: host.to_ascii_lowercase(), port }),
            _ => Err("has a host that is neither a name nor an IP address"),
        }
    }

    /// Whether both cannot be listened on at once.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        let (one, two) = (self.ip(), other.ip());
        let any = |ip: Option<IpAddr>| ip.is_some_and(|ip| ip.is_unspecified());
        let loopback = |ip: Option<IpAddr>| ip.is_some_and(|ip| ip.is_loopback());
        // On Linux `[::]` takes IPv4 as well; `0.0.0.0` leaves IPv6 alone.
        let takes = |any_of: Option<IpAddr>, other: Option<IpAddr>| {
            any(any_of)
                && (any_of.is_some_and(|ip| ip.is_ipv6()) || other.is_none_or(|ip| ip.is_ipv4() || any(Some(ip))))
        };
        let here = |name: &Self, ip: Option<IpAddr>| name.host == "localhost" && loopback(ip);
        let same = self.host == other.host || takes(one, two) || takes(two, one);
        // Port 0 is any that is free.
        self.port != 0 && self.port == other.port && (same || here(self, two) || here(other, one))
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// What to write instead of an address that cannot be listened on; `port` is usual there.
pub(super) fn instead(text: &str, port: u16) -> String {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or(bare);
    let inside = bare.trim_start_matches('[').trim_end_matches(']');
    let (host, own) = match bare.rsplit_once(':') {
        _ if inside.parse::<IpAddr>().is_ok() => (inside, None),
        Some((host, own)) => (host, port_of(own)),
        None => (bare, None),
    };
    let port = own.unwrap_or(port);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("write \"[{ip}]:{port}\""),
        Ok(IpAddr::V4(ip)) => format!("write \"{ip}:{port}\""),
        Err(_) => match port_of(bare) {
            Some(port) => {
                format!("write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for all addresses of this machine")
            }
            None if host.is_empty() || host == "*" => {
                format!("write \"0.0.0.0:{port}\" for all addresses of this machine")
            }
            None if is_name(host) => format!("write \"{host}:{port}\""),
            None => format!("write host:port, such as \"127.0.0.1:{port}\""),
        },
    }
}

/// Whether `text` is `scheme://host[:port]` with one of `schemes`, perhaps with a path; else what is wrong with it.
pub(super) fn url(text: &str, schemes: &[&str]) -> Result<(), &'static str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Err("has no scheme") };
    if !schemes.contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err("has another scheme");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("has a user name in it");
    }
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port, well) = match bracketed {
        Some((ip, port)) => (ip, port, ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (host, port, is_name(host) || host.parse::<IpAddr>().is_ok())
        }
    };
    match port.strip_prefix(':') {
        _ if host.is_empty() => Err("has no host"),
        _ if !well => Err("has a host that is neither a name nor an IP address"),
        Some(port) if port_of(port).is_none_or(|port| port == 0) => Err("has a port that is no number from 1 to 65535"),
        None if !port.is_empty() => Err("has something behind its host that is no port"),
        _ => Ok(()),
    }
}

fn port_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether it may be the name of a host. Numbers alone are an IP address, or none.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let numbers = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !text.is_empty() && text.len() <= 253 && !numbers && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_bound_is_an_address() {
        for good in ["127.0.0.1:0", "0.0.0.0:8080", "[::]:80", "localhost:8080", "gate_way.plant:1883"] {
            assert!(Address::parse(good).is_ok(), "{good}");
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
            let told = Address::parse(bad).unwrap_err();
            let instead = instead(bad, 8080);
            assert!(told.contains(why) && instead.starts_with(help), "{bad}: {told}; {instead}");
        }
    }

    #[test]
    fn addresses_clash_where_one_socket_would_take_both() {
        let clash = |one: &str, two: &str| {
            let (one, two) = (Address::parse(one).unwrap(), Address::parse(two).unwrap());
            assert_eq!(one.clashes(&two), two.clashes(&one));
            one.clashes(&two)
        };
        for (one, two, clashes) in [
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
            assert_eq!(clash(one, two), clashes, "{one} {two}");
        }
    }

    #[test]
    fn urls_have_a_scheme_and_a_host() {
        for good in ["mqtt://a", "mqtts://a.b:8883", "mqtt://[::1]:1883", "MQTT://10.0.0.1/"] {
            assert_eq!(url(good, &["mqtt", "mqtts"]), Ok(()), "{good}");
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
            assert!(url(bad, &["mqtt", "mqtts"]).is_err(), "{bad}");
        }
    }
}
