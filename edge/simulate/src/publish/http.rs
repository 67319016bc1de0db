//! Publishes a fleet over HTTP.

use std::{
    thread,
    time::{Duration, Instant},
};

use wheeltapper_domain::{WAVEFORM_CONTENT_TYPE, encode_waveform};

use super::{Backoff, Metronome, Pace, PublishError, UNREACHABLE_TIMEOUT};
use crate::{
    fleet::{Fleet, Tick},
    ndjson,
};

const NDJSON_CONTENT_TYPE: &str = "application/x-ndjson";
/// Number of readings after which a body is sent.
const MAX_READINGS_PER_BODY: u64 = 10_000;
/// How long to retry while the server is busy, and the maximum Retry-After that is honoured.
const BUSY_TIMEOUT: Duration = Duration::from_secs(600);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// Timeout of one request, from connecting to the end of the response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Posts the fleet's readings to `{url}/api/v1/ingest` at the given pace: scalars as NDJSON, each waveform as a `WTW1`
/// body. Returns after [`Pace::run_for`], with the number of readings that were sent: scalars plus samples of
/// waveforms. `key` is an API key, if the host requires one.
///
/// Retries for one minute if the server cannot be reached, and for ten minutes if it answers 429 or 503. It waits as
/// long as Retry-After demands.
///
/// # Errors
/// See [`PublishError`].
pub fn publish_http(url: &str, key: Option<&str>, fleet: &mut Fleet, pace: &Pace) -> Result<u64, PublishError> {
    let metronome = Metronome::start(fleet, pace)?;
    let mut post = HttpSender::new(url, key)?;
    let prefixes: Vec<Vec<u8>> = fleet.sensors().iter().map(|sensor| ndjson::prefix(&sensor.id)).collect();
    let names: Vec<String> = fleet.sensors().iter().map(|sensor| sensor.id.clone()).collect();
    let (mut body, mut pending) = (Vec::new(), 0);
    loop {
        let tick = metronome.next_tick(fleet, || post.flush(&mut body, &mut pending))?;
        let Some(Tick { readings, waveforms, .. }) = tick else { break };
        for reading in readings {
            let prefix = prefixes.get(reading.sensor).map(Vec::as_slice).unwrap_or_default();
            ndjson::write_line(&mut body, prefix, reading.time_ns, reading.value);
            pending += 1;
        }
        if pending >= MAX_READINGS_PER_BODY || !waveforms.is_empty() {
            // Send the readings that precede the waveform first.
            post.flush(&mut body, &mut pending)?;
        }
        for waveform in waveforms {
            let name = names.get(waveform.sensor).map_or("", String::as_str);
            let body = encode_waveform(name, waveform.start_ns, waveform.rate_hz, &waveform.samples);
            post.send(WAVEFORM_CONTENT_TYPE, &body, waveform.samples.len() as u64)?;
        }
    }
    post.flush(&mut body, &mut pending)?;
    Ok(post.sent)
}

struct HttpSender {
    agent: ureq::Agent,
    url: String,
    key: Option<String>,
    sent: u64,
}

impl HttpSender {
    fn new(url: &str, key: Option<&str>) -> Result<Self, PublishError> {
        let hint = match url.split_once("://") {
            Some(("http", rest)) if !rest.trim_matches('/').is_empty() => "",
            Some(("https", _)) => "; the simulator does not support TLS; use the plain address",
            _ => "; correct --to",
        };
        if !hint.is_empty() || !url.starts_with("http://") {
            return Err(PublishError::InvalidAddress { expected: "http://127.0.0.1:8080", url: url.to_owned(), hint });
        }
        // Responses such as 503 are handled here, not as errors of the client.
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .build()
            .into();
        Ok(Self {
            agent,
            url: format!("{}/api/v1/ingest", url.trim_end_matches('/')),
            key: key.map(str::to_owned),
            sent: 0,
        })
    }

    /// Sends the pending readings, if there are any.
    fn flush(&mut self, body: &mut Vec<u8>, readings: &mut u64) -> Result<(), PublishError> {
        if *readings > 0 {
            self.send(NDJSON_CONTENT_TYPE, body, *readings)?;
            body.clear();
            *readings = 0;
        }
        Ok(())
    }

    fn send(&mut self, content_type: &str, body: &[u8], readings: u64) -> Result<(), PublishError> {
        let began = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let mut request = self.agent.post(&self.url).header("content-type", content_type);
            if let Some(key) = &self.key {
                request = request.header("x-api-key", key);
            }
            let pause = match request.send(body) {
                Err(error) => {
                    let seconds = began.elapsed().as_secs();
                    if began.elapsed() >= UNREACHABLE_TIMEOUT || !is_transient(&error) {
                        let message = error.to_string();
                        return Err(PublishError::Unreachable { url: self.url.clone(), seconds, message });
                    }
                    backoff.next_delay()
                }
                Ok(mut response) => {
                    let status = response.status().as_u16();
                    let after = response
                        .headers()
                        .get("retry-after")
                        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                        .map(Duration::from_secs);
                    // Read the body to its end, so that the connection can be reused.
                    let answer = response.body_mut().with_config().limit(1 << 20).read_to_string().unwrap_or_default();
                    match status {
                        200..300 => {
                            self.sent += readings;
                            return Ok(());
                        }
                        429 | 503 if began.elapsed() < BUSY_TIMEOUT => {
                            after.map_or_else(|| backoff.next_delay(), |after| after.min(MAX_RETRY_AFTER))
                        }
                        429 | 503 => {
                            let seconds = began.elapsed().as_secs();
                            return Err(PublishError::Busy { url: self.url.clone(), status, seconds });
                        }
                        _ => {
                            let answer = answer.chars().take(400).collect();
                            return Err(PublishError::Rejected {
                                url: self.url.clone(),
                                status,
                                answer,
                                sent: self.sent,
                            });
                        }
                    }
                }
            };
            thread::sleep(pause);
        }
    }
}

/// Whether a retry may succeed.
fn is_transient(error: &ureq::Error) -> bool {
    matches!(
        error,
        ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::HostNotFound
            | ureq::Error::Protocol(_)
    )
}
