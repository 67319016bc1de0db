//! Test support: a running broker, a sink with verdicts set by the test, and a client that sends raw bytes.
#![allow(dead_code, reason = "each test file uses only some of the helpers")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, sync::watch};
use wheeltapper_mqtt::{
    Authenticator, Broker, BrokerConfig, BrokerHandle, Exchange, ReleaseFuture, Sink, SinkMessage, Verdict,
};

type Answer = std::pin::Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// A sink that records all messages; the test provides the verdict function.
pub struct Recorder {
    received: Mutex<Vec<SinkMessage>>,
    verdict: Box<dyn Fn(&SinkMessage) -> Verdict + Send + Sync>,
    /// Verdicts are returned only while this is `true`.
    gate: watch::Sender<bool>,
    released: Mutex<Vec<Exchange>>,
    forgotten: Mutex<Vec<String>>,
    /// Releases complete only while this is `true`.
    release_gate: watch::Sender<bool>,
}

impl Recorder {
    pub fn new(verdict: impl Fn(&SinkMessage) -> Verdict + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            received: Mutex::default(),
            verdict: Box::new(verdict),
            gate: watch::Sender::new(true),
            released: Mutex::default(),
            forgotten: Mutex::default(),
            release_gate: watch::Sender::new(true),
        })
    }

    pub fn storing() -> Arc<Self> {
        Self::new(|_| Verdict::Stored)
    }

    pub fn set_gate(&self, open: bool) {
        self.gate.send_replace(open);
    }

    pub fn set_release_gate(&self, open: bool) {
        self.release_gate.send_replace(open);
    }

    pub fn released(&self) -> Vec<Exchange> {
        self.released.lock().unwrap().clone()
    }

    pub fn forgotten(&self) -> Vec<String> {
        self.forgotten.lock().unwrap().clone()
    }

    pub fn received(&self) -> Vec<SinkMessage> {
        self.received.lock().unwrap().clone()
    }

    pub fn payloads(&self) -> Vec<String> {
        self.received().iter().map(|publish| String::from_utf8_lossy(&publish.payload).into_owned()).collect()
    }
}

impl Sink for Recorder {
    fn accept(&self, publish: SinkMessage) -> Answer {
        let verdict = (self.verdict)(&publish);
        self.received.lock().unwrap().push(publish);
        let mut gate = self.gate.subscribe();
        Box::pin(async move {
            gate.wait_for(|open| *open).await.unwrap();
            verdict
        })
    }

    fn release(&self, exchange: Exchange) -> ReleaseFuture {
        self.released.lock().unwrap().push(exchange);
        let mut gate = self.release_gate.subscribe();
        Box::pin(async move { gate.wait_for(|open| *open).await.is_ok() })
    }

    fn end_session(&self, session: &str) {
        self.forgotten.lock().unwrap().push(session.into());
    }
}

/// A running broker; it stops when this value is dropped.
pub struct RunningBroker {
    pub address: SocketAddr,
    pub tls: Option<SocketAddr>,
    pub handle: BrokerHandle,
    pub runtime: Runtime,
    pub task: tokio::task::JoinHandle<()>,
}

pub fn config() -> BrokerConfig {
    BrokerConfig { listen: "127.0.0.1:0".into(), ..BrokerConfig::default() }
}

pub fn start(config: BrokerConfig, sink: Arc<Recorder>) -> RunningBroker {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let broker = runtime.block_on(Broker::bind(config, sink)).unwrap();
    serve(runtime, broker)
}

/// Like `start`, with an authenticator.
pub fn start_with(config: BrokerConfig, sink: Arc<Recorder>, auth: Arc<dyn Authenticator>) -> RunningBroker {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let broker = runtime.block_on(Broker::bind_with(config, sink, auth)).unwrap();
    serve(runtime, broker)
}

fn serve(runtime: Runtime, mut broker: Broker) -> RunningBroker {
    let (address, tls, handle) = (broker.local_addr(), broker.tls_addr(), broker.handle());
    let task = runtime.spawn(async move { broker.run().await });
    RunningBroker { address, tls, handle, runtime, task }
}

/// Waits until `done` returns true; fails after 20 s.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} did not happen in 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The variable fields of a CONNECT.
pub struct ConnectParams<'a> {
    pub v5: bool,
    pub client_id: &'a str,
    pub clean_start: bool,
    pub keep_alive: u16,
    pub properties: &'a [u8],
    /// Topic, payload, QoS, properties.
    pub will: Option<(&'a str, &'a str, u8, &'a [u8])>,
    pub login: Option<(&'a str, &'a str)>,
}

pub fn connect_params(v5: bool, id: &str) -> ConnectParams<'_> {
    ConnectParams { v5, client_id: id, clean_start: true, keep_alive: 0, properties: &[], will: None, login: None }
}

pub fn length_prefixed(text: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = text.as_ref();
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let more = if left > 127 { 0x80 } else { 0 };
        out.push((left & 0x7F) as u8 | more);
        left >>= 7;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

/// A client that sends and receives raw packets.
pub struct RawClient {
    pub stream: TcpStream,
    pub v5: bool,
}

impl RawClient {
    pub fn open(address: SocketAddr, v5: bool) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, v5 }
    }

    /// Sends a CONNECT. Returns the client and the body of the CONNACK: flags, code and properties.
    pub fn connect(address: SocketAddr, connect: &ConnectParams<'_>) -> (Self, Vec<u8>) {
        let mut raw = Self::open(address, connect.v5);
        let mut flags = u8::from(connect.clean_start) << 1;
        if let Some(will) = connect.will {
            flags |= 4 | will.2 << 3;
        }
        if connect.login.is_some() {
            flags |= 0xC0;
        }
        let mut body = [&length_prefixed("MQTT")[..], &[if connect.v5 { 5 } else { 4 }, flags]].concat();
        body.extend(connect.keep_alive.to_be_bytes());
        let properties = |body: &mut Vec<u8>, properties: &[u8]| {
            if connect.v5 {
                body.push(properties.len() as u8);
                body.extend(properties);
            }
        };
        properties(&mut body, connect.properties);
        body.extend(length_prefixed(connect.client_id));
        if let Some((topic, payload, _, own)) = connect.will {
            properties(&mut body, own);
            body.extend(length_prefixed(topic));
            body.extend(length_prefixed(payload));
        }
        if let Some((user, password)) = connect.login {
            body.extend(length_prefixed(user));
            body.extend(length_prefixed(password));
        }
        raw.send(0x10, &body);
        let (first, body) = raw.read().expect("a CONNACK");
        assert_eq!(first, 0x20);
        (raw, body)
    }

    /// Like `connect`, but panics if the broker rejects the connection.
    pub fn connect_ok(address: SocketAddr, connect: &ConnectParams<'_>) -> Self {
        let (raw, body) = Self::connect(address, connect);
        assert_eq!(body[1], 0, "CONNACK {body:?}");
        raw
    }

    pub fn send(&mut self, first: u8, body: &[u8]) {
        self.stream.write_all(&packet(first, body)).unwrap();
    }

    /// Sends a PUBLISH with these flags in the first byte.
    pub fn publish(&mut self, flags: u8, topic: &str, id: u16, payload: &str) {
        self.publish_with(flags, topic, id, payload, &[]);
    }

    pub fn publish_with(&mut self, flags: u8, topic: &str, id: u16, payload: &str, properties: &[u8]) {
        let mut body = length_prefixed(topic);
        if flags & 6 != 0 {
            body.extend(id.to_be_bytes());
        }
        if self.v5 {
            body.push(properties.len() as u8);
            body.extend(properties);
        }
        body.extend(payload.as_bytes());
        self.send(0x30 | flags, &body);
    }

    /// Subscribes with these options and returns the reason code.
    pub fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        self.subscribe_with(filter, options, &[])
    }

    pub fn subscribe_with(&mut self, filter: &str, options: u8, properties: &[u8]) -> u8 {
        let mut body = vec![0, 9];
        if self.v5 {
            body.push(properties.len() as u8);
            body.extend(properties);
        }
        body.extend(length_prefixed(filter));
        body.push(options);
        self.send(0x82, &body);
        let (first, body) = self.read().expect("a SUBACK");
        assert_eq!((first, &body[..2]), (0x90, &[0, 9][..]));
        *body.last().unwrap()
    }

    /// Reads the next packet; `None` if the broker has closed the connection.
    pub fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut first = [0; 1];
        match self.stream.read(&mut first) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("no packet received: {error}"),
        }
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let mut byte = [0; 1];
            self.stream.read_exact(&mut byte).unwrap();
            length |= usize::from(byte[0] & 0x7F) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        Some((first[0], body))
    }

    /// Reads the next packet, which must be a PUBLISH. Returns first byte, topic, packet id, properties and payload.
    pub fn read_publish(&mut self) -> (u8, String, u16, Vec<u8>, String) {
        let (first, body) = self.read().expect("a PUBLISH");
        assert_eq!(first & 0xF0, 0x30, "{first:#x} {body:?}");
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
        let mut at = 2 + length;
        let mut id = 0;
        if first & 6 != 0 {
            id = u16::from_be_bytes([body[at], body[at + 1]]);
            at += 2;
        }
        let mut properties = Vec::new();
        if self.v5 {
            let size = usize::from(body[at]);
            assert!(size < 128);
            properties = body[at + 1..at + 1 + size].to_vec();
            at += 1 + size;
        }
        (first, topic, id, properties, String::from_utf8(body[at..].to_vec()).unwrap())
    }

    /// Asserts that no packet arrives within 150 ms.
    pub fn expect_silence(&mut self) {
        self.stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        let mut byte = [0; 1];
        let got = self.stream.peek(&mut byte);
        self.stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        match got {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            other => panic!("unexpected packet: {other:?} {:?}", self.read()),
        }
    }

    /// Asserts that the broker closes the connection, in MQTT 5 with this reason code.
    pub fn expect_close(&mut self, reason: u8) {
        if self.v5 {
            let (first, body) = self.read().expect("a DISCONNECT");
            assert_eq!((first, body.first()), (0xE0, Some(&reason)));
        }
        assert_eq!(self.read(), None);
    }
}
