//! The broker's side of the protocol, tested with raw packets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use crate::common::*;
use wheeltapper_mqtt::{Broker, BrokerConfig, BrokerTls, BrokerUser};

#[test]
fn in_flight_messages_are_resent_when_a_session_resumes() {
    for v5 in [false, true] {
        let broker = start(config(), Recorder::storing());
        let connect =
            ConnectParams { clean_start: false, properties: &[0x11, 0, 0, 0, 60], ..connect_params(v5, "screen") };
        let (mut screen, connack) = RawClient::connect(broker.address, &connect);
        assert_eq!(connack[..2], [0, 0]);
        screen.subscribe("#", 2);
        broker.handle.publish("a", "one".into(), 1, false);
        broker.handle.publish("a", "two".into(), 2, false);
        broker.handle.publish("a", "three".into(), 2, false);
        let (one, two, three) = (screen.read_publish(), screen.read_publish(), screen.read_publish());
        assert_eq!((one.0, two.0, three.0), (0x32, 0x34, 0x34));
        screen.send(0x50, &three.2.to_be_bytes());
        assert_eq!(screen.read(), Some((0x62, three.2.to_be_bytes().to_vec())));
        drop(screen);
        eventually("the broker notices", || broker.handle.connections() == 0);
        broker.handle.publish("a", "four".into(), 1, false);
        broker.handle.publish("a", "lost".into(), 0, false);
        let (mut screen, connack) = RawClient::connect(broker.address, &connect);
        assert_eq!(connack[..2], [1, 0]);
        let again = (screen.read_publish(), screen.read_publish());
        assert_eq!((again.0.0, again.0.2, &*again.0.4), (0x3A, one.2, "one"));
        assert_eq!((again.1.0, again.1.2, &*again.1.4), (0x3C, two.2, "two"));
        assert_eq!(screen.read(), Some((0x62, three.2.to_be_bytes().to_vec())));
        assert_eq!(screen.read_publish().4, "four");
        screen.send(0x70, &three.2.to_be_bytes());
        screen.send(0x40, &one.2.to_be_bytes());
        screen.expect_silence();
        // A clean start discards the session.
        drop(screen);
        let (mut screen, connack) = RawClient::connect(broker.address, &ConnectParams { clean_start: true, ..connect });
        assert_eq!(connack[..2], [0, 0]);
        broker.handle.publish("a", "five".into(), 1, false);
        screen.expect_silence();
    }
}

#[test]
fn the_receive_maximum_of_a_subscriber_is_respected() {
    let broker = start(config(), Recorder::storing());
    let mut screen = RawClient::connect_ok(
        broker.address,
        &ConnectParams { properties: &[0x21, 0, 2], ..connect_params(true, "screen") },
    );
    screen.subscribe("a", 1);
    for payload in ["1", "2", "3"] {
        broker.handle.publish("a", payload.into(), 1, false);
    }
    let first = screen.read_publish();
    screen.read_publish();
    screen.expect_silence();
    screen.send(0x40, &first.2.to_be_bytes());
    assert_eq!(screen.read_publish().4, "3");
}

#[test]
fn queues_of_disconnected_and_slow_subscribers_are_bounded() {
    let broker = start(BrokerConfig { max_offline_messages: 5, ..config() }, Recorder::storing());
    let connect = ConnectParams { clean_start: false, ..connect_params(false, "screen") };
    let mut screen = RawClient::connect_ok(broker.address, &connect);
    screen.subscribe("a", 1);
    drop(screen);
    eventually("the broker notices", || broker.handle.connections() == 0);
    for number in 0..20 {
        broker.handle.publish("a", number.to_string().into(), 1, false);
    }
    let mut screen = RawClient::connect_ok(broker.address, &connect);
    let got: Vec<String> = (0..5).map(|_| screen.read_publish().4).collect();
    assert_eq!(got, ["0", "1", "2", "3", "4"]);
    screen.expect_silence();
}

#[test]
fn subscription_options_and_identifiers() {
    let broker = start(config(), Recorder::storing());
    broker.handle.publish("kept", "old".into(), 1, true);
    let mut client = RawClient::connect_ok(broker.address, &connect_params(true, "both"));
    // Retain handling 2: never; 1: only for a new subscription; 0: always.
    client.subscribe("kept", 0x21);
    client.expect_silence();
    client.subscribe("kept", 0x11);
    client.expect_silence();
    client.subscribe("kept", 0x01);
    let message = client.read_publish();
    assert_eq!((message.0, &*message.4), (0x33, "old"));
    // No local, retain as published, and two subscriptions with identifiers.
    client.subscribe_with("own/#", 0x04 | 0x08, &[0x0B, 5]);
    client.publish(0, "own/a", 0, "mine");
    client.expect_silence();
    client.subscribe_with("other/+", 0x08, &[0x0B, 6]);
    client.subscribe_with("other/#", 0x01, &[0x0B, 7]);
    broker.handle.publish("other/a", "theirs".into(), 1, true);
    let (first, _, _, properties, _) = client.read_publish();
    let mut ids: Vec<&[u8]> = properties.chunks(2).collect();
    ids.sort_unstable();
    assert_eq!((first, ids), (0x33, vec![&[0x0B, 6][..], &[0x0B, 7]]));
    assert_eq!(client.subscribe("bad/#/filter", 0), 0x8F);
    // Unsubscribing.
    client.send(0xA2, &[&[0, 3, 0][..], &length_prefixed("other/+"), &length_prefixed("never")].concat());
    assert_eq!(client.read(), Some((0xB0, vec![0, 3, 0, 0, 0x11])));
}

#[test]
fn properties_pass_through_and_expiry_counts_down() {
    let broker = start(config(), Recorder::storing());
    let connect =
        ConnectParams { clean_start: false, properties: &[0x11, 0, 0, 0, 60], ..connect_params(true, "screen") };
    let mut screen = RawClient::connect_ok(broker.address, &connect);
    screen.subscribe("q", 1);
    let mut client = RawClient::connect_ok(broker.address, &connect_params(true, "asker"));
    let passing = [
        &[0x03][..],
        &length_prefixed("text/csv"),
        &[0x08],
        &length_prefixed("answers"),
        &[0x09],
        &length_prefixed([1, 2]),
        &[0x26],
        &length_prefixed("k"),
        &length_prefixed("v"),
    ]
    .concat();
    client.publish_with(2, "q", 1, "hello", &[&[0x23, 0, 3][..], &passing].concat());
    assert_eq!(screen.read_publish().3, passing);
    drop(screen);
    eventually("the broker notices", || broker.handle.connections() == 1);
    client.publish_with(2, "", 2, "short", &[0x02, 0, 0, 0, 1, 0x23, 0, 3]);
    client.publish_with(2, "", 3, "long", &[0x02, 0, 0, 0, 100, 0x23, 0, 3]);
    std::thread::sleep(Duration::from_millis(1_500));
    let mut screen = RawClient::connect_ok(broker.address, &connect);
    let first = screen.read_publish();
    assert_eq!((&*first.1, first.0), ("q", 0x3A), "in flight when the connection ended");
    let (_, topic, _, properties, payload) = screen.read_publish();
    assert_eq!((&*topic, &*payload, &properties[..4]), ("q", "long", &[0x02, 0, 0, 0][..]));
    assert!((97..=99).contains(&properties[4]), "{properties:?}");
}

#[test]
fn wills_are_published_unless_the_client_disconnects() {
    let broker = start(config(), Recorder::storing());
    let mut watcher = RawClient::connect_ok(broker.address, &connect_params(false, "watcher"));
    watcher.subscribe("will/#", 1);
    for v5 in [false, true] {
        let connect = |id| ConnectParams { will: Some(("will/a", "gone", 1, &[])), ..connect_params(v5, id) };
        drop(RawClient::connect_ok(broker.address, &connect("dies")));
        assert_eq!(watcher.read_publish().4, "gone");
        RawClient::connect_ok(broker.address, &connect("leaves")).send(0xE0, &[]);
        watcher.expect_silence();
    }
    let connect = ConnectParams { will: Some(("will/b", "asked", 0, &[])), ..connect_params(true, "asks") };
    RawClient::connect_ok(broker.address, &connect).send(0xE0, &[0x04]);
    assert_eq!(watcher.read_publish().4, "asked");
    // With a delay the will is published later, and not at all if the client reconnects before.
    let delayed = ConnectParams {
        clean_start: false,
        properties: &[0x11, 0, 0, 0, 60],
        will: Some(("will/c", "late", 0, &[0x18, 0, 0, 0, 1])),
        ..connect_params(true, "late")
    };
    drop(RawClient::connect_ok(broker.address, &delayed));
    eventually("the broker notices", || broker.handle.connections() == 1);
    let back = RawClient::connect_ok(broker.address, &delayed);
    std::thread::sleep(Duration::from_millis(2_200));
    watcher.expect_silence();
    let start = Instant::now();
    drop(back);
    assert_eq!(watcher.read_publish().4, "late");
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn the_same_client_id_takes_over() {
    for v5 in [false, true] {
        let broker = start(config(), Recorder::storing());
        let mut first = RawClient::connect_ok(broker.address, &connect_params(v5, "same"));
        let mut second = RawClient::connect_ok(broker.address, &connect_params(v5, "same"));
        first.expect_close(0x8E);
        second.send(0xC0, &[]);
        assert_eq!(second.read(), Some((0xD0, vec![])));
    }
}

#[test]
fn shared_subscriptions_rotate() {
    for v5 in [false, true] {
        let broker = start(config(), Recorder::storing());
        let mut members: Vec<RawClient> =
            (0..3).map(|n| RawClient::connect_ok(broker.address, &connect_params(v5, &format!("m{n}")))).collect();
        for member in &mut members {
            member.subscribe("$share/g/work/#", 1);
        }
        for number in 0..9 {
            broker.handle.publish("work/x", number.to_string().into(), 1, false);
        }
        for member in &mut members {
            for _ in 0..3 {
                member.read_publish();
            }
            member.expect_silence();
        }
    }
}

#[test]
fn logins_are_checked() {
    let users = vec![BrokerUser { name: "ann".into(), password: "secret".into() }];
    assert!(!format!("{users:?}").contains("secret"));
    let broker = start(BrokerConfig { users, ..config() }, Recorder::storing());
    let code = |connect: &ConnectParams<'_>| RawClient::connect(broker.address, connect).1[1];
    for v5 in [false, true] {
        let client = || connect_params(v5, "c");
        assert_eq!(code(&ConnectParams { login: Some(("ann", "secret")), ..client() }), 0);
        assert_eq!(code(&ConnectParams { login: Some(("ann", "wrong")), ..client() }), if v5 { 0x86 } else { 4 });
        assert_eq!(code(&client()), if v5 { 0x87 } else { 5 });
        assert_eq!(
            code(&ConnectParams { clean_start: false, login: Some(("ann", "secret")), ..connect_params(v5, "") }),
            if v5 { 0 } else { 2 }
        );
    }
    let (_, connack) = RawClient::connect(
        broker.address,
        &ConnectParams { login: Some(("ann", "secret")), ..connect_params(true, "") },
    );
    assert!(String::from_utf8_lossy(&connack).contains("assigned-"));
}

#[test]
fn protocol_errors_close_the_connection_with_a_reason() {
    let broker = start(BrokerConfig { max_packet: 200, ..config() }, Recorder::storing());
    let publish = |properties: &[u8]| [&length_prefixed("a")[..], &[properties.len() as u8], properties].concat();
    for (first, body, reason) in [
        (0x36, publish(&[]), 0x81),
        (0x30, publish(&[0x23, 0, 0]), 0x94),
        (0x30, publish(&[0x0B, 1]), 0x82),
        (0x30, [&length_prefixed("a/+")[..], &[0]].concat(), 0x90),
        (0x30, vec![0, 0, 3, 0x23, 0, 9], 0x82),
        (0x30, vec![0; 200], 0x95),
        (0x82, [&[0, 1, 0][..], &length_prefixed("$share/g/a"), &[4]].concat(), 0x82),
        (0x10, [&length_prefixed("MQTT")[..], &[5, 2, 0, 0, 0], &length_prefixed("x")].concat(), 0x82),
        (0x20, vec![0, 0, 0], 0x82),
        (0xF0, vec![], 0x82),
    ] {
        let mut client = RawClient::connect_ok(broker.address, &connect_params(true, "wrong"));
        client.send(first, &body);
        client.expect_close(reason);
    }
    let mut client = RawClient::open(broker.address, true);
    client.send(0xC0, &[]);
    assert_eq!(client.read(), None);
    let mut client = RawClient::open(broker.address, true);
    client.send(0x10, &[&length_prefixed("MQTT")[..], &[9, 2, 0, 0], &length_prefixed("x")].concat());
    assert_eq!(client.read(), Some((0x20, vec![0, 0x84, 0])));
}

#[test]
fn silent_clients_are_closed() {
    let broker = start(BrokerConfig { connect_timeout: Duration::from_millis(300), ..config() }, Recorder::storing());
    let start = Instant::now();
    assert_eq!(RawClient::open(broker.address, false).read(), None);
    assert!(start.elapsed() >= Duration::from_millis(300));
    let start = Instant::now();
    let mut client =
        RawClient::connect_ok(broker.address, &ConnectParams { keep_alive: 1, ..connect_params(true, "sleeps") });
    client.expect_close(0x8D);
    assert!((1_400..3_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[test]
fn a_packet_above_the_subscribers_maximum_is_skipped() {
    let broker = start(config(), Recorder::storing());
    let mut screen = RawClient::connect_ok(
        broker.address,
        &ConnectParams { properties: &[0x27, 0, 0, 0, 30], ..connect_params(true, "small") },
    );
    screen.subscribe("a", 1);
    broker.handle.publish("a", "x".repeat(100).into(), 1, false);
    broker.handle.publish("a", "fits".into(), 1, false);
    assert_eq!(screen.read_publish().4, "fits");
}

#[test]
fn stopping_closes_all_connections() {
    let broker = start(config(), Recorder::storing());
    let mut client = RawClient::connect_ok(broker.address, &connect_params(false, "pump"));
    broker.task.abort();
    assert_eq!(client.read(), None);
}

#[test]
fn invalid_settings_are_reported() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = |config| runtime.block_on(Broker::bind(config, Recorder::storing())).unwrap_err().to_string();
    assert!(
        error(BrokerConfig { ingest: vec!["a/#/b".into()], ..config() }).starts_with("ingest: in the topic filter")
    );
    assert!(error(BrokerConfig { max_inflight: 0, ..config() }).contains("1 to 65535"));
    assert!(error(BrokerConfig { listen: "nowhere".into(), ..config() }).contains("cannot listen on nowhere"));
    let tls = BrokerTls { listen: "127.0.0.1:0".into(), cert: "absent.pem".into(), key: "absent.key".into() };
    assert!(error(BrokerConfig { tls: Some(tls), ..config() }).contains("absent.pem"));
}

#[test]
fn a_subscriber_that_does_not_read_loses_qos_0_first() {
    let broker = start(BrokerConfig { max_offline_bytes: 2 << 20, ..config() }, Recorder::storing());
    let mut screen = RawClient::connect_ok(broker.address, &connect_params(false, "slow"));
    screen.subscribe("a", 1);
    let loose = bytes::Bytes::from(vec![b'0'; 100_000]);
    for _ in 0..500 {
        broker.handle.publish("a", loose.clone(), 0, false);
    }
    broker.handle.publish("a", "assured".into(), 1, false);
    let mut got = 0;
    while screen.read_publish().4 != "assured" {
        got += 1;
    }
    assert!(got < 400, "{got} messages were queued");
}

#[test]
fn a_dead_letter_whose_acknowledgement_was_lost_is_not_stored_again() {
    let sink = Recorder::new(|_| wheeltapper_mqtt::Verdict::Rejected("no number".into()));
    let broker = start(config(), sink.clone());
    let connect =
        ConnectParams { clean_start: false, properties: &[0x11, 0, 0, 0, 60], ..connect_params(true, "pump") };
    let mut client = RawClient::connect_ok(broker.address, &connect);
    sink.set_gate(false);
    client.publish(4, "a", 1, "x");
    eventually("it is at the sink", || sink.payloads().len() == 1);
    drop(client);
    std::thread::sleep(Duration::from_millis(200));
    sink.set_gate(true);
    let mut client = RawClient::connect_ok(broker.address, &connect);
    client.publish(0xC, "a", 1, "x");
    assert_eq!(client.read(), Some((0x50, vec![0, 1])));
    assert_eq!(sink.payloads().len(), 1);
}

#[test]
fn the_expiry_of_a_will_starts_at_its_publication() {
    let broker = start(config(), Recorder::storing());
    let mut watcher = RawClient::connect_ok(broker.address, &connect_params(true, "watcher"));
    watcher.subscribe("will", 1);
    let connect =
        ConnectParams { will: Some(("will", "gone", 0, &[0x02, 0, 0, 0, 9])), ..connect_params(true, "dies") };
    let dying = RawClient::connect_ok(broker.address, &connect);
    std::thread::sleep(Duration::from_millis(1_200));
    drop(dying);
    assert_eq!(watcher.read_publish().3, [0x02, 0, 0, 0, 9]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(1))]

    #[test]
    fn invalid_input_closes_only_its_own_connection(all in proptest::collection::vec((proptest::bool::ANY, proptest::collection::vec((0u8..=255, proptest::collection::vec(0u8..=255, 0..40)), 1..6)), 150)) {
        let broker = start(config(), Recorder::storing());
        let mut other = RawClient::connect_ok(broker.address, &connect_params(true, "other"));
        for (v5, packets) in all {
            let mut client = RawClient::connect_ok(broker.address, &connect_params(v5, "garbage"));
            for (first, body) in packets {
                // The broker may have closed it by now.
                let _ = std::io::Write::write_all(&mut client.stream, &packet(first, &body));
            }
        }
        other.send(0xC0, &[]);
        proptest::prop_assert_eq!(other.read(), Some((0xD0, vec![])));
    }
}
