//! Requests that two programs could read in two ways, and connections without end.

use std::{
    io::Write as _,
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;
use wheeltapper_tests::{Plant, door::send};

use crate::http::{raw, read, status};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_request_of_two_hosts_is_refused() {
    let plant = Plant::new("").unwrap();
    let host = plant.start().unwrap();
    for (head, expected) in [
        ("GET /health HTTP/1.1\r\nHost: localhost\r\n", 200),
        ("GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n", 200),
        ("GET /health HTTP/1.0\r\n", 200),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400),
        ("GET /api/v1/machines HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400),
        ("GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n", 400),
        ("GET /health HTTP/1.1\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: a b\r\n", 400),
        ("GET /api/../health HTTP/1.1\r\nHost: localhost\r\n", 400),
        ("GET /api/%2e%2e/health HTTP/1.1\r\nHost: localhost\r\n", 400),
        ("GET //health HTTP/1.1\r\nHost: localhost\r\n", 400),
        ("GET /api/v1/sensors/a%00 HTTP/1.1\r\nHost: localhost\r\n", 400),
        ("GET /api/v1/sensors/a%E2%80%AEb HTTP/1.1\r\nHost: localhost\r\n", 400),
    ] {
        let answer = raw(&host, format!("{head}Connection: close\r\n\r\n").as_bytes(), SOON);
        assert_eq!(status(&answer), expected, "{head}\n{answer}");
        assert!(expected == 200 || answer.contains("application/problem+json"), "{answer}");
    }
}

#[test]
fn names_that_mislead_are_no_sensors() {
    let plant = Plant::new("").unwrap();
    let host = plant.start().unwrap();
    for name in ["a%2F..%2Fb", "a%2F%2Fb", "%E2%80%AEa", "a%0A", "%2Fa", ".."] {
        let answer = send(&host, "POST", &format!("/api/v1/ingest?sensor={name}"), &[], Some(&json!(1)));
        assert_eq!(answer.status, 400, "{name}: {}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains("sensor: the name"), "{}", answer.body);
    }
}

#[test]
fn one_address_does_not_take_all_connections_and_silent_ones_are_closed() {
    let plant =
        Plant::new("[http.limits]\nconnections = 20\nconnections_per_address = 8\nhead_timeout = \"2s\"\n").unwrap();
    let host = plant.start().unwrap();
    let began = Instant::now();
    let mut silent: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(&host.http).unwrap()).collect();
    // The eight are taken in order, the ninth after them.
    let refused = raw(&host, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", SOON);
    assert_eq!(status(&refused), 429, "{refused}");
    assert!(refused.contains("Retry-After:") && refused.contains("connections_per_address"), "{refused}");
    // A head that comes byte by byte ends as well; so does a connection that is kept open and says nothing more.
    let mut last = silent.pop().unwrap();
    last.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    silent.push(last);
    for stream in &mut silent {
        stream.set_read_timeout(Some(SOON)).unwrap();
        read(stream);
    }
    assert!(began.elapsed() >= Duration::from_secs(2) && began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(host.get("/health").unwrap().0, 200);
    assert!(host.metric("wheeltapper_http_limited_total{limit=\"connections-per-address\"}").unwrap() >= 1.0);
}

/// Whoever asks for much and takes nothing of it is cut off, and what was for them is not held for ever.
#[test]
fn who_takes_nothing_of_an_answer_is_cut_off() {
    let plant = Plant::new("[http.limits]\nwrite_timeout = \"1s\"\n").unwrap();
    let host = plant.start().unwrap();
    let mut stream = TcpStream::connect(&host.http).unwrap();
    // As many requests as the host reads, whose answers nobody takes.
    let request = b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.set_write_timeout(Some(SOON)).unwrap();
    let began = Instant::now();
    while stream.write_all(request).is_ok() {
        assert!(began.elapsed() < 3 * SOON, "it is still read");
    }
    wheeltapper_tests::wait_until("the connection is closed", SOON, || {
        Ok(host.metric("wheeltapper_http_connections ")? <= 1.0)
    })
    .unwrap();
}
