//! Forged, changed and repeated signed webhooks.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wheeltapper_tests::{RunningHost, TestHost, client::ACCESS_ON};

use crate::http::{MAX_P99, p99_during, resident_mb, send_raw, status};

const BODY: &str = r#"{"timestamp":1767225600,"values":1}"#;
const TARGET: &str = "/api/v1/ingest?sensor=a%2Fm%2Fs";

fn start_host(settings: &str) -> (TestHost, RunningHost) {
    let test_host = TestHost::new("").unwrap();
    let path = test_host.path().join("secret");
    std::fs::write(&path, "Jefe\n").unwrap();
    test_host.configure(&format!("[[http.source]]\nname = \"erp\"\nsecret_file = {path:?}\n{settings}")).unwrap();
    let host = test_host.start().unwrap();
    (test_host, host)
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// The headers of a signed request.
fn sign(secret: &str, time: u64, nonce: &str, target: &str, body: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v1\n{time}\n{nonce}\nPOST\n{path}\n{query}\n{body}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    format!(
        "X-Wheeltapper-Source: erp\r\nX-Wheeltapper-Timestamp: {time}\r\nX-Wheeltapper-Nonce: {nonce}\r\n\
            X-Wheeltapper-Signature: sha256={signature}\r\n"
    )
}

fn post(host: &RunningHost, headers: &str, target: &str, body: &str) -> u16 {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
            Content-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    status(&send_raw(host, (head + body).as_bytes(), std::time::Duration::from_secs(10)))
}

#[test]
fn a_signed_request_is_accepted_once_and_only_unchanged() {
    let (test_host, host) = start_host(ACCESS_ON);
    let (time, nonce) = (now(), "nonce-of-the-first-one");
    let headers = sign("Jefe", time, nonce, TARGET, BODY);
    assert_eq!(post(&host, &headers, TARGET, &BODY.replace('1', "2")), 401, "another body");
    assert_eq!(post(&host, &headers, "/api/v1/ingest?sensor=a%2Fm%2Ft", BODY), 401, "another sensor");
    assert_eq!(post(&host, &headers, "/api/v1/ingest", BODY), 401, "no sensor");
    assert_eq!(post(&host, &sign("other", time, nonce, TARGET, BODY), TARGET, BODY), 401, "another secret");
    assert_eq!(post(&host, &sign("Jefe", time - 400, nonce, TARGET, BODY), TARGET, BODY), 401, "an old timestamp");
    assert_eq!(post(&host, &headers, TARGET, BODY), 202);
    for _ in 0..3 {
        assert_eq!(post(&host, &headers, TARGET, BODY), 409, "repeated");
    }
    assert_eq!(post(&host, &sign("Jefe", time, "nonce-of-the-second", TARGET, BODY), TARGET, BODY), 202);
    host.stop().unwrap();
    // A request cannot be repeated after a restart either.
    while now() <= time {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let host = test_host.start().unwrap();
    assert_eq!(post(&host, &headers, TARGET, BODY), 401, "repeated after a restart");
}

/// Regression test: present but invalid signature headers skipped both the login and the signature check.
#[test]
fn malformed_signature_headers_do_not_bypass_the_login() {
    let (_test_host, host) = start_host(ACCESS_ON);
    let malformed = ["Source", "Timestamp", "Nonce", "Signature"]
        .map(|name| format!("X-Wheeltapper-{name}: "))
        .map(|head| [head.as_bytes(), b"\xff\r\n"].concat());
    let head =
        format!("POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n", BODY.len());
    let request = [head.as_bytes(), &malformed.concat(), b"\r\n", BODY.as_bytes()].concat();
    let answer = send_raw(&host, &request, std::time::Duration::from_secs(10));
    assert_eq!(status(&answer), 401, "{answer}");
}

/// A request of an unknown source is rejected before its body is read, and forged signatures use little memory.
#[test]
fn forged_signatures_use_little_memory_and_time() {
    let (_test_host, host) = start_host("");
    let before = resident_mb(&host);
    let large = 15 << 20;
    let mut connections = Vec::new();
    let p99 = p99_during(&host, || {
        for number in 0..60 {
            let forged = sign("forged", now(), &format!("nonce-number-{number:08}"), TARGET, "");
            let (source, known_source) = if number % 2 == 0 { ("erp", true) } else { ("nobody", false) };
            let head = format!(
                "POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {large}\r\n{}\r\n",
                forged.replace("Source: erp", &format!("Source: {source}"))
            );
            if known_source {
                let mut stream = std::net::TcpStream::connect(&host.http).unwrap();
                stream.set_write_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
                // The last byte is missing, so that the host cannot check the signature yet.
                let body = vec![b' '; large - 1];
                let _ = std::io::Write::write_all(&mut stream, &[head.as_bytes(), &body].concat());
                connections.push(stream);
            } else {
                let answer = send_raw(&host, head.as_bytes(), std::time::Duration::from_secs(10));
                assert_eq!(status(&answer), 401, "{answer}");
            }
        }
    });
    let growth = resident_mb(&host).saturating_sub(before);
    assert!(growth < 300, "{growth} MB for 30 unfinished bodies");
    assert!(p99 < MAX_P99, "{p99:?}");
}
