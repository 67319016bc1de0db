//! Receivers for the tests: real servers on real sockets.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned, crypto,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::Value;
use wheeltapper_channels::{AlertMessage, AllowedHosts, Attempt, Channel, Event, Notification, Severity, Wording};

/// A time in January 2026.
pub(crate) const NOW: i64 = 1_767_600_120_000_000_000;

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A web server that answers each request with the next of the answers, then with the last.
pub(crate) struct WebServer {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// An answer: status line and headers, and body.
pub(crate) type Answer = (&'static str, &'static str);

impl WebServer {
    pub(crate) fn start(answers: &'static [Answer]) -> Self {
        Self::start_with(answers, None)
    }

    pub(crate) fn start_tls(answers: &'static [Answer], certificates: &Certificates) -> Self {
        Self::start_with(answers, Some(certificates.server_config()))
    }

    fn start_with(answers: &'static [Answer], tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let log = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let number = log.lock().unwrap().len();
                let answer = answers.get(number).or(answers.last()).unwrap();
                // A client that does not accept the certificate has closed the connection.
                match &tls {
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        serve(StreamOwned::new(connection, stream), answer, &log);
                    }
                    None => {
                        serve(stream, answer, &log);
                    }
                }
            }
        });
        Self { port, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The only request.
    pub(crate) fn request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}

/// Logs a request, and answers it.
fn serve(stream: impl Read + Write, (head, body): &Answer, log: &Mutex<Vec<Request>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).ok()?;
    log.lock().unwrap().push(Request { path, headers, body: String::from_utf8(bytes).unwrap() });
    let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.get_mut().write_all(answer.as_bytes()).ok()?;
    stream.get_mut().flush().ok()
}

static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);

/// A certificate authority, and a certificate of a server.
pub(crate) struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    /// For a server with this name.
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        // Each authority has its own name.
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        authority.distinguished_name.push(rcgen::DnType::CommonName, format!("authority {number} of {name}"));
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let ca = authority.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let server = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        for (file, text) in [("ca.pem", ca.pem()), ("cert.pem", server.pem()), ("key.pem", key.serialize_pem())] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_file(self.file("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file("key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config)
    }
}

/// Secrets in files.
pub(crate) struct Secrets(tempfile::TempDir);

impl Secrets {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path: &Path = self.0.path();
        std::fs::write(path.join(name), format!("{text}\n")).unwrap();
        format!("{:?}", path.join(name))
    }
}

/// Opens the channel of a configuration that passes the checks.
pub(crate) fn channel(settings: &str) -> Channel {
    try_channel(settings).unwrap()
}

pub(crate) fn try_channel(settings: &str) -> Result<Channel, wheeltapper_channels::ChannelError> {
    let text = format!("[[alerts.channel]]\nname = \"test\"\ntimeout = \"3s\"\n{settings}");
    let config = wheeltapper_config::parse(&text, "test.toml").unwrap_or_else(|error| panic!("{error}"));
    Channel::open(&config.alerts.channels[0], &AllowedHosts::new(config.alerts.allowed_hosts.as_deref()))
}

pub(crate) fn notification(event: Event) -> Notification {
    let wording = Wording { url: Some("https://plant.example".into()), ..Wording::default() };
    wording.notification(&AlertMessage {
        key: format!("54da40dba52a53d6721e63fb78bbf04a-1767600110000000000-{}", event.name()),
        route: "ops".into(),
        event,
        alert: "54da40dba52a53d6721e63fb78bbf04a".into(),
        asset: "north/hall-1/pump_07* <b>".into(),
        severity: Severity::Critical,
        title: "pump_07* <b>: likely overheating (critical)".into(),
        message: "temperature mean is 60.22 degC, normally 50.00 degC (points to overheating)".into(),
        recommendation: "Check cooling, ventilation and load.".into(),
        fault_mode: Some("overheating".into()),
        anomaly: "4c7b2a7a0143ae81b0ad6bf71515bd5f".into(),
        opened: 1_767_600_100_000_000_000,
        updated: 1_767_600_110_000_000_000,
        row: serde_json::json!({ "id": "54da40dba52a53d6721e63fb78bbf04a", "severity": "critical" }),
    })
}

/// Sends an opened alert once.
pub(crate) fn send(channel: &Channel) -> Attempt {
    channel.send(&notification(Event::Opened), &BTreeSet::new(), NOW)
}

/// What is wrong with an attempt.
pub(crate) fn why(attempt: &Attempt) -> String {
    match &attempt.outcome {
        wheeltapper_channels::Outcome::Rejected { why } | wheeltapper_channels::Outcome::Failed { why, .. } => {
            why.clone()
        }
        other => panic!("{other:?}"),
    }
}
