//! Ambiguous requests and connections that are kept open.

use std::{
    io::Write as _,
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;
use wheeltapper_tests::{TestHost, client::send};

use crate::http::{read_answer, send_raw, status};

const TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn requests_with_ambiguous_hosts_or_paths_are_rejected() {
    let test_host = TestHost::new("").unwrap();
    let host = test_host.start().unwrap();
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
        let answer = send_raw(&host, format!("{head}Connection: close\r\n\r\n").as_bytes(), TIMEOUT);
        assert_eq!(status(&answer), expected, "{head}\n{answer}");
        assert!(expected == 200 || answer.contains("application/problem+json"), "{answer}");
    }
}

#[test]
fn misleading_sensor_names_are_rejected() {
    let test_host = TestHost::new("").unwrap();
    let host = test_host.start().unwrap();
    for name in ["a%2F..%2Fb", "a%2F%2Fb", "%E2%80%AEa", "a%0A", "%2Fa", ".."] {
        let answer = send(&host, "POST", &format!("/api/v1/ingest?sensor={name}"), &[], Some(&json!(1)));
        assert_eq!(answer.status, 400, "{name}: {}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains("sensor: the name"), "{}", answer.body);
    }
}

#[test]
fn connections_per_address_are_limited_and_idle_ones_closed() {
    let test_host =
        TestHost::new("[http.limits]\nconnections = 20\nconnections_per_address = 8\nhead_timeout = \"2s\"\n").unwrap();
    let host = test_host.start().unwrap();
    let began = Instant::now();
    let mut idle: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(&host.http).unwrap()).collect();
    // The host accepts connections in order, so that this is the ninth.
    let rejected = send_raw(&host, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", TIMEOUT);
    assert_eq!(status(&rejected), 429, "{rejected}");
    assert!(rejected.contains("Retry-After:") && rejected.contains("connections_per_address"), "{rejected}");
    // Timeouts also apply to a persistent connection after its first request.
    let mut last_stream = idle.pop().unwrap();
    last_stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    idle.push(last_stream);
    for stream in &mut idle {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        read_answer(stream);
    }
    assert!(began.elapsed() >= Duration::from_secs(2) && began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(host.get("/health").unwrap().0, 200);
    assert!(host.metric("wheeltapper_http_limited_total{limit=\"connections-per-address\"}").unwrap() >= 1.0);
}

/// A client that sends many requests and does not read the answers is disconnected, and its answers are discarded.
#[test]
fn a_client_that_does_not_read_is_disconnected() {
    let test_host = TestHost::new("[http.limits]\nwrite_timeout = \"1s\"\n").unwrap();
    let host = test_host.start().unwrap();
    let mut stream = TcpStream::connect(&host.http).unwrap();
    // Sends requests until the host stops reading; no answer is read.
    let request = b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    let began = Instant::now();
    while stream.write_all(request).is_ok() {
        assert!(began.elapsed() < 3 * TIMEOUT, "the host still reads");
    }
    wheeltapper_tests::wait_until("the connection is closed", TIMEOUT, || {
        Ok(host.metric("wheeltapper_http_connections ")? <= 1.0)
    })
    .unwrap();
}
