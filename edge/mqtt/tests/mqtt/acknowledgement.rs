//! A message is acknowledged only after it is stored, in order, and once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common::*;
use wheeltapper_mqtt::{BrokerConfig, Verdict};

#[test]
fn nothing_is_acknowledged_before_it_is_stored() {
    for v5 in [false, true] {
        let sink = Recorder::storing();
        let broker = start(config(), sink.clone());
        sink.set_gate(false);
        let mut client = RawClient::connect_ok(broker.address, &connect_params(v5, "pump"));
        client.publish(2, "a/b", 7, "one");
        client.publish(4, "a/b", 8, "two");
        client.publish(2, "a/b", 9, "three");
        eventually("all three at the sink", || sink.payloads().len() == 3);
        client.expect_silence();
        sink.set_gate(true);
        assert_eq!(client.read(), Some((0x40, vec![0, 7])));
        assert_eq!(client.read(), Some((0x50, vec![0, 8])));
        assert_eq!(client.read(), Some((0x40, vec![0, 9])));
        let taken = sink.received();
        assert_eq!(sink.payloads(), ["one", "two", "three"]);
        assert_eq!((&*taken[0].topic, taken[1].qos, &*taken[2].client_id), ("a/b", 2, "pump"));
        assert_eq!(taken[0].connection_id, taken[2].connection_id);
    }
}

#[test]
fn a_resent_qos_2_message_is_not_stored_again() {
    for v5 in [false, true] {
        let sink = Recorder::storing();
        let broker = start(config(), sink.clone());
        let connect =
            ConnectParams { clean_start: false, properties: &[0x11, 0, 0, 0, 60], ..connect_params(v5, "pump") };
        let mut client = RawClient::connect_ok(broker.address, &connect);
        client.publish(4, "a", 5, "once");
        assert_eq!(client.read(), Some((0x50, vec![0, 5])));
        client.publish(0xC, "a", 5, "once");
        assert_eq!(client.read(), Some((0x50, vec![0, 5])));
        drop(client);
        // The session remembers the packet id.
        let (mut client, connack) = RawClient::connect(broker.address, &connect);
        assert_eq!(connack[..2], [1, 0]);
        client.publish(0xC, "a", 5, "once");
        assert_eq!(client.read(), Some((0x50, vec![0, 5])));
        client.send(0x62, &[0, 5]);
        assert_eq!(client.read(), Some((0x70, vec![0, 5])));
        assert_eq!(sink.payloads(), ["once"]);
        // After PUBREL the packet id belongs to a new message.
        client.publish(4, "a", 5, "next");
        assert_eq!(client.read(), Some((0x50, vec![0, 5])));
        assert_eq!(sink.payloads(), ["once", "next"]);
    }
}

#[test]
fn a_qos_2_message_stored_after_its_connection_ended_is_not_stored_again() {
    let sink = Recorder::storing();
    let broker = start(config(), sink.clone());
    sink.set_gate(false);
    let connect = ConnectParams { clean_start: false, ..connect_params(false, "pump") };
    let mut client = RawClient::connect_ok(broker.address, &connect);
    client.publish(4, "a", 5, "once");
    eventually("it is at the sink", || sink.payloads().len() == 1);
    drop(client);
    let opener = std::thread::spawn({
        let sink = sink.clone();
        move || {
            std::thread::sleep(std::time::Duration::from_millis(300));
            sink.set_gate(true);
        }
    });
    let mut client = RawClient::connect_ok(broker.address, &connect);
    client.publish(0xC, "a", 5, "once");
    assert_eq!(client.read(), Some((0x50, vec![0, 5])));
    assert_eq!(sink.payloads(), ["once"]);
    opener.join().unwrap();
}

#[test]
fn a_busy_sink_closes_the_connection_without_acknowledgement() {
    for v5 in [false, true] {
        for (flags, acknowledgement) in [(2, 0x40), (4, 0x50)] {
            let busy = std::sync::atomic::AtomicBool::new(true);
            let sink = Recorder::new(move |publish| match &publish.payload[..] {
                b"later" if busy.swap(false, std::sync::atomic::Ordering::SeqCst) => Verdict::Busy,
                _ => Verdict::Stored,
            });
            let broker = start(config(), sink.clone());
            let connect =
                ConnectParams { clean_start: false, properties: &[0x11, 0, 0, 0, 60], ..connect_params(v5, "pump") };
            let mut client = RawClient::connect_ok(broker.address, &connect);
            client.publish(flags, "a", 1, "now");
            assert_eq!(client.read(), Some((acknowledgement, vec![0, 1])));
            client.publish(flags, "a", 2, "later");
            client.expect_close(0x97);
            let mut client = RawClient::connect_ok(broker.address, &connect);
            client.publish(flags | 8, "a", 2, "later");
            assert_eq!(client.read(), Some((acknowledgement, vec![0, 2])));
            assert_eq!(sink.payloads(), ["now", "later", "later"]);
        }
    }
}

#[test]
fn a_dead_letter_is_acknowledged_with_its_reason() {
    let sink = Recorder::new(|_| Verdict::Rejected("no number".into()));
    let broker = start(config(), sink.clone());
    let mut client = RawClient::connect_ok(broker.address, &connect_params(true, "five"));
    let why = [&[0, 1, 0x99, 12, 0x1F][..], &length_prefixed("no number")].concat();
    client.publish(2, "a", 1, "x");
    assert_eq!(client.read(), Some((0x40, why.clone())));
    client.publish(4, "a", 1, "x");
    assert_eq!(client.read(), Some((0x50, why)));
    // That ended the exchange: the packet id is free.
    client.publish(4, "a", 1, "y");
    assert_eq!(client.read().unwrap().0, 0x50);
    assert_eq!(sink.payloads(), ["x", "x", "y"]);
    // A client that does not accept reason strings gets the code alone.
    let mut client = RawClient::connect_ok(
        broker.address,
        &ConnectParams { properties: &[0x17, 0], ..connect_params(true, "terse") },
    );
    client.publish(2, "a", 1, "x");
    assert_eq!(client.read(), Some((0x40, vec![0, 1, 0x99])));
    let mut client = RawClient::connect_ok(broker.address, &connect_params(false, "three"));
    client.publish(2, "a", 1, "x");
    assert_eq!(client.read(), Some((0x40, vec![0, 1])));
}

#[test]
fn only_ingest_topics_go_to_the_sink() {
    let sink = Recorder::storing();
    let broker = start(BrokerConfig { ingest: vec!["plant/#".into()], ..config() }, sink.clone());
    for v5 in [false, true] {
        let mut client = RawClient::connect_ok(broker.address, &connect_params(v5, "pump"));
        for (id, topic) in (1..).zip(["other", "wheeltappers", "$own/x", "plant/a"]) {
            client.publish(2, topic, id, topic);
            assert_eq!(client.read(), Some((0x40, vec![0, id as u8])), "{topic}");
        }
        // Reserved topics: only the host may publish to them.
        for topic in ["wheeltapper", "wheeltapper/events/alert/plant/a", "$SYS", "$SYS/broker"] {
            client.publish(2, topic, 9, "forged");
            if v5 {
                let (first, body) = client.read().unwrap();
                assert_eq!((first, &body[..3]), (0x40, &[0, 9, 0x87][..]), "{topic}");
            } else {
                client.expect_close(0x87);
                client = RawClient::connect_ok(broker.address, &connect_params(v5, "pump"));
            }
        }
    }
    assert_eq!(sink.payloads(), ["plant/a", "plant/a"]);
    broker.handle.publish("plant/b", "from inside".into(), 1, false);
    assert_eq!(sink.payloads().len(), 2);
}

#[test]
fn subscribers_get_a_message_when_it_is_stored_and_qos_0_at_once() {
    let sink = Recorder::storing();
    let broker = start(config(), sink.clone());
    sink.set_gate(false);
    let mut subscriber = RawClient::connect_ok(broker.address, &connect_params(true, "screen"));
    assert_eq!(subscriber.subscribe("#", 2), 2);
    let mut client = RawClient::connect_ok(broker.address, &connect_params(true, "pump"));
    client.publish(2, "a", 1, "assured");
    client.publish(0, "a", 0, "loose");
    assert_eq!(subscriber.read_publish().4, "loose");
    subscriber.expect_silence();
    sink.set_gate(true);
    let (first, topic, _, _, payload) = subscriber.read_publish();
    assert_eq!((first, &*topic, &*payload), (0x32, "a", "assured"));
}

#[test]
fn messages_that_wait_for_the_sink_are_bounded() {
    let sink = Recorder::storing();
    let broker = start(BrokerConfig { max_inflight: 10, ..config() }, sink.clone());
    sink.set_gate(false);
    let mut client = RawClient::connect_ok(broker.address, &connect_params(false, "pump"));
    for id in 1..=50 {
        client.publish(2, "a", id, "x");
    }
    eventually("the window fills", || sink.payloads().len() == 10);
    client.expect_silence();
    assert_eq!(sink.payloads().len(), 10);
    sink.set_gate(true);
    for id in 1..=50 {
        assert_eq!(client.read(), Some((0x40, vec![0, id])));
    }
    // An MQTT 5 client knows the receive maximum and is closed when it exceeds it.
    sink.set_gate(false);
    let (mut client, connack) = RawClient::connect(broker.address, &connect_params(true, "five"));
    assert!(connack.windows(3).any(|window| window == [0x21, 0, 10]), "{connack:?}");
    for id in 1..=10 {
        client.publish(4, "a", id, "x");
    }
    sink.set_gate(true);
    for id in 1..=10 {
        assert_eq!(client.read(), Some((0x50, vec![0, id])));
    }
    client.publish(4, "a", 11, "x");
    client.expect_close(0x93);
}

#[test]
fn bytes_that_wait_for_the_sink_are_bounded() {
    let sink = Recorder::storing();
    let broker = start(BrokerConfig { max_inflight_bytes: 1_000, ..config() }, sink.clone());
    sink.set_gate(false);
    let mut client = RawClient::connect_ok(broker.address, &connect_params(false, "pump"));
    let payload = "x".repeat(400);
    for id in 1..=10 {
        client.publish(2, "a", id, &payload);
    }
    eventually("the window fills", || sink.payloads().len() == 3);
    client.expect_silence();
    assert_eq!(sink.payloads().len(), 3);
    sink.set_gate(true);
    for id in 1..=10 {
        assert_eq!(client.read(), Some((0x40, vec![0, id])));
    }
}

#[test]
fn pubcomp_is_sent_after_the_sink_has_stored_the_release() {
    for v5 in [false, true] {
        let sink = Recorder::storing();
        let broker = start(config(), sink.clone());
        let lasting =
            ConnectParams { clean_start: false, properties: &[0x11, 0, 0, 0, 60], ..connect_params(v5, "pump") };
        let mut client = RawClient::connect_ok(broker.address, &lasting);
        client.publish(4, "a", 5, "once");
        assert_eq!(client.read(), Some((0x50, vec![0, 5])));
        let exchange = sink.received()[0].exchange.clone().unwrap();
        assert_eq!((exchange.packet_id, exchange.dup), (5, false));
        assert!(exchange.session.ends_with("pump"));
        sink.set_release_gate(false);
        client.send(0x62, &[0, 5]);
        client.send(0x62, &[0, 6]);
        client.expect_silence();
        sink.set_release_gate(true);
        assert_eq!(client.read(), Some((0x70, vec![0, 5])));
        let unknown = if v5 { vec![0, 6, 0x92] } else { vec![0, 6] };
        assert_eq!(client.read(), Some((0x70, unknown)));
        let released: Vec<u16> = sink.released().iter().map(|exchange| exchange.packet_id).collect();
        assert_eq!(released, [5, 6], "including one that only the sink may know, from before a restart");
        // A resend is marked as such for the sink: after a restart only the sink knows the exchange.
        client.publish(0xC, "a", 7, "again");
        assert_eq!(client.read(), Some((0x50, vec![0, 7])));
        assert!(sink.received()[1].exchange.as_ref().is_some_and(|exchange| exchange.dup));
        // A clean start ends the exchanges; its own messages have no exchange.
        drop(client);
        let own = ConnectParams { clean_start: true, properties: &[], ..lasting };
        let before = sink.forgotten().len();
        let mut client = RawClient::connect_ok(broker.address, &own);
        assert!(sink.forgotten()[before..].iter().any(|session| session.ends_with("pump")));
        client.publish(4, "a", 5, "next");
        assert_eq!(client.read(), Some((0x50, vec![0, 5])));
        assert_eq!(sink.received()[2].exchange, None);
    }
}

#[test]
fn an_empty_retained_message_clears_and_is_not_ingested() {
    let sink = Recorder::new(|_| Verdict::Rejected("the event is empty".into()));
    let broker = start(config(), sink.clone());
    broker.handle.publish("a", "old".into(), 1, true);
    let mut client = RawClient::connect_ok(broker.address, &connect_params(true, "pump"));
    client.publish(3, "a", 1, "");
    assert_eq!(client.read(), Some((0x40, vec![0, 1])));
    assert!(sink.payloads().is_empty());
    assert_eq!(broker.handle.stats().retained, 0);
}

#[test]
fn a_partly_stored_message_is_acknowledged_as_successful() {
    let sink = Recorder::new(|_| Verdict::PartlyStored("mode: no number".into()));
    let broker = start(config(), sink.clone());
    let mut client = RawClient::connect_ok(broker.address, &connect_params(true, "five"));
    client.publish(2, "a", 1, "x");
    let why = [&[0, 1, 0, 18, 0x1F][..], &length_prefixed("mode: no number")].concat();
    assert_eq!(client.read(), Some((0x40, why)));
}
