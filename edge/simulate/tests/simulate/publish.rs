//! Publishing to minimal implementations of an HTTP server and an MQTT broker.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use wheeltapper_simulate::{Fleet, FleetSpec, Pace, PublishError, publish_http, publish_mqtt};

const START: i64 = 1_700_000_000_000_000_000;
const FAST: Pace = Pace { speed: f64::INFINITY, run_for: Some(Duration::from_secs(30)) };

fn fleet() -> Fleet {
    let spec = FleetSpec {
        machines: 4,
        start_ns: START,
        waveform_samples: 100,
        waveform_interval_seconds: 20.0,
        ..FleetSpec::default()
    };
    Fleet::new(spec)
}

/// The output of the fleet in 30 s: scalars as (sensor, time), and the number of waveforms.
fn expected_output() -> (BTreeSet<(String, i64)>, usize) {
    let mut fleet = fleet();
    let (mut scalars, mut waveforms) = (BTreeSet::new(), 0);
    for _ in 0..30 {
        let tick = fleet.step();
        scalars
            .extend(tick.readings.iter().map(|reading| (fleet.sensors()[reading.sensor].id.clone(), reading.time_ns)));
        waveforms += tick.waveforms.len();
    }
    (scalars, waveforms)
}

fn reading(json: &[u8]) -> (String, i64) {
    let value: Value = serde_json::from_slice(json).unwrap();
    assert!(value["values"].is_number());
    (value["sensor_id"].as_str().unwrap().to_owned(), value["timestamp"].as_i64().unwrap())
}

#[derive(Debug)]
struct Request {
    head: String,
    body: Vec<u8>,
}

/// Answers with these statuses, then with 202. Serves one connection at a time.
fn serve(listener: TcpListener, statuses: &'static [(u16, &'static str)]) -> Receiver<Request> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut statuses = statuses.iter();
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut writer = stream.try_clone().unwrap();
            let mut reader = BufReader::new(stream);
            while let Some(request) = request(&mut reader) {
                let (status, headers) = statuses.next().copied().unwrap_or((202, ""));
                let answer = format!("HTTP/1.1 {status} x\r\n{headers}content-length: 2\r\n\r\n{{}}");
                // Recorded before the answer: the publisher may end, and the test may count, directly afterwards.
                if status == 202 && sender.send(request).is_err() {
                    return;
                }
                writer.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    receiver
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    head.make_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some(Request { head, body })
}

#[test]
fn http_sends_everything_once_if_the_server_is_busy_at_first() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let requests = serve(listener, &[(503, "retry-after: 0\r\n"), (429, "retry-after: 1\r\n"), (503, "")]);
    let began = Instant::now();
    let sent = publish_http(&url, Some("secret"), &mut fleet(), &FAST).unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After was not waited for");
    let (mut scalars, mut waveforms) = (BTreeSet::new(), 0);
    for request in requests.try_iter() {
        assert!(request.head.starts_with("post /api/v1/ingest http/1.1"), "{}", request.head);
        assert!(request.head.contains("x-api-key: secret"), "{}", request.head);
        if request.head.contains("content-type: application/x-ndjson") {
            for line in request.body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                assert!(scalars.insert(reading(line)));
            }
        } else {
            assert!(request.head.contains("content-type: application/vnd.wheeltapper.waveform"), "{}", request.head);
            assert!(request.body.starts_with(b"WTW1"));
            waveforms += 1;
        }
    }
    assert_eq!((scalars.clone(), waveforms), expected_output());
    assert_eq!(sent, scalars.len() as u64 + 100 * waveforms as u64);
}

#[test]
fn http_waits_for_a_server_that_is_still_starting() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = thread::spawn(move || {
        thread::sleep(Duration::from_millis(400));
        serve(TcpListener::bind(address).unwrap(), &[])
    });
    assert!(publish_http(&format!("http://{address}"), None, &mut fleet(), &FAST).unwrap() > 0);
    assert!(server.join().unwrap().try_iter().count() > 0);
}

#[test]
fn http_reports_why_the_server_rejected_readings() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _requests = serve(listener, &[(415, "")]);
    let error = publish_http(&url, None, &mut fleet(), &FAST).unwrap_err();
    assert!(matches!(error, PublishError::Rejected { status: 415, sent: 0, .. }), "{error}");
    for wrong in ["ftp://host", "host:8080", "http://", "https://host"] {
        let error = publish_http(wrong, None, &mut fleet(), &FAST).unwrap_err();
        assert!(error.to_string().contains("http://127.0.0.1:8080"), "{error}");
    }
}

#[test]
fn the_present_is_published_in_real_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _requests = serve(listener, &[]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let spec = FleetSpec {
        machines: 1,
        start_ns: i64::try_from(now.as_nanos()).unwrap(),
        scalar_hz: 10.0,
        ..FleetSpec::default()
    };
    let began = Instant::now();
    publish_http(&url, None, &mut Fleet::new(spec), &Pace { speed: 1e9, run_for: Some(Duration::from_secs(1)) })
        .unwrap();
    // Ten ticks, the first of them immediately.
    assert!((850..2500).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

/// Reads an MQTT 3.1.1 packet: its first byte, and its body after the length.
fn packet(reader: &mut impl std::io::Read) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    reader.read_exact(&mut byte).ok()?;
    let (kind, mut length, mut shift) = (byte[0], 0, 0);
    loop {
        reader.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] < 0x80 {
            break;
        }
    }
    let mut rest = vec![0; length];
    reader.read_exact(&mut rest).ok()?;
    Some((kind, rest))
}

/// A broker that does not keep sessions. It closes its first connection after some messages and acknowledges only a few
/// of them.
fn broker(listener: TcpListener, acknowledged: Sender<(String, Vec<u8>)>) {
    for (connection, stream) in listener.incoming().enumerate() {
        let stream = stream.unwrap();
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        let mut messages = 0;
        while let Some((kind, rest)) = packet(&mut reader) {
            match kind >> 4 {
                1 => writer.write_all(&[0x20, 2, 0, 0]).unwrap(),
                3 => {
                    assert_eq!(kind & 0x06, 2, "quality of service 1");
                    let (length, rest) = rest.split_at(2);
                    let (topic, rest) = rest.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])));
                    let (number, payload) = rest.split_at(2);
                    messages += 1;
                    if connection == 0 && messages > 40 {
                        break;
                    }
                    if connection > 0 || messages <= 10 {
                        writer.write_all(&[0x40, 2, number[0], number[1]]).unwrap();
                        acknowledged.send((String::from_utf8(topic.to_vec()).unwrap(), payload.to_vec())).unwrap();
                    }
                }
                14 => return,
                _ => {}
            }
        }
    }
}

#[test]
fn mqtt_resends_unacknowledged_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let (sender, messages) = channel();
    let broker = thread::spawn(move || broker(listener, sender));
    let sent = publish_mqtt(&url, None, &mut fleet(), &FAST).unwrap();
    broker.join().unwrap();
    let (mut scalars, mut waveforms) = (BTreeSet::new(), BTreeSet::new());
    for (topic, payload) in messages.try_iter() {
        if payload.starts_with(b"WTW1") {
            assert!(topic.ends_with("/vibration"), "{topic}");
            waveforms.insert(payload);
        } else {
            let reading = reading(&payload);
            assert_eq!(topic, reading.0);
            scalars.insert(reading);
        }
    }
    assert_eq!((scalars.clone(), waveforms.len()), expected_output());
    assert_eq!(sent, scalars.len() as u64 + 100 * waveforms.len() as u64);
}
