//! QoS 2 stores each message once, even if the host stops before PUBREL or before PUBREC.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, thread,
    time::{Duration, Instant},
};

use wheeltapper_tests::{RunningHost, TestHost, wait_until};

use super::mqtt_client::{Client, Connect};

const CONFIG: &str =
    "[line]\ncheckpoint = \"200ms\"\n[[mqtt.topic]]\nfilter = \"flat/+/+\"\nsensor = \"flat/{1}/{2}\"\n";
const TIMEOUT: Duration = Duration::from_secs(60);
/// Flags of PUBLISH: QoS 2, and DUP for a resend.
const QOS2: u8 = 4;
const DUP: u8 = 8;

fn connect(host: &RunningHost, v5: bool, clean: bool) -> Client {
    let (client, code) = Client::connect(&host.mqtt, &Connect { v5, id: "dev", clean, login: None }).unwrap();
    assert_eq!(code, 0);
    client
}

/// A complete exchange from PUBLISH to PUBCOMP.
fn exchange(client: &mut Client, dup: u8, id: u16, payload: &str) {
    client.publish(QOS2 | dup, "flat/m/s", id, payload.as_bytes()).unwrap();
    assert_eq!(client.answer().unwrap(), (0x50, id, 0));
    client.acknowledge(0x62, id).unwrap();
    assert_eq!(client.answer().unwrap().0, 0x70);
}

#[test]
fn a_resend_after_a_restart_is_stored_once() {
    for v5 in [false, true] {
        let test_host = TestHost::new(CONFIG).unwrap();
        let mut host = test_host.start().unwrap();
        for kill in [true, false] {
            let mut client = connect(&host, v5, false);
            // Stored and acknowledged, but the host stops before the client sends PUBREL.
            client.publish(QOS2, "flat/m/s", 5, b"7.25").unwrap();
            assert_eq!(client.answer().unwrap(), (0x50, 5, 0));
            if kill {
                host.kill().unwrap();
            } else {
                host.stop().unwrap();
            }
            host = test_host.start().unwrap();
            let mut client = connect(&host, v5, false);
            exchange(&mut client, DUP, 5, "7.25");
            // A next message with the same packet ID and content is another reading.
            exchange(&mut client, 0, 5, "7.25");
        }
        host.stop().unwrap();
        assert_eq!(test_host.query(&["readings", "--sensor", "flat/m/s"]).unwrap().len(), 4, "v5: {v5}");
    }
}

#[test]
fn a_released_packet_id_is_not_treated_as_a_resend() {
    let test_host = TestHost::new(CONFIG).unwrap();
    let host = test_host.start().unwrap();
    let mut client = connect(&host, false, false);
    exchange(&mut client, 0, 5, "7.25");
    host.kill().unwrap();
    let host = test_host.start().unwrap();
    // The client sent this just before the kill, and the host did not receive it.
    let mut client = connect(&host, false, false);
    exchange(&mut client, DUP, 5, "7.25");
    // A clean start is a new session, in which an old packet ID is not a resend.
    client.publish(QOS2, "flat/m/s", 6, b"8.5").unwrap();
    assert_eq!(client.answer().unwrap(), (0x50, 6, 0));
    host.kill().unwrap();
    let host = test_host.start().unwrap();
    exchange(&mut connect(&host, false, true), DUP, 6, "8.5");
    host.stop().unwrap();
    assert_eq!(test_host.query(&["readings", "--sensor", "flat/m/s"]).unwrap().len(), 4);
}

/// A client that keeps its session across restarts of the host, as the MQTT standard requires.
struct Sender {
    total: u32,
    next: u32,
    /// Messages without PUBREC by packet ID.
    published: BTreeMap<u16, u32>,
    /// Packet IDs with PUBREC and without PUBCOMP.
    received: BTreeSet<u16>,
    done: u32,
}

impl Sender {
    /// Sends until all messages are complete or the connection breaks.
    fn run(&mut self, address: &str) -> io::Result<()> {
        let (mut client, code) =
            Client::connect(address, &Connect { v5: false, id: "load", clean: false, login: None })?;
        if code != 0 {
            return Err(io::Error::other("CONNECT rejected"));
        }
        let publish = |client: &mut Client, dup: u8, id: u16, number: u32| {
            let topic = format!("flat/m{}/s{}", number % 7, number % 3);
            client.publish(QOS2 | dup, &topic, id, number.to_string().as_bytes())
        };
        let mut pending: Vec<(u32, u16)> = self.published.iter().map(|(id, number)| (*number, *id)).collect();
        pending.sort_unstable();
        for (number, id) in pending {
            publish(&mut client, DUP, id, number)?;
        }
        for id in &self.received {
            client.acknowledge(0x62, *id)?;
        }
        loop {
            while self.published.len() + self.received.len() < 40 && self.next < self.total {
                let used = |id: &u16| self.published.contains_key(id) || self.received.contains(id);
                let id = (1..=u16::MAX).find(|id| !used(id)).unwrap();
                // Recorded before sending, so that a message that may have been sent is sent again.
                self.published.insert(id, self.next);
                self.next += 1;
                publish(&mut client, 0, id, self.next - 1)?;
            }
            if self.done == self.total {
                return Ok(());
            }
            match client.answer()? {
                (0x50, id, _) => {
                    if self.published.remove(&id).is_some() {
                        self.received.insert(id);
                    }
                    client.acknowledge(0x62, id)?;
                }
                (0x70, id, _) => self.done += u32::from(self.received.remove(&id)),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn readings_without_timestamps_are_stored_once_despite_kills() {
    const TOTAL: u32 = 20_000;
    let test_host = TestHost::new(&format!("partitions = 3\n{CONFIG}")).unwrap();
    let mut host = test_host.start().unwrap();
    let mut sender = Sender { total: TOTAL, next: 0, published: BTreeMap::new(), received: BTreeSet::new(), done: 0 };
    let began = Instant::now();
    let mut kills = 0;
    while sender.done < TOTAL {
        assert!(began.elapsed() < Duration::from_secs(300), "{} of {TOTAL}", sender.done);
        let address = host.mqtt.clone();
        thread::scope(|scope| {
            let sending = scope.spawn(|| sender.run(&address));
            if kills < 6 {
                thread::sleep(Duration::from_millis(150 + 37 * kills));
                host.signal("KILL").unwrap();
                kills += 1;
            }
            // The client detects the kill by the closed connection.
            let _ = sending.join().unwrap();
        });
        if sender.done < TOTAL {
            let _ = host.kill();
            host = test_host.start().unwrap();
        }
    }
    let all = || Ok(test_host.counts()?["readings"] == u64::from(TOTAL));
    let stored = wait_until("all readings in the store", TIMEOUT, all);
    host.stop().unwrap();
    let counts = test_host.counts().unwrap();
    stored.unwrap_or_else(|error| panic!("{error}: {counts}"));
    assert_eq!(counts["readings"], u64::from(TOTAL), "after {kills} kills");
    let mut values = BTreeSet::new();
    for machine in 0..7 {
        for sensor in 0..3 {
            let name = format!("flat/m{machine}/s{sensor}");
            for reading in test_host.query(&["readings", "--sensor", &name]).unwrap() {
                assert!(values.insert(reading["value"].to_string()), "{reading} twice");
            }
        }
    }
    assert_eq!(values.len(), usize::try_from(TOTAL).unwrap());
}
