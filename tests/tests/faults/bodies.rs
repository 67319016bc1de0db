//! Unfinished bodies and decompression bombs.

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use wheeltapper_tests::TestHost;

use crate::http::{MAX_P99, p99_during, read_answer, resident_mb, status};

const SECOND: Duration = Duration::from_secs(1);

fn head(length: usize) -> String {
    format!("POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

/// A client that sends a byte from time to time cannot keep a connection open.
#[test]
fn a_body_sent_byte_by_byte_times_out() {
    let test_host =
        TestHost::new("[http.limits]\nbody_timeout = \"3s\"\nhead_timeout = \"3s\"\nbody_min_rate = 100\n").unwrap();
    let host = test_host.start().unwrap();
    let mut streams: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(&host.http).unwrap()).collect();
    for stream in &mut streams {
        stream.write_all(head(1_000_000).as_bytes()).unwrap();
    }
    let p99 = p99_during(&host, || {
        let began = Instant::now();
        // Sends until the host answers; it must answer although bytes keep arriving.
        let mut answered = Vec::new();
        while answered.len() < streams.len() {
            assert!(began.elapsed() < 20 * SECOND, "{answered:?}");
            for (number, stream) in streams.iter_mut().enumerate() {
                if answered.contains(&number) {
                    continue;
                }
                let written = stream.write_all(b"x");
                stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
                let answer = read_answer(stream);
                if !answer.is_empty() {
                    assert_eq!(status(&answer), 408, "{answer}");
                    answered.push(number);
                } else if written.is_err() {
                    // The host closed the connection before the answer was read.
                    answered.push(number);
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
        assert!(began.elapsed() >= 2 * SECOND, "{:?}", began.elapsed());
    });
    assert!(p99 < MAX_P99, "{p99:?}");
    assert!(host.metric("wheeltapper_http_limited_total{limit=\"body-timeout\"}").unwrap() >= 1.0);
}

/// Without a limit, 60 bodies of 15 MB without their last byte used 900 MB.
#[test]
fn unfinished_bodies_stay_within_the_memory_limit() {
    let test_host = TestHost::new("[http.limits]\nbody_memory = \"128 MiB\"\n").unwrap();
    let host = test_host.start().unwrap();
    let before = resident_mb(&host);
    let mut streams = Vec::new();
    let p99 = p99_during(&host, || {
        let body = vec![b' '; (15 << 20) - 1];
        thread::scope(|scope| {
            let senders: Vec<_> = (0..60)
                .map(|_| {
                    scope.spawn(|| {
                        let mut stream = TcpStream::connect(&host.http).unwrap();
                        stream.set_write_timeout(Some(2 * SECOND)).unwrap();
                        let _ = stream.write_all(head(15 << 20).as_bytes());
                        let _ = stream.write_all(&body);
                        stream
                    })
                })
                .collect();
            streams.extend(senders.into_iter().map(|thread| thread.join().unwrap()));
        });
    });
    let growth = resident_mb(&host).saturating_sub(before);
    assert!(growth < 250, "{growth} MB");
    assert!(p99 < MAX_P99, "{p99:?}");
    let rejected = streams
        .iter_mut()
        .filter_map(|stream| {
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            (status(&read_answer(stream)) == 503).then_some(())
        })
        .count();
    assert!(rejected > 0, "no body was rejected");
    assert!(
        host.metric("wheeltapper_http_body_bytes ").unwrap() <= 64.0 * 1024.0 * 1024.0,
        "one address may use half of the memory"
    );
    drop(streams);
    wheeltapper_tests::wait_until("release of the body memory", 30 * SECOND, || {
        Ok(host.metric("wheeltapper_http_body_bytes ")? == 0.0)
    })
    .unwrap();
}

#[test]
fn a_body_that_decompresses_to_gigabytes_is_rejected() {
    let test_host = TestHost::new("").unwrap();
    let host = test_host.start().unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
    for _ in 0..4_000 {
        gzip.write_all(&[b'0'; 1 << 20]).unwrap();
        zstd.write_all(&[b'0'; 1 << 20]).unwrap();
    }
    let (gzip, zstd) = (gzip.finish().unwrap(), zstd.finish().unwrap());
    let before = resident_mb(&host);
    let p99 = p99_during(&host, || {
        thread::scope(|scope| {
            for (encoding, body) in [("gzip", &gzip), ("zstd", &zstd)].repeat(4) {
                scope.spawn(|| {
                    for _ in 0..4 {
                        let headers = [("Content-Type", "application/json"), ("Content-Encoding", encoding)];
                        let answer = host.post_with(&headers, body).unwrap();
                        assert!(matches!(answer.status, 413 | 503), "{} {}", answer.status, answer.body);
                    }
                });
            }
        });
    });
    assert!(p99 < MAX_P99, "{p99:?}");
    let growth = resident_mb(&host).saturating_sub(before);
    assert!(growth < 300, "{growth} MB");
}
