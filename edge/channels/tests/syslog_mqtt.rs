//! Syslog over UDP, TCP and TLS, and MQTT to mosquitto.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod receivers;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::{TcpListener, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use receivers::{Certificates, Secrets, channel, send, why};
use rustls::{ServerConnection, StreamOwned};
use wheeltapper_channels::Outcome;

fn syslog(url: &str, more: &str) -> wheeltapper_channels::Channel {
    channel(&format!("{more}[alerts.channel.syslog]\nurl = {url:?}\n"))
}

fn assert_cef(message: &str) {
    assert!(message.starts_with("<130>1 2026-01-05T08:01:50.000Z "), "{message}");
    assert!(
        message.contains(" wheeltapper ") && message.contains(" alert - CEF:0|Wheeltapper|Wheeltapper|"),
        "{message}"
    );
    assert!(
        message.contains("|10|rt=1767600110000 act=opened externalId=54da40dba52a53d6721e63fb78bbf04a"),
        "{message}"
    );
}

#[test]
fn syslog_over_udp() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let url = format!("udp://127.0.0.1:{}", socket.local_addr().unwrap().port());
    let attempt = send(&syslog(&url, ""));
    assert!(matches!(&attempt.outcome, Outcome::Accepted { note } if note.contains("confirms nothing")), "{attempt:?}");
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    assert_cef(std::str::from_utf8(&buffer[..length]).unwrap());
}

/// The message of a frame with its length in front.
fn unframed(text: &str) -> &str {
    let (length, message) = text.split_once(' ').unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), message.len());
    message
}

#[test]
fn syslog_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let receiver = thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    assert!(send(&syslog(&url, "")).outcome.is_success());
    assert_cef(unframed(&receiver.join().unwrap()));
    let text = why(&send(&syslog(&url, "")));
    assert!(text.contains("check `url`"), "{text}");
}

#[test]
fn syslog_over_tls_checks_the_certificate() {
    let certificates = Certificates::new("localhost");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = certificates.server_config();
    let receiver = thread::spawn(move || {
        // The first client rejects the certificate.
        let read = |stream: TcpStream| {
            let mut text = String::new();
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            stream.read_to_string(&mut text).map(|_| text)
        };
        assert!(read(listener.accept().unwrap().0).is_err());
        read(listener.accept().unwrap().0).unwrap()
    });
    let ca = format!("ca_file = {:?}\n", certificates.file("ca.pem"));
    let text = why(&send(&syslog(&format!("tls://127.0.0.1:{port}"), &ca)));
    assert!(text.contains("is for another name"), "{text}");
    assert!(send(&syslog(&format!("tls://localhost:{port}"), &ca)).outcome.is_success());
    assert_cef(unframed(&receiver.join().unwrap()));
}

struct Mosquitto {
    process: Child,
    port: u16,
}

impl Mosquitto {
    fn start(secrets: &Secrets) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = secrets.write("mosquitto.conf", &format!("listener {port} 127.0.0.1\nallow_anonymous true"));
        // Debian installs it in /usr/sbin, which is not on every PATH.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("mosquitto");
        command.env("PATH", path).args(["-c", settings.trim_matches('"')]).stdout(Stdio::null()).stderr(Stdio::null());
        let process =
            command.spawn().unwrap_or_else(|error| panic!("mosquitto: {error}; run this by `cargo xtask test`"));
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "mosquitto does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self { process, port }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn mqtt_publishes_to_mosquitto() {
    let secrets = Secrets::new();
    let broker = Mosquitto::start(&secrets);
    // Without stdbuf its output is buffered until it ends.
    let mut subscriber = Command::new("stdbuf")
        .args(["-oL", "mosquitto_sub"])
        .args(["-p", &broker.port.to_string(), "-t", "alerts/#", "-C", "1", "-W", "30", "-v", "-q", "1", "-d"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(subscriber.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("Subscribed")), "mosquitto_sub did not subscribe");
    let settings = format!(
        "[alerts.channel.mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\ntopic = \"alerts/{{severity}}/{{asset}}\"\n",
        broker.port
    );
    assert_eq!(send(&channel(&settings)).outcome, Outcome::Delivered);
    let line = lines.find(|line| line.starts_with("alerts/")).unwrap();
    let (topic, payload) = line.split_once(" {").unwrap();
    assert_eq!(topic, "alerts/critical/north/hall-1/pump_07* <b>");
    let payload: serde_json::Value = serde_json::from_str(&format!("{{{payload}")).unwrap();
    assert_eq!(payload["alert"]["severity"], "critical");
    subscriber.wait().unwrap();
    drop(broker);
    let text = why(&send(&channel(&settings)));
    assert!(text.to_lowercase().contains("refused"), "{text}");
}
