//! The limits of the broker for connections, memory and time; a rejected client gets the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io::Write,
    time::{Duration, Instant},
};

use crate::common::*;
use wheeltapper_mqtt::{BrokerConfig, BrokerUser};

fn words(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[test]
fn failed_logins_are_slowed_down_by_name_and_address() {
    let users = ["ann", "bob"].map(|name| BrokerUser { name: name.into(), password: "secret".into() }).to_vec();
    let broker = start(BrokerConfig { users, ..config() }, Recorder::storing());
    let connect = |v5, name, password| {
        RawClient::connect(broker.address, &ConnectParams { login: Some((name, password)), ..connect_params(v5, "c") })
            .1
    };
    for _ in 0..5 {
        assert_eq!(connect(true, "ann", "wrong")[1], 0x86);
    }
    // Now even the right password is rejected.
    let rejected = connect(true, "ann", "secret");
    assert_eq!(rejected[1], 0x9F);
    assert!(words(&rejected).contains("too many failed logins; try again in"), "{rejected:?}");
    assert_eq!(connect(false, "ann", "secret")[1], 3);
    assert_eq!(connect(true, "bob", "secret")[1], 0, "another name is not affected");
    assert_eq!(broker.handle.stats().rejected_logins, 7);
    let start = Instant::now();
    eventually("the wait ends", || connect(true, "ann", "secret")[1] == 0);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn connections_of_one_address_and_of_all_are_bounded() {
    for limits in
        [BrokerConfig { max_connections_per_address: 2, ..config() }, BrokerConfig { max_connections: 2, ..config() }]
    {
        let broker = start(limits, Recorder::storing());
        let first = RawClient::connect_ok(broker.address, &connect_params(true, "a"));
        let _second = RawClient::connect_ok(broker.address, &connect_params(true, "b"));
        let (_, rejected) = RawClient::connect(broker.address, &connect_params(true, "c"));
        assert_eq!(rejected[1], 0x97);
        assert!(words(&rejected).contains("max_connections"), "{rejected:?}");
        let (_, rejected) = RawClient::connect(broker.address, &connect_params(false, "c"));
        assert_eq!(rejected[1], 3);
        assert_eq!(broker.handle.stats().rejected_connections, 2);
        drop(first);
        eventually("there is room", || broker.handle.connections() == 1);
        RawClient::connect_ok(broker.address, &connect_params(true, "c"));
    }
}

#[test]
fn an_incomplete_connect_times_out() {
    let broker = start(BrokerConfig { connect_timeout: Duration::from_millis(300), ..config() }, Recorder::storing());
    let start = Instant::now();
    let mut client = RawClient::open(broker.address, true);
    // Sending it byte by byte does not extend the timeout.
    let half = [&[0x10, 200, 1][..], &length_prefixed("MQTT"), &[5, 2, 0, 0, 0]].concat();
    for byte in half.iter().cycle() {
        if client.stream.write_all(&[*byte]).is_err() || start.elapsed() > Duration::from_secs(5) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    eventually("it is gone", || broker.handle.connections() == 0);
}

#[test]
fn an_incomplete_packet_times_out() {
    let limits = BrokerConfig { packet_timeout: Duration::from_millis(400), ..config() };
    let broker = start(limits, Recorder::storing());
    for v5 in [false, true] {
        let before = broker.handle.stats().slow_clients;
        let mut client = RawClient::connect_ok(broker.address, &connect_params(v5, "half"));
        // A packet may start at any time; the timeout applies only to a started packet.
        std::thread::sleep(Duration::from_millis(600));
        client.publish(2, "a", 1, "whole");
        assert_eq!(client.read().unwrap().0, 0x40);
        let mut dripping = client.stream.try_clone().unwrap();
        let drip = std::thread::spawn(move || {
            let began = Instant::now();
            let mut part = [&[0x32, 200, 1][..], &length_prefixed("a"), &[0; 60]].concat().into_iter();
            while let Some(byte) = part.next()
                && dripping.write_all(&[byte]).is_ok()
                && began.elapsed() < Duration::from_secs(5)
            {
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        client.expect_close(0x83);
        drip.join().unwrap();
        assert_eq!(broker.handle.stats().slow_clients, before + 1);
    }
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let limits = BrokerConfig { packet_timeout: Duration::from_millis(500), ..config() };
    let broker = start(limits, Recorder::storing());
    let mut screen = RawClient::connect_ok(broker.address, &connect_params(true, "asleep"));
    screen.subscribe("a", 0);
    let payload = bytes::Bytes::from(vec![b'0'; 100_000]);
    eventually("it is closed", || {
        broker.handle.publish("a", payload.clone(), 0, false);
        broker.handle.connections() == 0
    });
    assert_eq!(broker.handle.stats().slow_clients, 1);
}

#[test]
fn incomplete_large_packets_have_a_common_limit() {
    let limits = BrokerConfig { max_input_bytes: 1 << 20, ..config() };
    let broker = start(limits, Recorder::storing());
    let begin = [&[0x32, 0x80, 0x80, 0x3C][..], &length_prefixed("a"), &vec![0; 700_000]].concat();
    let mut first = RawClient::connect_ok(broker.address, &connect_params(true, "first"));
    first.stream.write_all(&begin).unwrap();
    eventually("the first is held", || broker.handle.stats().input_bytes >= 700_000);
    let mut second = RawClient::connect_ok(broker.address, &connect_params(true, "second"));
    let _ = second.stream.write_all(&begin);
    second.expect_close(0x97);
    // Small packets are still accepted, and the memory is released.
    let mut third = RawClient::connect_ok(broker.address, &connect_params(true, "third"));
    third.publish(2, "a", 1, "small");
    assert_eq!(third.read(), Some((0x40, vec![0, 1])));
    drop(first);
    eventually("the room is free", || broker.handle.stats().input_bytes == 0);
}

#[test]
fn queues_of_all_sessions_have_a_common_limit() {
    let broker = start(BrokerConfig { max_queued_bytes: 100_000, ..config() }, Recorder::storing());
    let connect = |id| ConnectParams { clean_start: false, ..connect_params(false, id) };
    for id in ["a", "b", "c"] {
        RawClient::connect_ok(broker.address, &connect(id)).subscribe("t", 1);
    }
    eventually("all are absent", || broker.handle.connections() == 0);
    for _ in 0..100 {
        broker.handle.publish("t", vec![b'0'; 10_000].into(), 1, false);
    }
    let stats = broker.handle.stats();
    assert!((50_000..=100_000).contains(&stats.queued_bytes), "{stats:?}");
    assert!(stats.dropped_messages > 0, "{stats:?}");
    // A client that reconnects empties its own queue.
    let mut client = RawClient::connect_ok(broker.address, &connect("a"));
    while broker.handle.stats().queued_bytes == stats.queued_bytes {
        client.read_publish();
    }
    // Ending the sessions frees the rest.
    drop(client);
    for id in ["a", "b", "c"] {
        RawClient::connect_ok(broker.address, &connect_params(false, id));
    }
    eventually("nothing waits", || broker.handle.stats().queued_bytes == 0);
}

#[test]
fn filters_of_one_session_are_bounded_in_number_and_bytes() {
    let broker = start(BrokerConfig { max_subscriptions: 10, ..config() }, Recorder::storing());
    let mut client = RawClient::connect_ok(broker.address, &connect_params(true, "many"));
    for number in 0..10 {
        assert_eq!(client.subscribe(&format!("t/{number}"), 0), 0);
    }
    assert_eq!(client.subscribe("one/more", 0), 0x97);
    assert_eq!(client.subscribe("t/0", 1), 1, "an existing subscription may change");
    let mut client = RawClient::connect_ok(broker.address, &connect_params(true, "long"));
    let codes: Vec<u8> = (0..6).map(|number| client.subscribe(&format!("{number}{}", "x".repeat(60_000)), 0)).collect();
    assert_eq!(codes, [0, 0, 0, 0, 0x97, 0x97]);
}

#[test]
fn a_session_above_the_limit_is_rejected() {
    let broker = start(BrokerConfig { max_sessions: 2, ..config() }, Recorder::storing());
    let _first = RawClient::connect_ok(broker.address, &connect_params(true, "a"));
    let _second = RawClient::connect_ok(broker.address, &connect_params(true, "b"));
    let (_, rejected) = RawClient::connect(broker.address, &connect_params(true, "c"));
    assert_eq!(rejected[1], 0x97);
}
