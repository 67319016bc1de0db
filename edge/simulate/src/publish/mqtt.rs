//! Publishes a fleet over MQTT.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rumqttc::{Client, Connection, Event, MqttOptions, Packet, QoS, Request};
use wheeltapper_domain::encode_waveform;

use super::{Backoff, Metronome, Pace, PublishError, UNREACHABLE_TIMEOUT};
use crate::{
    fleet::{Fleet, Tick},
    ndjson,
};

/// Maximum number of unacknowledged messages.
const MAX_IN_FLIGHT: u16 = 500;
/// Maximum packet size in bytes; larger than any waveform.
const MAX_PACKET: usize = 16 << 20;
const EXPECTED_ADDRESS: &str = "mqtt://127.0.0.1:1883 or mqtt://user:password@host:1883";

/// Publishes the fleet's readings at the given pace with quality of service 1. The topic is the sensor's id; the
/// payload is a JSON object, or `WTW1` for a waveform. Returns after [`Pace::run_for`], when the broker has
/// acknowledged all messages, with the number of readings that were sent: scalars plus samples of waveforms. `key` is
/// an API key; it is used as the password if the address contains none.
///
/// After a lost connection, the unacknowledged messages are sent again.
///
/// # Errors
/// See [`PublishError`]. Fails if the broker cannot be reached, or acknowledges nothing, for one minute.
pub fn publish_mqtt(url: &str, key: Option<&str>, fleet: &mut Fleet, pace: &Pace) -> Result<u64, PublishError> {
    let metronome = Metronome::start(fleet, pace)?;
    let (client, connection) = Client::new(mqtt_options(url, key, fleet.spec().seed)?, usize::from(MAX_IN_FLIGHT));
    let line = Arc::new(MqttConnectionState::default());
    let worker = {
        let line = Arc::clone(&line);
        thread::spawn(move || line.run(connection))
    };
    let unreachable = |line: &MqttConnectionState| {
        let message = line.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        PublishError::Unreachable { url: redacted_url(url), seconds: UNREACHABLE_TIMEOUT.as_secs(), message }
    };
    let names: Vec<String> = fleet.sensors().iter().map(|sensor| sensor.id.clone()).collect();
    let prefixes: Vec<Vec<u8>> = names.iter().map(|name| ndjson::prefix(name)).collect();
    let (mut messages, mut sent) = (0_u64, 0_u64);
    while let Some(Tick { readings, waveforms, .. }) = metronome.next_tick(fleet, || Ok::<(), PublishError>(()))? {
        let scalars = readings.iter().map(|reading| {
            let mut payload = Vec::with_capacity(128);
            let prefix = prefixes.get(reading.sensor).map(Vec::as_slice).unwrap_or_default();
            ndjson::write_object(&mut payload, prefix, reading.time_ns, reading.value);
            (reading.sensor, payload, 1)
        });
        let waveforms = waveforms.iter().map(|waveform| {
            let name = names.get(waveform.sensor).map_or("", String::as_str);
            let payload = encode_waveform(name, waveform.start_ns, waveform.rate_hz, &waveform.samples);
            (waveform.sensor, payload, waveform.samples.len() as u64)
        });
        for (sensor, payload, count) in scalars.chain(waveforms) {
            let topic = names.get(sensor).map_or("", String::as_str);
            client.publish(topic, QoS::AtLeastOnce, false, payload).map_err(|_| unreachable(&line))?;
            messages += 1;
            sent += count;
        }
    }
    line.wait_for_acknowledgements(messages).map_err(|()| unreachable(&line))?;
    line.is_done.store(true, Ordering::Release);
    // An error here means that the connection is already closed; all messages are acknowledged.
    drop(client.disconnect());
    drop(worker.join());
    Ok(sent)
}

/// State shared by the publisher and the thread of the connection.
#[derive(Debug, Default)]
struct MqttConnectionState {
    acknowledged: AtomicU64,
    /// Whether all messages are sent and acknowledged.
    is_done: AtomicBool,
    /// Whether the thread of the connection has ended.
    is_closed: AtomicBool,
    /// The last error of the connection.
    last_error: Mutex<String>,
}

impl MqttConnectionState {
    /// Keeps the connection open until all messages are done, or until the broker cannot be reached for one minute.
    fn run(&self, mut connection: Connection) {
        let mut backoff = Backoff::new();
        let mut well = Instant::now();
        // The library discards unacknowledged messages if the broker's session is new; they are sent again from here.
        let mut unacknowledged: VecDeque<Request> = VecDeque::new();
        while let Ok(event) = connection.recv() {
            match event {
                Ok(Event::Incoming(packet)) => {
                    well = Instant::now();
                    match packet {
                        Packet::ConnAck(_) => {
                            backoff = Backoff::new();
                            let pending = &mut connection.eventloop.pending;
                            pending.clear();
                            pending.append(&mut unacknowledged);
                        }
                        Packet::PubAck(_) => {
                            self.acknowledged.fetch_add(1, Ordering::AcqRel);
                        }
                        _ => {}
                    }
                }
                Ok(Event::Outgoing(_)) => {}
                Err(_) if self.is_done.load(Ordering::Acquire) => break,
                Err(error) => {
                    unacknowledged.append(&mut connection.eventloop.pending);
                    *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
                    if well.elapsed() >= UNREACHABLE_TIMEOUT {
                        break;
                    }
                    thread::sleep(backoff.next_delay());
                }
            }
        }
        self.is_closed.store(true, Ordering::Release);
    }

    /// Waits until this number of messages is acknowledged. Fails if the connection ends or no acknowledgement arrives
    /// for one minute.
    fn wait_for_acknowledgements(&self, messages: u64) -> Result<(), ()> {
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            let acknowledged = self.acknowledged.load(Ordering::Acquire);
            if acknowledged >= messages {
                return Ok(());
            }
            if acknowledged != last {
                (last, moved) = (acknowledged, Instant::now());
            }
            if self.is_closed.load(Ordering::Acquire) {
                return Err(());
            }
            if moved.elapsed() >= UNREACHABLE_TIMEOUT {
                let message = format!("{} messages were not acknowledged", messages - acknowledged);
                *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = message;
                return Err(());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The address without user and password, for messages.
fn redacted_url(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => url.to_owned(),
    }
}

fn mqtt_options(url: &str, key: Option<&str>, seed: u64) -> Result<MqttOptions, PublishError> {
    let wrong = |hint| PublishError::InvalidAddress { expected: EXPECTED_ADDRESS, url: redacted_url(url), hint };
    let rest = match url.split_once("://") {
        Some(("mqtt", rest)) => rest.trim_end_matches('/'),
        Some(("mqtts", _)) => return Err(wrong("; the simulator does not support TLS; use the plain address")),
        _ => return Err(wrong("; correct --to")),
    };
    let (login, address) = rest.rsplit_once('@').map_or((None, rest), |(login, address)| (Some(login), address));
    let (host, port) = match address.rsplit_once(':') {
        // The colons of an IPv6 address are inside brackets.
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().map_err(|_| wrong("; the port must be a number up to 65535"))?)
        }
        _ => (address, 1883),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains('/') {
        return Err(wrong("; the host is missing"));
    }
    // Two simulators that run at the same time must not take over each other's session.
    let client = format!("wheeltapper-simulate-{seed}-{}", std::process::id());
    let mut options = MqttOptions::new(client, host, port);
    options
        .set_keep_alive(Duration::from_secs(30))
        .set_inflight(MAX_IN_FLIGHT)
        .set_max_packet_size(MAX_PACKET, MAX_PACKET);
    match (login, key) {
        (Some(login), _) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            options.set_credentials(user, password);
        }
        (None, Some(key)) => {
            options.set_credentials("wheeltapper-simulate", key);
        }
        (None, None) => {}
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_contain_host_port_and_login() {
        let address_and_login = |url: &str| {
            let options = mqtt_options(url, None, 1).unwrap();
            (options.broker_address(), options.credentials().map(|login| (login.username, login.password)))
        };
        assert_eq!(address_and_login("mqtt://broker"), (("broker".into(), 1883), None));
        assert_eq!(address_and_login("mqtt://[::1]:99/"), (("::1".into(), 99), None));
        assert_eq!(address_and_login("mqtt://a:b@host:1"), (("host".into(), 1), Some(("a".into(), "b".into()))));
        let password = |url: &str| mqtt_options(url, Some("wtk"), 1).unwrap().credentials().unwrap().password;
        assert_eq!((password("mqtt://host"), password("mqtt://a:b@host")), ("wtk".into(), "b".into()));
    }

    #[test]
    fn an_invalid_address_is_reported_without_its_password() {
        for url in ["mqtts://a:secret@host", "host:1883", "mqtt://", "mqtt://a:secret@host:99999", "http://a:secret@b"]
        {
            let error = mqtt_options(url, None, 1).unwrap_err().to_string();
            assert!(error.contains("mqtt://127.0.0.1:1883") && !error.contains("secret"), "{error}");
        }
    }
}
