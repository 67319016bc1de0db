//! A client receives only messages that it may read, and can publish only to topics that its rights allow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use crate::common::*;
use proptest::prelude::*;
use wheeltapper_mqtt::{Authenticator, Grant, Login, LoginFuture, LoginRejection, filters_overlap};

/// Rights to publish and read below some topics.
#[derive(Debug)]
struct PrefixGrant {
    owner: String,
    publish: Vec<String>,
    read: Vec<String>,
}

fn is_below(topic: &str, parts: &[String]) -> bool {
    parts
        .iter()
        .any(|part| topic.strip_prefix(part.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

impl Grant for PrefixGrant {
    fn owner(&self) -> &str {
        &self.owner
    }

    fn may_publish(&self, topic: &str) -> bool {
        is_below(topic, &self.publish)
    }

    fn may_read(&self, topic: &str) -> bool {
        is_below(topic, &self.read)
    }

    fn may_subscribe(&self, filter: &str) -> bool {
        self.read.iter().any(|part| filters_overlap(filter, &format!("{part}/#")))
    }

    fn sites(&self) -> Option<Arc<[String]>> {
        Some(self.publish.clone().into())
    }
}

/// Rights by user name; the password does not matter.
#[derive(Debug, Default)]
struct GrantTable(Mutex<BTreeMap<String, Arc<dyn Grant>>>);

impl GrantTable {
    fn set(&self, user: &str, publish: &[&str], read: &[&str]) {
        let own = |topics: &[&str]| topics.iter().map(|topic| (*topic).to_owned()).collect();
        let grant = PrefixGrant { owner: user.into(), publish: own(publish), read: own(read) };
        self.0.lock().unwrap().insert(user.into(), Arc::new(grant));
    }

    fn revoke(&self, user: &str) {
        self.0.lock().unwrap().remove(user);
    }
}

impl Authenticator for GrantTable {
    fn authenticate(&self, login: Login) -> LoginFuture {
        let found = self.0.lock().unwrap().get(login.user_name.as_deref().unwrap_or_default()).map(Arc::clone);
        Box::pin(std::future::ready(found.ok_or(LoginRejection::InvalidCredentials)))
    }

    fn current_grant(&self, grant: &Arc<dyn Grant>) -> Option<Arc<dyn Grant>> {
        self.0.lock().unwrap().get(grant.owner()).map(Arc::clone)
    }
}

fn start_plant() -> (Arc<GrantTable>, Arc<Recorder>, RunningBroker) {
    let (table, sink) = (Arc::new(GrantTable::default()), Recorder::storing());
    table.set("north", &["north"], &["north"]);
    table.set("south", &["south"], &["south"]);
    table.set("all", &["north", "south"], &["north", "south", "wheeltapper"]);
    table.set("sends", &["north"], &[]);
    let running = start_with(config(), sink.clone(), Arc::<GrantTable>::clone(&table));
    (table, sink, running)
}

fn connect_as<'a>(v5: bool, user: &'a str) -> ConnectParams<'a> {
    ConnectParams { login: Some((user, "x")), ..connect_params(v5, user) }
}

#[test]
fn a_denied_publish_is_reported_and_not_delivered() {
    let (_, sink, broker) = start_plant();
    let mut screen = RawClient::connect_ok(broker.address, &connect_as(true, "all"));
    assert_eq!(screen.subscribe("#", 1), 1);
    let mut client = RawClient::connect_ok(broker.address, &connect_as(true, "north"));
    for (flags, ack) in [(2, 0x40), (4, 0x50), (4, 0x50)] {
        // The packet id is free again after such a PUBREC.
        client.publish(flags, "south/m/t", 3, "forged");
        let (first, body) = client.read().unwrap();
        assert_eq!((first, &body[..3]), (ack, &[0, 3, 0x87][..]));
        assert!(String::from_utf8_lossy(&body).contains("may not publish"), "{body:?}");
    }
    client.publish(0, "south/m/t", 0, "forged");
    client.publish(3, "south/m/t", 4, "forged");
    assert_eq!(client.read().unwrap().1[2], 0x87);
    client.publish(2, "north/m/t", 5, "real");
    assert_eq!(client.read(), Some((0x40, vec![0, 5])));
    assert_eq!(screen.read_publish().4, "real");
    screen.expect_silence();
    assert_eq!(sink.payloads(), ["real"]);
    assert_eq!(sink.received()[0].sites.as_deref(), Some(&["north".to_owned()][..]));
    assert_eq!(broker.handle.stats().denied_publishes, 5);
    // The denied message was not retained.
    assert_eq!(broker.handle.stats().retained, 0);
}

#[test]
fn mqtt_3_is_closed_and_nothing_denied_is_acknowledged() {
    let (_, sink, broker) = start_plant();
    for flags in [2, 4] {
        let mut client = RawClient::connect_ok(broker.address, &connect_as(false, "north"));
        sink.set_gate(false);
        client.publish(2, "north/m/t", 1, "real");
        client.publish(flags, "south/m/t", 2, "forged");
        client.expect_silence();
        sink.set_gate(true);
        // The earlier message is still acknowledged: otherwise the client would resend it, and it would be stored
        // twice.
        assert_eq!(client.read(), Some((0x40, vec![0, 1])));
        client.expect_close(0x87);
    }
    let mut client = RawClient::connect_ok(broker.address, &connect_as(false, "north"));
    client.publish(0, "south/m/t", 0, "forged");
    client.send(0xC0, &[]);
    assert_eq!(client.read(), Some((0xD0, vec![])));
    assert_eq!(sink.payloads(), ["real", "real"]);
}

#[test]
fn a_subscription_delivers_only_readable_messages() {
    let (_, _, broker) = start_plant();
    for (topic, payload) in [("north/m", "n"), ("south/m", "s"), ("wheeltapper/events/alert/south/m", "e")] {
        broker.handle.publish(topic, payload.into(), 1, true);
    }
    for v5 in [false, true] {
        let mut client = RawClient::connect_ok(broker.address, &connect_as(v5, "north"));
        let denied = if v5 { 0x87 } else { 0x80 };
        for filter in ["south/#", "south/m", "wheeltapper/events/#", "$share/g/south/#"] {
            assert_eq!(client.subscribe(filter, 1), denied, "{filter}");
        }
        let mut writer = RawClient::connect_ok(broker.address, &connect_as(v5, "sends"));
        assert_eq!(writer.subscribe("#", 1), denied, "without the right to read");
        assert_eq!(client.subscribe("#", 1), 1);
        assert_eq!(client.read_publish().4, "n", "retained");
        assert_eq!(client.subscribe("+/m", 1), 1);
        assert_eq!(client.read_publish().4, "n");
        for topic in ["south/m", "wheeltapper/events/alert/south/m", "other", "north/m"] {
            broker.handle.publish(topic, topic.into(), 1, false);
        }
        assert_eq!(client.read_publish().4, "north/m");
        client.expect_silence();
    }
    assert_eq!(broker.handle.stats().denied_subscriptions, 10);
}

#[test]
fn a_shared_subscription_does_not_lose_messages_to_members_who_may_not_read_them() {
    let (_, _, broker) = start_plant();
    let mut north = RawClient::connect_ok(broker.address, &connect_as(true, "north"));
    let mut south = RawClient::connect_ok(broker.address, &connect_as(true, "south"));
    for client in [&mut north, &mut south] {
        assert_eq!(client.subscribe("$share/g/+/m", 1), 1);
    }
    for number in 0..4 {
        broker.handle.publish("north/m", number.to_string().into(), 1, false);
    }
    for number in 0..4 {
        assert_eq!(north.read_publish().4, number.to_string());
    }
    south.expect_silence();
}

#[test]
fn a_will_needs_the_right_at_the_connect_and_when_it_is_sent() {
    let (table, sink, broker) = start_plant();
    let mut screen = RawClient::connect_ok(broker.address, &connect_as(true, "all"));
    screen.subscribe("#", 1);
    for topic in ["south/will", "wheeltapper/events/alert/north/m", "$SYS/x"] {
        for v5 in [false, true] {
            let (_, connack) = RawClient::connect(
                broker.address,
                &ConnectParams { will: Some((topic, "gone", 1, &[])), ..connect_as(v5, "north") },
            );
            assert_eq!(connack[1], if v5 { 0x87 } else { 5 }, "{topic}");
        }
    }
    let with_will = ConnectParams { will: Some(("north/will", "gone", 1, &[])), ..connect_as(true, "north") };
    let mut client = RawClient::connect_ok(broker.address, &with_will);
    table.set("north", &["elsewhere"], &["north", "elsewhere"]);
    eventually("its rights change", || {
        client.publish(2, "north/m", 1, "x");
        client.read().unwrap().1.get(2) == Some(&0x87)
    });
    let before = broker.handle.stats().denied_publishes;
    drop(client);
    eventually("the will is denied", || broker.handle.stats().denied_publishes > before);
    assert!(!sink.payloads().contains(&"gone".to_owned()));
    table.set("north", &["north"], &["north"]);
    drop(RawClient::connect_ok(broker.address, &with_will));
    while screen.read_publish().4 != "gone" {}
    assert_eq!(sink.payloads().iter().filter(|payload| *payload == "gone").count(), 1);
}

#[test]
fn changed_and_revoked_rights_apply_to_open_connections() {
    let (table, _, broker) = start_plant();
    for v5 in [false, true] {
        table.set("north", &["north"], &["north"]);
        let mut client = RawClient::connect_ok(broker.address, &connect_as(v5, "north"));
        client.subscribe("#", 1);
        table.set("north", &["north"], &["north/m"]);
        // Waits until a delivered message shows that the narrower rights are in force.
        let mut attempts = 0;
        loop {
            broker.handle.publish("north/other", "no".into(), 1, false);
            broker.handle.publish("north/m", "yes".into(), 1, false);
            attempts += 1;
            let (_, _, id, _, payload) = client.read_publish();
            client.send(0x40, &id.to_be_bytes());
            if payload == "yes" {
                break;
            }
            let (_, _, id, _, _) = client.read_publish();
            client.send(0x40, &id.to_be_bytes());
            assert!(attempts < 2_000);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        table.revoke("north");
        client.expect_close(0x87);
        let (_, connack) = RawClient::connect(broker.address, &connect_as(v5, "north"));
        assert_eq!(connack[1], if v5 { 0x86 } else { 4 });
    }
}

#[test]
fn queued_messages_of_a_disconnected_client_follow_its_rights() {
    let (table, _, broker) = start_plant();
    let connect = ConnectParams { clean_start: false, properties: &[0x11, 0, 0, 0, 60], ..connect_as(true, "north") };
    let mut client = RawClient::connect_ok(broker.address, &connect);
    client.subscribe("#", 1);
    drop(client);
    eventually("the broker notices", || broker.handle.connections() == 0);
    for topic in ["north/a", "north/b"] {
        broker.handle.publish(topic, topic.into(), 1, false);
    }
    table.set("north", &[], &["north/b"]);
    let (mut client, connack) = RawClient::connect(broker.address, &connect);
    assert_eq!(connack[..2], [1, 0]);
    assert_eq!(client.read_publish().4, "north/b");
    client.expect_silence();
    // The session of a revoked owner is removed.
    drop(client);
    eventually("the broker notices", || broker.handle.connections() == 0);
    table.revoke("north");
    eventually("the session ends", || broker.handle.stats().sessions == 0);
}

#[test]
fn a_client_id_of_another_owner_does_not_take_over_the_session() {
    let (_, _, broker) = start_plant();
    let session =
        |user| ConnectParams { clean_start: false, login: Some((user, "x")), ..connect_params(false, "same") };
    let mut north = RawClient::connect_ok(broker.address, &session("north"));
    north.subscribe("#", 1);
    let (mut south, connack) = RawClient::connect(broker.address, &session("south"));
    assert_eq!(connack[..2], [0, 0]);
    north.send(0xC0, &[]);
    assert_eq!(north.read(), Some((0xD0, vec![])), "still there");
    drop(north);
    eventually("the broker notices", || broker.handle.connections() == 1);
    broker.handle.publish("north/m", "kept".into(), 1, false);
    south.expect_silence();
    let (mut north, connack) = RawClient::connect(broker.address, &session("north"));
    assert_eq!(connack[..2], [1, 0]);
    assert_eq!(north.read_publish().4, "kept");
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]

    /// For live and retained messages, a subscription delivers exactly the topics that match its filter and may be
    /// read.
    #[test]
    fn wildcards_equal_checks_topic_by_topic(
        filter in "([abc+]/){0,2}[abc+#]",
        read in proptest::collection::vec("[abc](/[abc]){0,2}", 0..3),
        topics in proptest::collection::btree_set("[abc](/[abc]){0,2}", 1..25),
    ) {
        let table = Arc::new(GrantTable::default());
        let own: Vec<&str> = read.iter().map(String::as_str).collect();
        table.set("some", &[], &own);
        let broker = start_with(config(), Recorder::storing(), Arc::<GrantTable>::clone(&table));
        for topic in &topics {
            broker.handle.publish(topic, "old".into(), 0, true);
        }
        let mut client = RawClient::connect_ok(broker.address, &connect_as(true, "some"));
        let code = client.subscribe(&filter, 0);
        let matches = |topic: &str| filters_overlap(&filter, topic);
        let expected: BTreeSet<String> =
            topics.iter().filter(|topic| matches(topic) && is_below(topic, &read)).cloned().collect();
        prop_assert!(code == 0 || (code == 0x87 && expected.is_empty()), "{} {:?}", code, expected);
        for round in ["old", "new"] {
            if round == "new" {
                for topic in &topics {
                    broker.handle.publish(topic, "new".into(), 0, false);
                }
            }
            let got: BTreeSet<String> = (0..expected.len()).map(|_| client.read_publish().1).collect();
            prop_assert_eq!(&got, &expected);
            client.send(0xC0, &[]);
            prop_assert_eq!(client.read(), Some((0xD0, vec![])), "unexpected further packet");
        }
    }
}
