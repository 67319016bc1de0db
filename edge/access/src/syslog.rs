//! Sends the audit log to a SIEM as RFC 5424 messages, over UDP or a local socket. Sending never blocks a request. An
//! entry that cannot be sent is dropped and counted; it is still in the audit log.

use std::{
    fmt::Write as _,
    net::UdpSocket,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use crate::{
    AccessError,
    audit_entry::{AuditEntry, rfc3339},
};

/// Maximum number of entries that wait for the socket.
const QUEUE_CAPACITY: usize = 4096;
/// Facility 13 (log audit), severity 5 (notice).
const NOTICE: u8 = 13 * 8 + 5;
/// Facility 13 (log audit), severity 4 (warning).
const WARNING: u8 = 13 * 8 + 4;
/// Structured data id. 32473 is the private enterprise number that RFC 5612 reserves for documentation; this project
/// has none of its own.
const STRUCTURED_DATA_ID: &str = "audit@32473";

/// Destination of syslog messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `udp://host:514`; the value is `host:514`.
    Udp(String),
    /// `unix:/dev/log`; the value is the path of a datagram socket.
    Unix(PathBuf),
}

impl Target {
    /// Parses `udp://host:port` or `unix:/path`.
    ///
    /// # Errors
    /// [`AccessError::Settings`] when the text has neither form.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let udp = text.strip_prefix("udp://").filter(|address| {
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        });
        match (udp, text.strip_prefix("unix:")) {
            (Some(address), _) => Ok(Self::Udp(address.to_owned())),
            (_, Some(path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            _ => Err(AccessError::Settings(format!(
                "syslog = {text:?} is not a syslog target; write \"udp://host:514\" or \"unix:/dev/log\""
            ))),
        }
    }
}

/// Queue of messages and the thread that sends them.
#[derive(Debug)]
pub(crate) struct Syslog {
    sender: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl Syslog {
    pub(crate) fn start(target: Target) -> Result<Self, AccessError> {
        let (sender, queue) = sync_channel(QUEUE_CAPACITY);
        let lost = Arc::new(AtomicU64::new(0));
        let lost_by_thread = Arc::clone(&lost);
        thread::Builder::new()
            .name("syslog".into())
            .spawn(move || send_loop(&target, &queue, &lost_by_thread))
            .map_err(|error| AccessError::Settings(format!("syslog: the thread cannot be started: {error}")))?;
        Ok(Self { sender, dropped: lost })
    }

    /// Queues an entry; drops and counts it when the queue is full. Never blocks.
    pub(crate) fn send(&self, entry: &AuditEntry) {
        if self.sender.try_send(format_message(entry, &host_name(), std::process::id())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn send_loop(target: &Target, queue: &Receiver<String>, lost: &AtomicU64) {
    let mut socket = None;
    for message in queue {
        if socket.is_none() {
            socket = Socket::open(target).ok();
        }
        let sent = socket.as_ref().is_some_and(|socket| socket.send(message.as_bytes()).is_ok());
        if !sent {
            // Open the socket again for the next message: a restarted daemon has a new socket.
            socket = None;
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Socket {
    fn open(target: &Target) -> std::io::Result<Self> {
        match target {
            Target::Udp(address) => {
                let local =
                    |any: &str| UdpSocket::bind(any).and_then(|socket| socket.connect(address).map(|()| socket));
                local("0.0.0.0:0").or_else(|_| local("[::]:0")).map(Self::Udp)
            }
            Target::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Self::Unix(socket))
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.send(bytes),
            Self::Unix(socket) => socket.send(bytes),
        }
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain: String = name.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    if plain.is_empty() { "-".into() } else { plain }
}

/// Formats an entry as an RFC 5424 message.
fn format_message(entry: &AuditEntry, host: &str, process: u32) -> String {
    let failed = entry.outcome.starts_with(['4', '5']) || entry.outcome == "failed";
    let priority = if failed { WARNING } else { NOTICE };
    let mut line = format!(
        "<{priority}>1 {} {host} wheeltapper {process} audit [{STRUCTURED_DATA_ID}",
        rfc3339_microseconds(entry.time)
    );
    let seq = entry.seq.to_string();
    for (name, value) in [
        ("seq", &seq),
        ("actor", &entry.actor),
        ("action", &entry.action),
        ("target", &entry.target),
        ("outcome", &entry.outcome),
        ("address", &entry.address),
        ("detail", &entry.detail),
        ("hash", &entry.hash),
    ] {
        if !value.is_empty() {
            let _ = write!(line, " {name}=\"{}\"", escape(value));
        }
    }
    // RFC 5424 requires a byte order mark before UTF-8 text.
    let _ = write!(
        line,
        "] \u{feff}{} {} {}: {}",
        replace_control_characters(&entry.actor),
        replace_control_characters(&entry.action),
        replace_control_characters(&entry.target),
        replace_control_characters(&entry.outcome)
    );
    line
}

/// Formats a time with at most six fractional digits, the maximum of RFC 5424.
fn rfc3339_microseconds(time: i64) -> String {
    rfc3339(time.div_euclid(1000).saturating_mul(1000))
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for character in replace_control_characters(text).chars() {
        if matches!(character, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Replaces control characters, so that a client-supplied name cannot add a line.
fn replace_control_characters(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            seq: 7,
            time: 1_767_225_600_123_456_789,
            actor: "ada\n<1>1 forged".into(),
            action: "login".into(),
            target: "a\"b]c\\d".into(),
            outcome: "401".into(),
            address: "192.0.2.1".into(),
            detail: String::new(),
            hash: "00ff".into(),
        }
    }

    #[test]
    fn a_message_is_one_well_formed_line() {
        assert_eq!(
            format_message(&entry(), "plant", 42),
            "<108>1 2026-01-01T00:00:00.123456Z plant wheeltapper 42 audit [audit@32473 seq=\"7\" \
             actor=\"ada <1>1 forged\" action=\"login\" target=\"a\\\"b\\]c\\\\d\" outcome=\"401\" address=\"192.0.2.1\" \
             hash=\"00ff\"] \u{feff}ada <1>1 forged login a\"b]c\\d: 401"
        );
    }

    #[test]
    fn targets_are_parsed() {
        assert_eq!(Target::parse("udp://siem:514").unwrap(), Target::Udp("siem:514".into()));
        assert_eq!(Target::parse("unix:/dev/log").unwrap(), Target::Unix("/dev/log".into()));
        for bad in ["tcp://siem:514", "udp://siem", "unix:log", "udp://:514", ""] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn messages_reach_a_socket_and_sending_never_blocks() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let syslog = Syslog::start(Target::Udp(server.local_addr().unwrap().to_string())).unwrap();
        syslog.send(&entry());
        let mut bytes = [0; 4096];
        let length = server.recv(&mut bytes).unwrap();
        assert!(bytes[..length].starts_with(b"<108>1 2026-01-01T00:00:00.123456Z "));

        let nowhere = Syslog::start(Target::Unix("/nowhere/at/all".into())).unwrap();
        for _ in 0..3 * QUEUE_CAPACITY {
            nowhere.send(&entry());
        }
        let began = std::time::Instant::now();
        while nowhere.dropped() < 3 * QUEUE_CAPACITY as u64 {
            assert!(began.elapsed().as_secs() < 10, "{}", nowhere.dropped());
            thread::yield_now();
        }
    }
}
