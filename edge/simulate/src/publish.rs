//! Sends the fleet's readings to a host, at the fleet's pace.

use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};

use crate::{Fleet, Step, WAVEFORM_TYPE, encode_waveform};

/// A body is sent at this size, or when nothing more is due.
const BODY: usize = 256 << 10;
/// So long a host may be away before publishing gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// MQTT messages that may be under way.
const IN_FLIGHT: usize = 256;

/// How fast the fleet's clock runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Times real time, while the fleet's clock is in the past. Once it meets the present it keeps real time.
    pub speed: f64,
    /// Stop when the fleet's clock has run this long.
    pub run_for: Option<Duration>,
}

/// Why publishing ended.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The address cannot be used.
    #[error("{0:?} is no address; expected http://host:8080 or mqtt://host:1883")]
    Address(String),
    /// The host was away for too long.
    #[error("{url} did not take readings for {PATIENCE:?}: {message}; is `wheeltapper run` running there?")]
    Away {
        /// The address.
        url: String,
        /// The last failure.
        message: String,
    },
    /// The host said no.
    #[error("{url} answered {status}: {body}")]
    Refused {
        /// The address.
        url: String,
        /// HTTP's status.
        status: u16,
        /// What it said.
        body: String,
    },
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Gives the fleet's steps when they are due.
struct Clock {
    pace: Pace,
    began: Instant,
    first: i64,
}

impl Clock {
    fn new(pace: Pace, fleet: &Fleet) -> Self {
        Self { pace, began: Instant::now(), first: fleet.next_time() }
    }

    fn over(&self, fleet: &Fleet) -> bool {
        let ran = u64::try_from(fleet.next_time() - self.first).unwrap_or(0);
        self.pace.run_for.is_some_and(|most| Duration::from_nanos(ran) >= most)
    }

    /// How long until the fleet's next step.
    #[allow(clippy::cast_precision_loss, reason = "a wait")]
    fn wait(&self, fleet: &Fleet) -> Duration {
        let next = fleet.next_time();
        let at_pace = (next - self.first) as f64 / 1e9 / self.pace.speed.max(1e-9);
        let at_pace = at_pace - self.began.elapsed().as_secs_f64();
        let in_reality = (next - now()) as f64 / 1e9;
        Duration::try_from_secs_f64(at_pace.max(in_reality).max(0.0)).unwrap_or_default()
    }
}

/// Publishes over HTTP as NDJSON and waveforms. Gives the number of readings sent, samples of bursts included.
///
/// # Errors
/// [`PublishError`].
pub fn publish_http(url: &str, fleet: &mut Fleet, pace: &Pace) -> Result<u64, PublishError> {
    let target = format!("{}/api/v1/ingest", url.trim_end_matches('/'));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30))).build().into();
    let clock = Clock::new(*pace, fleet);
    let mut sent = 0;
    let mut body = Vec::new();
    while !clock.over(fleet) {
        let wait = clock.wait(fleet);
        if wait.is_zero() || body.is_empty() {
            thread::sleep(wait);
            let step = fleet.step();
            sent += step.readings.len() as u64;
            for &(sensor, value) in &step.readings {
                object(fleet.name(sensor), step.time, value, &mut body);
                body.push(b'\n');
            }
            for (sensor, samples) in &step.bursts {
                sent += samples.len() as u64;
                let burst = encode_waveform(fleet.name(*sensor), step.time, fleet.spec().burst_hz, samples);
                post(&agent, &target, WAVEFORM_TYPE, &burst)?;
            }
        }
        if !body.is_empty() && (body.len() >= BODY || !clock.wait(fleet).is_zero()) {
            post(&agent, &target, "application/x-ndjson", &body)?;
            body.clear();
        }
    }
    if !body.is_empty() {
        post(&agent, &target, "application/x-ndjson", &body)?;
    }
    Ok(sent)
}

fn object(name: &str, time: i64, value: f64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(b"{\"sensor_id\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"timestamp\":");
    out.extend_from_slice(digits.format(time).as_bytes());
    out.extend_from_slice(format!(",\"values\":{value}}}").as_bytes());
}

/// Sends until it is taken; a host that is starting, busy or away for a moment is waited for.
fn post(agent: &ureq::Agent, url: &str, kind: &str, body: &[u8]) -> Result<(), PublishError> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(50);
    loop {
        let message = match agent.post(url).header("Content-Type", kind).send(body) {
            Ok(mut answer) => match answer.status().as_u16() {
                200..300 => return Ok(()),
                status @ (429 | 503) => {
                    let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
                    pause = after.map_or(pause, Duration::from_secs);
                    format!("status {status}")
                }
                status => {
                    let body = answer.body_mut().read_to_string().unwrap_or_default();
                    return Err(PublishError::Refused { url: url.to_owned(), status, body });
                }
            },
            Err(ureq::Error::BadUri(_)) => return Err(PublishError::Address(url.to_owned())),
            Err(error) => error.to_string(),
        };
        if began.elapsed() > PATIENCE {
            return Err(PublishError::Away { url: url.to_owned(), message });
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Publishes over MQTT with QoS 1: the topic is the sensor's id, the payload a JSON object or a waveform. Gives the number
/// of readings that were acknowledged, samples of bursts included.
///
/// # Errors
/// [`PublishError`].
pub fn publish_mqtt(url: &str, fleet: &mut Fleet, pace: &Pace) -> Result<u64, PublishError> {
    let address = url.strip_prefix("mqtt://").map(|rest| rest.trim_end_matches('/')).ok_or_else(|| PublishError::Address(url.to_owned()))?;
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| PublishError::Address(url.to_owned()))?),
        None => (address, 1883),
    };
    let mut options = MqttOptions::new(format!("wheeltapper-simulate-{}", std::process::id()), host, port);
    options.set_keep_alive(Duration::from_secs(30)).set_clean_session(false).set_inflight(u16::try_from(IN_FLIGHT).unwrap_or(100));
    options.set_max_packet_size(16 << 20, 16 << 20);
    let (client, mut connection) = Client::new(options, IN_FLIGHT);
    let (ended, end) = std::sync::mpsc::channel::<u64>();
    let away = url.to_owned();
    // The connection's thread counts acknowledgements until as many came as messages were sent.
    let acknowledged = thread::spawn(move || -> Result<(), PublishError> {
        let (mut acks, mut wanted) = (0_u64, None);
        let mut failing: Option<Instant> = None;
        for event in connection.iter() {
            match event {
                Ok(Event::Incoming(Packet::PubAck(_))) => acks += 1,
                Ok(_) => {}
                Err(error) => {
                    if failing.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                        return Err(PublishError::Away { url: away, message: error.to_string() });
                    }
                    thread::sleep(Duration::from_millis(200));
                    continue;
                }
            }
            failing = None;
            wanted = wanted.or_else(|| end.try_recv().ok());
            if wanted.is_some_and(|wanted| acks >= wanted) {
                return Ok(());
            }
        }
        Ok(())
    });
    let clock = Clock::new(*pace, fleet);
    let (mut sent, mut messages) = (0, 0);
    'steps: while !clock.over(fleet) {
        thread::sleep(clock.wait(fleet));
        let Step { time, readings, bursts } = fleet.step();
        for &(sensor, value) in &readings {
            let mut body = Vec::new();
            object(fleet.name(sensor), time, value, &mut body);
            if client.publish(fleet.name(sensor), QoS::AtLeastOnce, false, body).is_err() {
                break 'steps;
            }
            messages += 1;
            sent += 1;
        }
        for (sensor, samples) in &bursts {
            let body = encode_waveform(fleet.name(*sensor), time, fleet.spec().burst_hz, samples);
            if client.publish(fleet.name(*sensor), QoS::AtLeastOnce, false, body).is_err() {
                break 'steps;
            }
            messages += 1;
            sent += samples.len() as u64;
        }
    }
    let _ = ended.send(messages);
    // One more event wakes the thread when all acknowledgements had come before.
    let _ = client.publish("wheeltapper/simulate", QoS::AtLeastOnce, false, b"done".as_slice());
    match acknowledged.join() {
        Ok(result) => result.map(|()| sent),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
