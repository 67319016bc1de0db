//! Signed webhooks: forged, changed, repeated.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wheeltapper_tests::{Plant, Running, door::ON};

use crate::http::{STANDSTILL, p99_beside, raw, resident, status};

const BODY: &str = r#"{"timestamp":1767225600,"values":1}"#;
const TARGET: &str = "/api/v1/ingest?sensor=a%2Fm%2Fs";

fn plant(settings: &str) -> (Plant, Running) {
    let plant = Plant::new("").unwrap();
    let path = plant.path().join("secret");
    std::fs::write(&path, "Jefe\n").unwrap();
    plant.configure(&format!("[[http.source]]\nname = \"erp\"\nsecret_file = {path:?}\n{settings}")).unwrap();
    let host = plant.start().unwrap();
    (plant, host)
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
        "X-Wheeltapper-Source: erp\r\nX-Wheeltapper-Timestamp: {time}\r\nX-Wheeltapper-Nonce: {nonce}\r\nX-Wheeltapper-Signature: sha256={signature}\r\n"
    )
}

fn post(host: &Running, headers: &str, target: &str, body: &str) -> u16 {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    status(&raw(host, (head + body).as_bytes(), std::time::Duration::from_secs(10)))
}

#[test]
fn a_signed_request_is_taken_once_and_as_it_was_signed() {
    let (plant, host) = plant(ON);
    let (time, nonce) = (now(), "nonce-of-the-first-one");
    let headers = sign("Jefe", time, nonce, TARGET, BODY);
    assert_eq!(post(&host, &headers, TARGET, &BODY.replace('1', "2")), 401, "another body");
    assert_eq!(post(&host, &headers, "/api/v1/ingest?sensor=a%2Fm%2Ft", BODY), 401, "another sensor");
    assert_eq!(post(&host, &headers, "/api/v1/ingest", BODY), 401, "no sensor");
    assert_eq!(post(&host, &sign("other", time, nonce, TARGET, BODY), TARGET, BODY), 401, "another secret");
    assert_eq!(post(&host, &sign("Jefe", time - 400, nonce, TARGET, BODY), TARGET, BODY), 401, "an old one");
    assert_eq!(post(&host, &headers, TARGET, BODY), 202);
    for _ in 0..3 {
        assert_eq!(post(&host, &headers, TARGET, BODY), 409, "repeated");
    }
    assert_eq!(post(&host, &sign("Jefe", time, "nonce-of-the-second", TARGET, BODY), TARGET, BODY), 202);
    host.stop().unwrap();
    // A restart is no way to repeat one either.
    while now() <= time {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let host = plant.start().unwrap();
    assert_eq!(post(&host, &headers, TARGET, BODY), 401, "repeated after a restart");
}

/// Headers that are there but say nothing once skipped the login, and the check as well.
#[test]
fn headers_of_a_signature_are_no_way_past_the_login() {
    let (_plant, host) = plant(ON);
    let odd = ["Source", "Timestamp", "Nonce", "Signature"]
        .map(|name| format!("X-Wheeltapper-{name}: "))
        .map(|head| [head.as_bytes(), b"\xff\r\n"].concat());
    let head =
        format!("POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n", BODY.len());
    let request = [head.as_bytes(), &odd.concat(), b"\r\n", BODY.as_bytes()].concat();
    let answer = raw(&host, &request, std::time::Duration::from_secs(10));
    assert_eq!(status(&answer), 401, "{answer}");
}

/// Who is not known is refused before a byte of the body is read, and forged signatures hold little memory.
#[test]
fn forged_signatures_take_neither_memory_nor_time() {
    let (_plant, host) = plant("");
    let before = resident(&host);
    let large = 15 << 20;
    let mut held = Vec::new();
    let p99 = p99_beside(&host, || {
        for number in 0..60 {
            let forged = sign("forged", now(), &format!("nonce-number-{number:08}"), TARGET, "");
            let (source, read) = if number % 2 == 0 { ("erp", true) } else { ("nobody", false) };
            let head = format!(
                "POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {large}\r\n{}\r\n",
                forged.replace("Source: erp", &format!("Source: {source}"))
            );
            if read {
                let mut stream = std::net::TcpStream::connect(&host.http).unwrap();
                stream.set_write_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
                // All but the end, so that it cannot be refused for its signature yet.
                let body = vec![b' '; large - 1];
                let _ = std::io::Write::write_all(&mut stream, &[head.as_bytes(), &body].concat());
                held.push(stream);
            } else {
                let answer = raw(&host, head.as_bytes(), std::time::Duration::from_secs(10));
                assert_eq!(status(&answer), 401, "{answer}");
            }
        }
    });
    let grown = resident(&host).saturating_sub(before);
    assert!(grown < 300, "{grown} MB for 30 unfinished bodies");
    assert!(p99 < STANDSTILL, "{p99:?}");
}
