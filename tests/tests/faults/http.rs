//! HTTP as no library would send it, and how long other users wait meanwhile.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use wheeltapper_tests::Running;

/// Sends bytes, and reads until the host closes the connection or `most` is over.
pub fn raw(host: &Running, sent: &[u8], most: Duration) -> String {
    let mut stream = TcpStream::connect(&host.http).unwrap();
    stream.set_read_timeout(Some(most)).unwrap();
    stream.write_all(sent).unwrap();
    read(&mut stream)
}

/// What comes until the end, or until nothing comes for the stream's timeout.
pub fn read(stream: &mut TcpStream) -> String {
    let (mut told, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(1..) = stream.read(&mut part).inspect(|&length| told.extend_from_slice(&part[..length])) {}
    String::from_utf8_lossy(&told).into_owned()
}

/// The status of an answer; 0 where there is none.
pub fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok()).unwrap_or(0)
}

/// Memory of a process in MB.
pub fn resident(host: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Longer than this no other user may wait, on any machine. That their p99 stays under a second on one that does nothing else is
/// measured by `tests/faults/bombs.py`.
pub const STANDSTILL: Duration = Duration::from_secs(15);

/// Does `attack` while another user sends a reading and asks for the machines, again and again; gives the 99th percentile of
/// how long that user waited, of at least 100 requests. All of them have to succeed.
pub fn p99_beside(host: &Running, attack: impl FnOnce()) -> Duration {
    let over = AtomicBool::new(false);
    let mut times = thread::scope(|scope| {
        let user = scope.spawn(|| {
            let mut times = Vec::new();
            while !over.load(Ordering::Relaxed) || times.len() < 100 {
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
                        let (status, told) = host.get("/graphql?query=%7Bmachines%7Bnodes%7Basset%7D%7D%7D").unwrap();
                        assert!(status == 200 && !told.contains("errors"), "{status} {told}");
                    }
                }
                times.push(began.elapsed());
            }
            times
        });
        attack();
        over.store(true, Ordering::Relaxed);
        user.join().unwrap()
    });
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    println!("{} requests, p99 {p99:?}, longest {:?}", times.len(), times.last().unwrap());
    p99
}
