//! Bodies that do not come to an end, and bodies that are more than they seem.

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use wheeltapper_tests::Plant;

use crate::http::{STANDSTILL, p99_beside, read, resident, status};

const SECOND: Duration = Duration::from_secs(1);

fn head(length: usize) -> String {
    format!("POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

/// A byte every now and then keeps no connection for ever.
#[test]
fn a_body_that_comes_byte_by_byte_is_cut_off() {
    let plant =
        Plant::new("[http.limits]\nbody_timeout = \"3s\"\nhead_timeout = \"3s\"\nbody_min_rate = 100\n").unwrap();
    let host = plant.start().unwrap();
    let mut streams: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(&host.http).unwrap()).collect();
    for stream in &mut streams {
        stream.write_all(head(1_000_000).as_bytes()).unwrap();
    }
    let p99 = p99_beside(&host, || {
        let began = Instant::now();
        // Until the host answers, which it does in spite of the bytes that keep coming.
        let mut answered = Vec::new();
        while answered.len() < streams.len() {
            assert!(began.elapsed() < 20 * SECOND, "{answered:?}");
            for (number, stream) in streams.iter_mut().enumerate() {
                if answered.contains(&number) {
                    continue;
                }
                let written = stream.write_all(b"x");
                stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
                let answer = read(stream);
                if !answer.is_empty() {
                    assert_eq!(status(&answer), 408, "{answer}");
                    answered.push(number);
                } else if written.is_err() {
                    // The end came before the answer was read.
                    answered.push(number);
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
        assert!(began.elapsed() >= 2 * SECOND, "{:?}", began.elapsed());
    });
    assert!(p99 < STANDSTILL, "{p99:?}");
    assert!(host.metric("wheeltapper_http_limited_total{limit=\"body-pace\"}").unwrap() >= 1.0);
}

/// Sixty bodies of 15 MB that lack their last byte once took 900 MB.
#[test]
fn bodies_that_never_end_take_no_more_memory_than_there_is_for_them() {
    let plant = Plant::new("[http.limits]\nbody_memory = \"128 MiB\"\n").unwrap();
    let host = plant.start().unwrap();
    let before = resident(&host);
    let mut streams = Vec::new();
    let p99 = p99_beside(&host, || {
        let body = vec![b' '; (15 << 20) - 1];
        thread::scope(|scope| {
            let sent: Vec<_> = (0..60)
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
            streams.extend(sent.into_iter().map(|thread| thread.join().unwrap()));
        });
    });
    let grown = resident(&host).saturating_sub(before);
    assert!(grown < 250, "{grown} MB");
    assert!(p99 < STANDSTILL, "{p99:?}");
    let refused = streams
        .iter_mut()
        .filter_map(|stream| {
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            (status(&read(stream)) == 503).then_some(())
        })
        .count();
    assert!(refused > 0, "none was told");
    assert!(host.metric("wheeltapper_http_body_bytes ").unwrap() <= 64.0 * 1024.0 * 1024.0, "one address has half");
    drop(streams);
    wheeltapper_tests::wait_until("the memory is given back", 30 * SECOND, || {
        Ok(host.metric("wheeltapper_http_body_bytes ")? == 0.0)
    })
    .unwrap();
}

#[test]
fn what_unpacks_to_gigabytes_is_given_up() {
    let plant = Plant::new("").unwrap();
    let host = plant.start().unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
    for _ in 0..4_000 {
        gzip.write_all(&[b'0'; 1 << 20]).unwrap();
        zstd.write_all(&[b'0'; 1 << 20]).unwrap();
    }
    let (gzip, zstd) = (gzip.finish().unwrap(), zstd.finish().unwrap());
    let before = resident(&host);
    let p99 = p99_beside(&host, || {
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
    assert!(p99 < STANDSTILL, "{p99:?}");
    let grown = resident(&host).saturating_sub(before);
    assert!(grown < 300, "{grown} MB");
}
