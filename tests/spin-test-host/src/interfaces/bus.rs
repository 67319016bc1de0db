//! The publishing parts of `fermyon:spin/redis` and `fermyon:spin/mqtt`.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use wasmtime::component::Resource;

use super::bindings::fermyon::spin::{
    mqtt::{self, Qos},
    redis::{self, RedisParameter, RedisResult},
};
use crate::host_state::HostState;

/// The timeout of a server's answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const PUBLISH_ONLY: &str = "this host only publishes to Redis";

/// A Redis server.
#[derive(Debug)]
pub struct RedisConnection {
    /// `host:port`.
    host: String,
    /// `user:password`, empty if the server needs none.
    login: String,
}

/// An MQTT broker's host and port, user and password.
#[derive(Debug)]
pub struct MqttConnection {
    host: String,
    port: String,
    user: String,
    password: String,
}

/// Encodes a command in Redis' protocol.
fn encode_command(arguments: &[&[u8]]) -> Vec<u8> {
    let mut command = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        command.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        command.extend_from_slice(argument);
        command.extend_from_slice(b"\r\n");
    }
    command
}

impl RedisConnection {
    fn publish(&self, channel: &str, payload: &[u8]) -> io::Result<()> {
        let stream = TcpStream::connect(with_default_port(&self.host, "6379"))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut stream = BufReader::new(stream);
        let mut execute = |arguments: &[&[u8]]| {
            stream.get_mut().write_all(&encode_command(arguments))?;
            let mut response = String::new();
            stream.read_line(&mut response)?;
            if response.starts_with([':', '+']) { Ok(()) } else { Err(io::Error::other(response)) }
        };
        if let Some((user, password)) = self.login.split_once(':') {
            let user = if user.is_empty() { "default" } else { user };
            execute(&[b"AUTH", user.as_bytes(), password.as_bytes()])?;
        }
        execute(&[b"PUBLISH", channel.as_bytes(), payload])
    }
}

fn with_default_port(host: &str, port: &str) -> String {
    if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") }
}

impl HostState {
    /// Returns host and login of an address if the application may connect to it.
    fn allowed_address(&self, scheme: &str, address: &str) -> Option<(String, String)> {
        let rest = address.strip_prefix(scheme)?;
        let authority = rest.split(['?', '/']).next().unwrap_or(rest);
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let is_allowed =
            self.settings.allowed_outbound_hosts.iter().any(|allowed| *allowed == format!("{scheme}{host}"));
        is_allowed.then(|| (host.to_owned(), login.to_owned()))
    }
}

impl redis::Host for HostState {}

impl redis::HostConnection for HostState {
    fn open(&mut self, address: String) -> wasmtime::Result<Result<Resource<RedisConnection>, redis::Error>> {
        self.instance.count_call()?;
        match self.allowed_address("redis://", &address) {
            Some((host, login)) => Ok(Ok(self.instance.table.push(RedisConnection { host, login })?)),
            None => Ok(Err(redis::Error::InvalidAddress)),
        }
    }

    fn publish(
        &mut self,
        connection: Resource<RedisConnection>,
        channel: String,
        payload: Vec<u8>,
    ) -> wasmtime::Result<Result<(), redis::Error>> {
        self.instance.count_call()?;
        let sent = self.instance.table.get(&connection)?.publish(&channel, &payload);
        Ok(sent.map_err(|error| redis::Error::Other(error.to_string())))
    }

    fn get(
        &mut self,
        _: Resource<RedisConnection>,
        _: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, redis::Error>> {
        Ok(Err(redis::Error::Other(PUBLISH_ONLY.to_owned())))
    }

    fn set(
        &mut self,
        _: Resource<RedisConnection>,
        _: String,
        _: Vec<u8>,
    ) -> wasmtime::Result<Result<(), redis::Error>> {
        Ok(Err(redis::Error::Other(PUBLISH_ONLY.to_owned())))
    }

    fn incr(&mut self, _: Resource<RedisConnection>, _: String) -> wasmtime::Result<Result<i64, redis::Error>> {
        Ok(Err(redis::Error::Other(PUBLISH_ONLY.to_owned())))
    }

    fn del(&mut self, _: Resource<RedisConnection>, _: Vec<String>) -> wasmtime::Result<Result<u32, redis::Error>> {
        Ok(Err(redis::Error::Other(PUBLISH_ONLY.to_owned())))
    }

    fn sadd(
        &mut self,
        _: Resource<RedisConnection>,
        _: String,
        _: Vec<String>,
    ) -> wasmtime::Result<Result<u32, redis::Error>> {
        Ok(Err(redis::Error::Other(PUBLISH_ONLY.to_owned())))
    }

    fn smembers(
        &mut self,
        _: Resource<RedisConnection>,
        _: String,
    ) -> wasmtime::Result<Result<Vec<String>, redis::Error>> {
        Ok(Err(redis::Error::Other(PUBLISH_ONLY.to_owned())))
    }

    fn srem(
        &mut self,
        _: Resource<RedisConnection>,
        _: String,
        _: Vec<String>,
    ) -> wasmtime::Result<Result<u32, redis::Error>> {
        Ok(Err(redis::Error::Other(PUBLISH_ONLY.to_owned())))
    }

    fn execute(
        &mut self,
        _: Resource<RedisConnection>,
        _: String,
        _: Vec<RedisParameter>,
    ) -> wasmtime::Result<Result<Vec<RedisResult>, redis::Error>> {
        Ok(Err(redis::Error::Other(PUBLISH_ONLY.to_owned())))
    }

    fn drop(&mut self, connection: Resource<RedisConnection>) -> wasmtime::Result<()> {
        self.instance.table.delete(connection)?;
        Ok(())
    }
}

impl mqtt::Host for HostState {}

impl mqtt::HostConnection for HostState {
    fn open(
        &mut self,
        address: String,
        user: String,
        password: String,
        _keep_alive: u64,
    ) -> wasmtime::Result<Result<Resource<MqttConnection>, mqtt::Error>> {
        self.instance.count_call()?;
        let Some((host, _)) = self.allowed_address("mqtt://", &address) else {
            return Ok(Err(mqtt::Error::InvalidAddress));
        };
        let (host, port) = host.rsplit_once(':').unwrap_or((&host, "1883"));
        let mqtt = MqttConnection { host: host.to_owned(), port: port.to_owned(), user, password };
        Ok(Ok(self.instance.table.push(mqtt)?))
    }

    /// Publishes with Mosquitto's client, which waits for the acknowledgement.
    fn publish(
        &mut self,
        connection: Resource<MqttConnection>,
        topic: String,
        payload: Vec<u8>,
        qos: Qos,
    ) -> wasmtime::Result<Result<(), mqtt::Error>> {
        self.instance.count_call()?;
        let MqttConnection { host, port, user, password } = self.instance.table.get(&connection)?;
        let mut client = Command::new("mosquitto_pub");
        client.args(["-h", host, "-p", port, "-t", &topic, "-q", &(qos as u8).to_string(), "-s"]);
        if !user.is_empty() {
            client.args(["-u", user, "-P", password]);
        }
        let sent = client.stdin(Stdio::piped()).spawn().and_then(|mut client| {
            if let Some(mut input) = client.stdin.take() {
                input.write_all(&payload)?;
            }
            let status = client.wait()?;
            if status.success() { Ok(()) } else { Err(io::Error::other(format!("mosquitto_pub: {status}"))) }
        });
        Ok(sent.map_err(|error| mqtt::Error::ConnectionFailed(error.to_string())))
    }

    fn drop(&mut self, connection: Resource<MqttConnection>) -> wasmtime::Result<()> {
        self.instance.table.delete(connection)?;
        Ok(())
    }
}
