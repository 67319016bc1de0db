//! The decoder handles any bytes without a panic, and decodes what the encoder writes.

use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, option, prelude::*};

use super::*;

fn round_trip(packet: &Packet, version: Version) -> Packet {
    let mut out = BytesMut::new();
    encode(&mut out, version, packet);
    let found = frame(&out, usize::MAX).unwrap().unwrap();
    assert_eq!(found.packet_length, out.len());
    decode(found.first_byte, &out[found.header_length..], version).unwrap()
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V3), Just(Version::V5)]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

prop_compose! {
    fn properties()(
        payload_format in option::of(0..2u8),
        message_expiry in option::of(any::<u32>()),
        content_type in option::of("[a-z/]{0,10}"),
        response_topic in option::of("[a-z/]{1,10}"),
        correlation_data in option::of(bytes()),
        subscription_ids in vec(1..268_435_455u32, 0..3),
        topic_alias in option::of(any::<u16>()),
        user in vec(("[a-zé]{0,5}".prop_map(String::from), "[a-z]{0,5}".prop_map(String::from)), 0..3),
    ) -> Option<Box<Properties>> {
        let properties = Properties {
            payload_format, message_expiry, content_type, response_topic, correlation_data, subscription_ids, topic_alias, user,
            ..Properties::default()
        };
        (properties != Properties::default()).then(|| Box::new(properties))
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_rejected(bytes in vec(any::<u8>(), 0..200), version in version()) {
        if let Ok(Some(found)) = frame(&bytes, 1 << 20)
            && let Some(body) = bytes.get(found.header_length..found.packet_length)
        {
            let _ = decode(found.first_byte, body, version);
        }
    }

    #[test]
    fn any_body_of_any_type_is_decoded_or_rejected(first: u8, body in vec(any::<u8>(), 0..100), version in version()) {
        let _ = decode(first, &body, version);
    }

    #[test]
    fn a_damaged_connect_is_decoded_or_rejected(at in 0usize..60, with: u8, cut in 0usize..60) {
        let connect = Connect {
            version: Version::V5,
            clean_start: true,
            keep_alive: 9,
            client_id: "client".into(),
            will: Some(Will { topic: "t".into(), payload: "gone".into(), qos: 1, retain: true, properties: None }),
            user_name: Some("u".into()),
            password: Some("p".into()),
            properties: Some(Box::new(Properties { receive_maximum: Some(7), ..Properties::default() })),
        };
        let packet = Packet::Connect(Box::new(connect));
        prop_assert_eq!(round_trip(&packet, Version::V5), packet.clone());
        let mut out = BytesMut::new();
        encode(&mut out, Version::V5, &packet);
        if let Some(byte) = out.get_mut(at) {
            *byte = with;
        }
        let body = out.get(2..out.len().saturating_sub(cut)).unwrap_or_default();
        let _ = decode(0x10, body, Version::V5);
    }

    #[test]
    fn a_publish_round_trips(
        version in version(), dup: bool, qos in 0..3u8, retain: bool, topic in "[a-zä/]{1,20}", id in 1..=65535u16,
        payload in bytes(), properties in properties(),
    ) {
        let packet = Packet::Publish(Publish {
            dup: dup && qos > 0,
            qos,
            retain,
            topic: topic.into(),
            id: if qos > 0 { id } else { 0 },
            payload,
            properties: properties.filter(|_| version == Version::V5),
        });
        prop_assert_eq!(round_trip(&packet, version), packet);
    }

    #[test]
    fn acknowledgements_round_trip(version in version(), kind in 0..4, id in 1..=65535u16, code in any::<u8>(), why in option::of("[a-z]{1,9}")) {
        let reason = if version == Version::V5 { code } else { 0 };
        let properties = why
            .filter(|_| version == Version::V5)
            .map(|why| Box::new(Properties { reason_string: Some(why), ..Properties::default() }));
        let mut short = BytesMut::new();
        let first = [0x40, 0x50, 0x62, 0x70][kind as usize];
        encode_ack(&mut short, version, first, id, reason);
        let make = |properties| {
            let ack = Ack { id, reason, properties };
            match kind { 0 => Packet::PubAck(ack), 1 => Packet::PubRec(ack), 2 => Packet::PubRel(ack), _ => Packet::PubComp(ack) }
        };
        prop_assert_eq!(decode(first, &short[2..], version).unwrap(), make(None));
        let packet = make(properties);
        prop_assert_eq!(round_trip(&packet, version), packet);
    }

    #[test]
    fn subscriptions_round_trip(version in version(), id in 1..=65535u16, filters in vec(("[a-z+#/]{1,9}", 0..3u8, any::<bool>(), 0..3u8), 1..4)) {
        let v5 = version == Version::V5;
        let filters = filters
            .into_iter()
            .map(|(filter, qos, flag, handling)| SubscribeFilter {
                filter,
                qos,
                no_local: v5 && flag,
                retain_as_published: v5 && !flag,
                retain_handling: if v5 { handling } else { 0 },
            })
            .collect();
        let packet = Packet::Subscribe(Subscribe { id, filters, properties: None });
        prop_assert_eq!(round_trip(&packet, version), packet);
    }
}

#[test]
fn invalid_packets_are_rejected() {
    for (first, body, why) in [
        (0x36, &b"\0\x01a\0\x01"[..], "QoS 3"),
        (0x38, b"\0\x01a", "DUP with QoS 0"),
        (0x32, b"\0\x01a\0\0", "packet identifier 0"),
        (0x30, b"\0\x02\xC3\x28", "not UTF-8"),
        (0x30, b"\0\x01\0", "NUL"),
        (0x80, b"\0\x01\0\x01a\0", "flags of SUBSCRIBE"),
        (0x82, b"\0\x01\0\x01a\x03", "QoS 3"),
        (0x82, b"\0\x01", "no filter"),
        (0x40, b"\0\x01\0", "too long"),
        (0xB0, b"\0\x01\0", "codes of UNSUBACK in 3.1.1"),
        (0xF0, b"", "AUTH in 3.1.1"),
        (0x00, b"", "type 0"),
        (0x10, b"\0\x04MQTT\x04\x01\0\0\0\x01a", "reserved flag"),
        (0x10, b"\0\x04MQTT\x04\x08\0\0\0\x01a", "will QoS without a will"),
        (0x10, b"\0\x04MQTX\x04\x02\0\0\0\x01a", "another protocol"),
    ] {
        assert!(decode(first, body, Version::V3).is_err(), "{why}");
    }
    assert_eq!(decode(0x10, b"\0\x04MQTT\x06\x02\0\0\0\x01a", Version::V3), Err(DecodeError::UnsupportedVersion(6)));
    // A repeated property, a property that PUBLISH does not allow, and a truncated property.
    for properties in [&b"\x04\x01\x01\x01\x01"[..], b"\x03\x21\0\x01", b"\x02\x02\0"] {
        let body = [b"\0\x01a", properties].concat();
        assert!(decode(0x30, &body, Version::V5).is_err(), "{properties:?}");
    }
    assert!(frame(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], 1 << 30).is_err());
    assert!(matches!(frame(&[0x30, 0xFF, 0x7F], 100), Err(DecodeError::TooLarge { .. })));
    assert_eq!(frame(&[0x30, 0x80], 100), Ok(None));
}

#[test]
fn a_packet_above_the_peers_limit_is_not_written() {
    let mut out = BytesMut::new();
    let message = OutgoingPublish {
        dup: false,
        qos: 1,
        retain: false,
        topic: "abc",
        id: 1,
        payload: &[0; 10],
        properties: None,
        message_expiry: None,
        subscription_ids: &[],
    };
    assert!(!encode_publish(&mut out, Version::V3, &message, 18));
    assert!(out.is_empty());
    assert!(encode_publish(&mut out, Version::V3, &message, 19));
    assert_eq!(out.len(), 19);
}
