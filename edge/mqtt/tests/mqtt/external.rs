//! The client for an external broker, tested against a real mosquitto that is killed and restarted: no message is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::common::*;
use wheeltapper_mqtt::{ClientConfig, ClientEvent, Verdict, run_client};

struct Mosquitto {
    child: Child,
    port: u16,
}

impl Mosquitto {
    fn start(folder: &Path, port: u16) -> Self {
        let settings = folder.join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\nautosave_interval 1\nautosave_on_changes true\nmax_queued_messages 0\nset_tcp_nodelay true\n",
            folder.display()
        );
        std::fs::write(&settings, text).unwrap();
        // Debian installs it in /usr/sbin, which is not on every PATH.
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("mosquitto");
        if let Some(found) =
            std::env::split_paths(&path).map(|folder| folder.join("mosquitto")).find(|file| file.is_file())
        {
            command = Command::new(found);
        }
        let child = command.arg("-c").arg(&settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("mosquitto: {error}; install mosquitto to run this test"));
        let started = Self { child, port };
        eventually("mosquitto listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        started
    }

    fn stop(mut self, signal: &str) {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap();
    }

    fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    // If root starts mosquitto, it runs as its own user, which needs access to the folder.
    #[cfg(unix)]
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

fn client(port: u16, version: u8, qos: u8) -> ClientConfig {
    ClientConfig {
        url: format!("mqtt://127.0.0.1:{port}"),
        client_id: "wheeltapper-test".into(),
        version,
        topics: vec!["plant/#".into()],
        qos,
        user_name: None,
        password: None,
        ca_file: None,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Publishes and waits for each acknowledgement.
fn publish(address: std::net::SocketAddr, qos: u8, numbers: std::ops::Range<usize>) {
    let mut publisher = RawClient::connect_ok(address, &connect_params(false, "publisher"));
    for number in numbers {
        let id = u16::try_from(number % 60_000 + 1).unwrap();
        publisher.publish(qos << 1, "plant/a", id, &number.to_string());
        assert_eq!(publisher.read().unwrap().0, if qos == 1 { 0x40 } else { 0x50 });
        if qos == 2 {
            publisher.send(0x62, &id.to_be_bytes());
            assert_eq!(publisher.read().unwrap().0, 0x70);
        }
    }
    publisher.send(0xE0, &[]);
}

fn counts(sink: &Recorder) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for payload in sink.payloads() {
        *counts.entry(payload).or_default() += 1;
    }
    counts
}

fn survives_restarts(version: u8, qos: u8) {
    let folder = folder();
    let port = free_port();
    let mosquitto = Mosquitto::start(folder.path(), port);
    let sink = Recorder::storing();
    let runtime = runtime();
    runtime.spawn(run_client(client(port, version, qos), sink.clone(), |_| {}));
    publish(mosquitto.address(), qos, 0..1);
    // The first message may have been published before the client subscribed; publish until one arrives.
    eventually("the client takes messages", || {
        publish(mosquitto.address(), qos, 0..1);
        !sink.payloads().is_empty()
    });
    publish(mosquitto.address(), qos, 1..100);
    // Stopped while the sink holds messages that are not acknowledged yet.
    sink.set_gate(false);
    publish(mosquitto.address(), qos, 100..200);
    mosquitto.stop("-TERM");
    sink.set_gate(true);
    let mosquitto = Mosquitto::start(folder.path(), port);
    publish(mosquitto.address(), qos, 200..300);
    eventually("all messages arrive", || (1..300).all(|number| counts(&sink).contains_key(&number.to_string())));
    // Killed after it has saved its state (its main loop saves it after every change).
    std::thread::sleep(Duration::from_secs(2));
    mosquitto.stop("-KILL");
    let mosquitto = Mosquitto::start(folder.path(), port);
    publish(mosquitto.address(), qos, 300..400);
    eventually("the last messages arrive", || (300..400).all(|number| counts(&sink).contains_key(&number.to_string())));
    if qos == 2 {
        let twice: Vec<_> = counts(&sink).into_iter().filter(|(payload, count)| payload != "0" && *count > 1).collect();
        assert!(twice.is_empty(), "stored more than once: {twice:?}");
    }
}

#[test]
fn nothing_is_lost_with_3_1_1_and_qos_1() {
    survives_restarts(4, 1);
}

#[test]
fn nothing_is_lost_with_5_and_qos_1() {
    survives_restarts(5, 1);
}

#[test]
fn nothing_is_lost_or_stored_twice_with_3_1_1_and_qos_2() {
    survives_restarts(4, 2);
}

#[test]
fn nothing_is_lost_or_stored_twice_with_5_and_qos_2() {
    survives_restarts(5, 2);
}

#[test]
fn a_message_is_offered_again_to_a_busy_sink() {
    let folder = folder();
    let mosquitto = Mosquitto::start(folder.path(), free_port());
    let offers = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&offers);
    let sink = Recorder::new(move |publish| match &publish.payload[..] {
        b"3" if counted.fetch_add(1, Ordering::SeqCst) < 3 => Verdict::Busy,
        _ => Verdict::Stored,
    });
    let runtime = runtime();
    runtime.spawn(run_client(client(mosquitto.port, 5, 1), sink.clone(), |_| {}));
    eventually("the client takes messages", || {
        publish(mosquitto.address(), 1, 0..1);
        !sink.payloads().is_empty()
    });
    publish(mosquitto.address(), 1, 1..6);
    eventually("the busy sink takes it", || offers.load(Ordering::SeqCst) == 4 && counts(&sink).contains_key("5"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(offers.load(Ordering::SeqCst), 4);
}

#[test]
fn the_embedded_broker_can_be_the_external_one_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (cert, secret) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, key.cert.pem()).unwrap();
    std::fs::write(&secret, key.signing_key.serialize_pem()).unwrap();
    let tls = wheeltapper_mqtt::BrokerTls { listen: "127.0.0.1:0".into(), cert: cert.clone(), key: secret };
    let users = vec![wheeltapper_mqtt::BrokerUser { name: "ann".into(), password: "secret".into() }];
    let broker = start(wheeltapper_mqtt::BrokerConfig { tls: Some(tls), users, ..config() }, Recorder::storing());
    let sink = Recorder::storing();
    let settings = ClientConfig {
        url: format!("mqtts://localhost:{}", broker.tls.unwrap().port()),
        user_name: Some("ann".into()),
        password: Some("secret".into()),
        ca_file: Some(cert),
        ..client(0, 5, 2)
    };
    assert!(!format!("{settings:?}").contains("secret"));
    let runtime = runtime();
    runtime.spawn(run_client(settings, sink.clone(), |_| {}));
    eventually("a message arrives", || {
        broker.handle.publish("plant/x", "over TLS".into(), 2, false);
        !sink.payloads().is_empty()
    });
    assert_eq!((sink.received()[0].qos, &*sink.received()[0].topic), (2, "plant/x"));
}

#[test]
fn changes_of_the_connection_are_observed() {
    let folder = folder();
    let port = free_port();
    let events: Arc<Mutex<Vec<bool>>> = Arc::default();
    let observed = Arc::clone(&events);
    let observe = move |event: ClientEvent<'_>| {
        let up = match event {
            ClientEvent::Subscribed => true,
            ClientEvent::Disconnected { reason } => {
                assert!(!reason.is_empty());
                false
            }
        };
        observed.lock().unwrap().push(up);
    };
    let last = |events: &Arc<Mutex<Vec<bool>>>| events.lock().unwrap().last().copied();
    let runtime = runtime();
    runtime.spawn(run_client(client(port, 5, 1), Recorder::storing(), observe));
    eventually("there is no broker yet", || last(&events) == Some(false));
    let mosquitto = Mosquitto::start(folder.path(), port);
    eventually("the client is connected", || last(&events) == Some(true));
    mosquitto.stop("-KILL");
    eventually("the connection is lost", || last(&events) == Some(false));
}
