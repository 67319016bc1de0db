//! `fermyon:spin/redis` and `fermyon:spin/mqtt`, as far as publishing goes.

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
use crate::guest::Guest;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(5);
const ONLY_PUBLISH: &str = "this host only publishes to Redis";

/// A Redis server's address, `host:port`.
#[derive(Debug)]
pub struct Redis(String);

/// An MQTT broker's host and port, user and password.
#[derive(Debug)]
pub struct Mqtt {
    host: String,
    port: String,
    user: String,
    password: String,
}

/// `PUBLISH`, in Redis' protocol.
fn publish(address: &str, channel: &str, payload: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut command =
        format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n", channel.len(), payload.len()).into_bytes();
    command.extend_from_slice(payload);
    command.extend_from_slice(b"\r\n");
    stream.write_all(&command)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.starts_with(':') { Ok(()) } else { Err(io::Error::other(answer)) }
}

impl Guest {
    /// The address behind the scheme, if the application may reach it.
    fn reachable(&self, scheme: &str, address: &str) -> Option<String> {
        let rest = address.strip_prefix(scheme)?;
        let host = rest.split(['?', '/']).next().unwrap_or(rest);
        self.settings.outbound.iter().any(|allowed| *allowed == format!("{scheme}{host}")).then(|| host.to_owned())
    }
}

impl redis::Host for Guest {}

impl redis::HostConnection for Guest {
    fn open(&mut self, address: String) -> wasmtime::Result<Result<Resource<Redis>, redis::Error>> {
        self.live()?;
        match self.reachable("redis://", &address) {
            Some(host) => Ok(Ok(self.table.push(Redis(host))?)),
            None => Ok(Err(redis::Error::InvalidAddress)),
        }
    }

    fn publish(
        &mut self,
        connection: Resource<Redis>,
        channel: String,
        payload: Vec<u8>,
    ) -> wasmtime::Result<Result<(), redis::Error>> {
        self.live()?;
        let Redis(address) = self.table.get(&connection)?;
        Ok(publish(address, &channel, &payload).map_err(|error| redis::Error::Other(error.to_string())))
    }

    fn get(&mut self, _: Resource<Redis>, _: String) -> wasmtime::Result<Result<Option<Vec<u8>>, redis::Error>> {
        Ok(Err(redis::Error::Other(ONLY_PUBLISH.to_owned())))
    }

    fn set(&mut self, _: Resource<Redis>, _: String, _: Vec<u8>) -> wasmtime::Result<Result<(), redis::Error>> {
        Ok(Err(redis::Error::Other(ONLY_PUBLISH.to_owned())))
    }

    fn incr(&mut self, _: Resource<Redis>, _: String) -> wasmtime::Result<Result<i64, redis::Error>> {
        Ok(Err(redis::Error::Other(ONLY_PUBLISH.to_owned())))
    }

    fn del(&mut self, _: Resource<Redis>, _: Vec<String>) -> wasmtime::Result<Result<u32, redis::Error>> {
        Ok(Err(redis::Error::Other(ONLY_PUBLISH.to_owned())))
    }

    fn sadd(&mut self, _: Resource<Redis>, _: String, _: Vec<String>) -> wasmtime::Result<Result<u32, redis::Error>> {
        Ok(Err(redis::Error::Other(ONLY_PUBLISH.to_owned())))
    }

    fn smembers(&mut self, _: Resource<Redis>, _: String) -> wasmtime::Result<Result<Vec<String>, redis::Error>> {
        Ok(Err(redis::Error::Other(ONLY_PUBLISH.to_owned())))
    }

    fn srem(&mut self, _: Resource<Redis>, _: String, _: Vec<String>) -> wasmtime::Result<Result<u32, redis::Error>> {
        Ok(Err(redis::Error::Other(ONLY_PUBLISH.to_owned())))
    }

    fn execute(
        &mut self,
        _: Resource<Redis>,
        _: String,
        _: Vec<RedisParameter>,
    ) -> wasmtime::Result<Result<Vec<RedisResult>, redis::Error>> {
        Ok(Err(redis::Error::Other(ONLY_PUBLISH.to_owned())))
    }

    fn drop(&mut self, connection: Resource<Redis>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl mqtt::Host for Guest {}

impl mqtt::HostConnection for Guest {
    fn open(
        &mut self,
        address: String,
        user: String,
        password: String,
        _keep_alive: u64,
    ) -> wasmtime::Result<Result<Resource<Mqtt>, mqtt::Error>> {
        self.live()?;
        let Some(host) = self.reachable("mqtt://", &address) else { return Ok(Err(mqtt::Error::InvalidAddress)) };
        let (host, port) = host.rsplit_once(':').unwrap_or((&host, "1883"));
        let mqtt = Mqtt { host: host.to_owned(), port: port.to_owned(), user, password };
        Ok(Ok(self.table.push(mqtt)?))
    }

    /// By Mosquitto's client, which waits for the acknowledgement.
    fn publish(
        &mut self,
        connection: Resource<Mqtt>,
        topic: String,
        payload: Vec<u8>,
        qos: Qos,
    ) -> wasmtime::Result<Result<(), mqtt::Error>> {
        self.live()?;
        let Mqtt { host, port, user, password } = self.table.get(&connection)?;
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

    fn drop(&mut self, connection: Resource<Mqtt>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}
