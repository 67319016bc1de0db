//! Sends HTTP requests that a client library would not send, and measures the response times of other users.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use wheeltapper_tests::RunningHost;

/// Sends bytes and reads until the host closes the connection or nothing arrives within `timeout`.
pub fn send_raw(host: &RunningHost, request: &[u8], timeout: Duration) -> String {
    let mut stream = TcpStream::connect(&host.http).unwrap();
    stream.set_read_timeout(Some(timeout)).unwrap();
    stream.write_all(request).unwrap();
    read_answer(&mut stream)
}

/// Reads until the end of the stream or until nothing arrives within the stream's timeout.
pub fn read_answer(stream: &mut TcpStream) -> String {
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(1..) = stream.read(&mut buffer).inspect(|&length| received.extend_from_slice(&buffer[..length])) {}
    String::from_utf8_lossy(&received).into_owned()
}

/// The status of an answer; 0 if there is no answer.
pub fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok()).unwrap_or(0)
}

/// Resident memory of a host in MB.
pub fn resident_mb(host: &RunningHost) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Maximum p99 of other users on any machine. `tests/faults/bombs.py` checks a p99 below one second on a machine
/// without other load.
pub const MAX_P99: Duration = Duration::from_secs(15);

/// Runs `attack` while another user alternately sends a reading and queries the machines. Returns the 99th percentile
/// of that user's response times over at least 100 requests, all of which must succeed.
pub fn p99_during(host: &RunningHost, attack: impl FnOnce()) -> Duration {
    let finished = AtomicBool::new(false);
    let mut times = thread::scope(|scope| {
        let user = scope.spawn(|| {
            let mut times = Vec::new();
            while !finished.load(Ordering::Relaxed) || times.len() < 100 {
                let began = Instant::now();
                match times.len() % 2 {
                    0 => {
                        let body = format!(
                            r#"{{"sensor_id":"user/m/s","timestamp":{},"values":1}}"#,
                            1_767_225_600 + times.len()
                        );
                        let answer = host.post("application/json", body.as_bytes()).unwrap();
                        assert_eq!(answer.status, 202, "{}", answer.body);
                    }
                    _ => {
                        let (status, body) = host.get("/graphql?query=%7Bmachines%7Bnodes%7Basset%7D%7D%7D").unwrap();
                        assert!(status == 200 && !body.contains("errors"), "{status} {body}");
                    }
                }
                times.push(began.elapsed());
            }
            times
        });
        attack();
        finished.store(true, Ordering::Relaxed);
        user.join().unwrap()
    });
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    println!("{} requests, p99 {p99:?}, longest {:?}", times.len(), times.last().unwrap());
    p99
}
