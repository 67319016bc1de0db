//! Syslog: RFC 5424 messages with the Common Event Format (CEF), over UDP, TCP (RFC 6587, octet counting) or TLS
//! (RFC 5425).
//!
//! Limits: 2,048 bytes of a message over UDP, which receivers should accept (RFC 5424, 6.1), and the lengths of CEF's
//! extension dictionary.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream, ToSocketAddrs as _, UdpSocket},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConnection, RootCertStore, StreamOwned, crypto,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use crate::{
    ChannelError, Notification, Outcome, Severity,
    clock::{SECOND, rfc3339},
    hosts::AllowedHosts,
    notification::Event,
    text::{self, Unit},
};

const MAX_UDP_BYTES: usize = 2048;
const MAX_STREAM_BYTES: usize = 8192;
/// How long the server may take to close a connection after the last message.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of unread bytes that are read before the connection is closed.
const MAX_UNREAD: usize = 64 << 10;
/// Facility 16 (local0).
const FACILITY: u8 = 16;

/// How messages travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Tls {
        /// PEM certificates to trust instead of the operating system's.
        ca: Option<Vec<u8>>,
    },
}

/// A syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Syslog {
    host: String,
    port: u16,
    transport: Transport,
    timeout: Duration,
}

impl Syslog {
    /// Parses `udp://host:514`, `tcp://host:601` or `tls://host:6514`; the port may be left out.
    ///
    /// # Errors
    /// If the URL has another form, or its host is not allowed.
    pub(crate) fn new(
        url: &str,
        ca: Option<Vec<u8>>,
        timeout: Duration,
        hosts: &AllowedHosts,
    ) -> Result<Self, ChannelError> {
        let wrong = || {
            ChannelError::new(
                "url is not that of a syslog server",
                "write udp://host:514, tcp://host:601 or tls://host:6514",
            )
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (transport, default_port) = match scheme {
            "udp" => (Transport::Udp, 514),
            "tcp" => (Transport::Tcp, 601),
            "tls" => (Transport::Tls { ca }, 6514),
            _ => return Err(wrong()),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (rest, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong());
        }
        hosts.check(host)?;
        Ok(Self { host: host.to_owned(), port, transport, timeout })
    }

    /// Sends a notification once. `process` is the number of this process.
    pub(crate) fn send(&self, notification: &Notification, process: u32) -> Outcome {
        let limit = if self.transport == Transport::Udp { MAX_UDP_BYTES } else { MAX_STREAM_BYTES };
        let message = message(notification, &host_name(), process, limit);
        let server = format!("{}:{}", self.host, self.port);
        let sent = match &self.transport {
            Transport::Udp => self.send_datagram(&message),
            Transport::Tcp => self.send_over_tcp(&message),
            Transport::Tls { ca } => self.send_over_tls(ca.as_deref(), &message),
        };
        match sent {
            Ok(()) if self.transport == Transport::Udp => {
                Outcome::Accepted { note: "UDP confirms nothing: look for the message on the server".into() }
            }
            Ok(()) => Outcome::Accepted { note: "syslog confirms nothing: look for the message on the server".into() },
            Err(error) => Outcome::failed(
                crate::tls::explain(&server, &error.to_string())
                    .unwrap_or_else(|| format!("{server}: {error}; check `url`, and that the server runs")),
            ),
        }
    }

    fn send_datagram(&self, message: &str) -> std::io::Result<()> {
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            match UdpSocket::bind(local).and_then(|socket| socket.send_to(message.as_bytes(), address)) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(stream) => {
                    stream.set_write_timeout(Some(self.timeout))?;
                    stream.set_read_timeout(Some(self.timeout))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn send_over_tcp(&self, message: &str) -> std::io::Result<()> {
        let mut stream = self.connect()?;
        write_frame(&mut stream, message)?;
        finish(stream);
        Ok(())
    }

    fn send_over_tls(&self, ca: Option<&[u8]>, message: &str) -> std::io::Result<()> {
        let invalid = |error: String| std::io::Error::new(std::io::ErrorKind::InvalidInput, error);
        let mut roots = RootCertStore::empty();
        match ca {
            Some(pem) => {
                roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(self.host.clone()).map_err(|error| invalid(error.to_string()))?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(|error| invalid(error.to_string()))?;
        let mut stream = StreamOwned::new(connection, self.connect()?);
        write_frame(&mut stream, message)?;
        stream.conn.send_close_notify();
        stream.flush()?;
        finish(stream.sock);
        Ok(())
    }
}

/// Ends a connection after the last byte. A socket that is closed while it has unread bytes, such as session tickets of
/// TLS, is reset, and then the server may not read the message.
fn finish(mut stream: TcpStream) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let _ = stream.set_read_timeout(Some(CLOSE_TIMEOUT));
    let mut buffer = [0; 4096];
    for _ in 0..MAX_UNREAD / buffer.len() {
        if !matches!(stream.read(&mut buffer), Ok(count) if count > 0) {
            return;
        }
    }
}

/// Writes a message with its length in front.
fn write_frame(to: &mut impl std::io::Write, message: &str) -> std::io::Result<()> {
    to.write_all(format!("{} {message}", message.len()).as_bytes())?;
    to.flush()
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

/// Returns the message, with at most `limit` bytes.
pub(crate) fn message(notification: &Notification, host: &str, process: u32, limit: usize) -> String {
    let priority = FACILITY * 8 + syslog_severity(notification);
    let head = format!("<{priority}>1 {} {host} wheeltapper {process} alert - ", rfc3339(notification.time),);
    let room = limit.saturating_sub(head.len());
    let mut share = 1;
    loop {
        let cef = cef(notification, share);
        if cef.len() <= room || share >= 256 {
            return head + &cef;
        }
        share *= 2;
    }
}

/// Returns the event in CEF. `share` divides the limits of texts.
fn cef(notification: &Notification, share: usize) -> String {
    let header = |text: &str, limit: usize| text::clamp(text, limit / share, Unit::Bytes, text::cef_header);
    let mut text = format!(
        "CEF:0|Wheeltapper|Wheeltapper|{}|{}|{}|{}|",
        env!("CARGO_PKG_VERSION"),
        header(notification.fault_mode.as_deref().unwrap_or(notification.event.name()), 256),
        header(&notification.subject, 512),
        cef_severity(notification.severity),
    );
    let sections = notification.body();
    let milliseconds = (notification.time / (SECOND / 1000)).to_string();
    let values = [
        ("rt", milliseconds.as_str(), 20),
        ("act", notification.event.name(), 63),
        ("externalId", notification.thread.as_str(), 40),
        ("dvchost", notification.asset.as_str(), 100),
        ("cs1Label", "severity", 63),
        ("cs1", notification.severity.name(), 63),
        ("request", notification.link.as_deref().unwrap_or_default(), 1023),
        ("msg", sections.as_str(), 1023),
    ];
    let is_short = |key: &str| matches!(key, "rt" | "act" | "externalId" | "cs1" | "cs1Label");
    let pairs: Vec<String> = values
        .into_iter()
        .filter(|(_, value, _)| !value.is_empty())
        .map(|(key, value, limit)| {
            let limit = if is_short(key) { limit } else { limit / share };
            format!("{key}={}", text::clamp(value, limit, Unit::Bytes, text::cef_value))
        })
        .collect();
    text.push_str(&pairs.join(" "));
    text
}

/// Severities of RFC 5424: 2 critical, 3 error, 4 warning, 5 notice, 6 informational.
fn syslog_severity(notification: &Notification) -> u8 {
    match (notification.event, notification.severity) {
        (Event::Resolved | Event::Test, _) => 5,
        (_, Severity::Critical) => 2,
        (_, Severity::High) => 3,
        (_, Severity::Medium) => 4,
        (_, Severity::Low) => 6,
    }
}

/// Severities of CEF are from 0 to 10: 0 to 3 low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high.
fn cef_severity(severity: Severity) -> u8 {
    match severity {
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    }
}
