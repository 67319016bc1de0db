//! A Redis server and an MQTT broker, each on a port of its own, and clients that subscribe to them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The timeout for a server to start or a message to arrive.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server, which is killed when this value is dropped.
pub struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    pub fn redis() -> Self {
        Self::redis_at(free_port(), &[])
    }

    /// Starts Redis on a free port with additional settings.
    pub fn redis_at(port: u16, settings: &[&str]) -> Self {
        Self::start("redis-server", port, |command, folder| {
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.args(settings).arg("--dir").arg(folder);
        })
    }

    pub fn mosquitto() -> Self {
        let port = free_port();
        Self::start("mosquitto", port, |command, folder| {
            let settings = folder.join("mosquitto.conf");
            fs::write(&settings, format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"))
                .unwrap();
            command.arg("-c").arg(settings);
        })
    }

    fn start(program: &str, port: u16, configure: impl FnOnce(&mut Command, &Path)) -> Self {
        // Debian installs servers in /usr/sbin, which is not on every PATH.
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        let program_path = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
        let program_path =
            program_path.unwrap_or_else(|| panic!("{program} is missing; `cargo xtask test` installs it"));
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program_path);
        configure(&mut command, folder.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, port, _folder: folder };
        wait_until(&format!("{program} listens"), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    wheeltapper_test_hosts::free_port().unwrap()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "{what} not within {TIMEOUT:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A connection to Redis.
pub struct Redis(BufReader<TcpStream>);

impl Redis {
    pub fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Connects and subscribes to channels, as Spin's trigger does.
    pub fn subscribed(server: &Server, channels: &[&str]) -> Self {
        Self::connect(server).subscribe(channels)
    }

    pub fn subscribe(mut self, channels: &[&str]) -> Self {
        let arguments: Vec<&[u8]> = ["SUBSCRIBE"].iter().chain(channels).map(|argument| argument.as_bytes()).collect();
        self.send(&arguments);
        for _ in channels {
            // The reply is ["subscribe", channel, number of channels].
            self.reply();
        }
        self
    }

    /// Authenticates with a password.
    pub fn authenticate(&mut self, password: &str) {
        self.send(&[b"AUTH", password.as_bytes()]);
        self.reply();
    }

    pub fn publish(&mut self, channel: &str, payload: &[u8]) {
        self.send(&[b"PUBLISH", channel.as_bytes(), payload]);
        self.reply();
    }

    /// Returns the channel and payload of the next message, or `None` if none comes within `wait`.
    pub fn next_message(&mut self, wait: Duration) -> Option<(String, Vec<u8>)> {
        self.0.get_ref().set_read_timeout(Some(wait)).unwrap();
        if self.0.fill_buf().is_err() {
            return None;
        }
        self.0.get_ref().set_read_timeout(Some(TIMEOUT)).unwrap();
        let [kind, channel, payload] = <[Vec<u8>; 3]>::try_from(self.reply()).unwrap();
        assert_eq!(kind, b"message");
        Some((String::from_utf8(channel).unwrap(), payload))
    }

    fn send(&mut self, arguments: &[&[u8]]) {
        let mut command = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments {
            command.extend(format!("${}\r\n", argument.len()).into_bytes());
            command.extend_from_slice(argument);
            command.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&command).unwrap();
    }

    /// Reads the strings of a reply; an integer is returned as its digits.
    fn reply(&mut self) -> Vec<Vec<u8>> {
        let line = self.line();
        match line.split_at(1) {
            ("*", count) => (0..count.parse().unwrap()).map(|_: usize| self.reply().remove(0)).collect(),
            ("$", length) => {
                let mut string = vec![0; length.parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut string).unwrap();
                string.truncate(string.len() - 2);
                vec![string]
            }
            (":" | "+", rest) => vec![rest.as_bytes().to_vec()],
            _ => panic!("Redis replied {line}"),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// A subscription by Mosquitto's client.
pub struct Subscription {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Subscription {
    /// Subscribes. The subscription is active when this returns, because a probe message was received.
    pub fn open(server: &Server, topic: &str, probe: &str) -> Self {
        let mut child = mosquitto_client("mosquitto_sub", server)
            .args(["-q", "1", "-t", topic, "-t", probe, "-F", "%t %x"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("mosquitto_sub: {error}; `cargo xtask test` installs it"));
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        // Retained, so that the order of subscription and publication does not matter.
        let status = mosquitto_client("mosquitto_pub", server).args(["-r", "-t", probe, "-m", "x"]).status().unwrap();
        assert!(status.success());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.starts_with(probe), "{line}");
        Self { child, lines }
    }

    /// Returns the topic and payload of the next message.
    pub fn next_message(&mut self) -> (String, Vec<u8>) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let (topic, digits) = line.trim_end().rsplit_once(' ').unwrap();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (topic.to_owned(), (0..digits.len()).step_by(2).map(byte).collect())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Publishes a message as a device does.
pub fn publish(server: &Server, topic: &str, payload: &[u8]) {
    let mut child = mosquitto_client("mosquitto_pub", server)
        .args(["-q", "1", "-t", topic, "-s"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(payload).unwrap();
    assert!(child.wait().unwrap().success());
}

fn mosquitto_client(program: &str, server: &Server) -> Command {
    let mut command = Command::new(program);
    // A client that receives nothing exits by itself, and the test that waits for it fails.
    if program == "mosquitto_sub" {
        command.args(["-W", "120"]);
    }
    command.args(["-h", "127.0.0.1", "-p", &server.port.to_string()]);
    command
}
