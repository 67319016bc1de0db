//! Encodes packets to bytes.

use bytes::{BufMut, BytesMut};

use super::{
    Ack, Connect, Packet, Properties, Version,
    properties::OptionalProperties,
    properties::write_subscription_ids,
    wire::{put_binary, put_varint, varint_length},
};

/// A PUBLISH to write. It borrows its fields because one message goes to many subscribers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutgoingPublish<'a> {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: &'a str,
    /// Packet identifier; not written with QoS 0.
    pub(crate) id: u16,
    pub(crate) payload: &'a [u8],
    pub(crate) properties: Option<&'a Properties>,
    /// Message expiry interval in seconds; written in addition to `properties`.
    pub(crate) message_expiry: Option<u32>,
    /// Written in addition to `properties`.
    pub(crate) subscription_ids: &'a [u32],
}

/// Writes a PUBLISH. Writes nothing and returns `false` if the packet would be longer than `max` bytes.
pub(crate) fn encode_publish(out: &mut BytesMut, version: Version, message: &OutgoingPublish<'_>, max: usize) -> bool {
    let mut properties = BytesMut::new();
    let mut length = 2 + message.topic.len() + message.payload.len() + if message.qos > 0 { 2 } else { 0 };
    if version == Version::V5 {
        if let Some(known) = message.properties {
            known.write(&mut properties);
        }
        if let Some(expiry) = message.message_expiry {
            properties.put_u8(0x02);
            properties.put_u32(expiry);
        }
        write_subscription_ids(&mut properties, message.subscription_ids);
        length += varint_length(properties.len()) + properties.len();
    }
    if 1 + varint_length(length) + length > max {
        return false;
    }
    out.reserve(length + 5);
    out.put_u8(0x30 | u8::from(message.dup) << 3 | message.qos << 1 | u8::from(message.retain));
    put_varint(out, length);
    put_binary(out, message.topic.as_bytes());
    if message.qos > 0 {
        out.put_u16(message.id);
    }
    if version == Version::V5 {
        put_varint(out, properties.len());
        out.put_slice(&properties);
    }
    out.put_slice(message.payload);
    true
}

/// Writes a PUBACK (0x40), PUBREC (0x50), PUBREL (0x62) or PUBCOMP (0x70) without properties.
pub(crate) fn encode_ack(out: &mut BytesMut, version: Version, first: u8, id: u16, reason: u8) {
    let [high, low] = id.to_be_bytes();
    if version == Version::V3 || reason == 0 {
        out.put_slice(&[first, 2, high, low]);
    } else {
        out.put_slice(&[first, 3, high, low, reason]);
    }
}

/// Appends the encoded packet to `out`.
pub(crate) fn encode(out: &mut BytesMut, version: Version, packet: &Packet) {
    let v5 = version == Version::V5;
    let mut body = BytesMut::new();
    let first = match packet {
        Packet::Connect(connect) => {
            write_connect(&mut body, connect);
            0x10
        }
        Packet::ConnAck(connack) => {
            body.put_slice(&[u8::from(connack.session_present), connack.code]);
            put_properties(&mut body, v5, &connack.properties);
            0x20
        }
        Packet::Publish(message) => {
            let outgoing = OutgoingPublish {
                dup: message.dup,
                qos: message.qos,
                retain: message.retain,
                topic: &message.topic,
                id: message.id,
                payload: &message.payload,
                properties: message.properties.as_deref(),
                message_expiry: None,
                subscription_ids: &[],
            };
            encode_publish(out, version, &outgoing, usize::MAX);
            return;
        }
        Packet::PubAck(ack) => write_ack(&mut body, v5, ack, 0x40),
        Packet::PubRec(ack) => write_ack(&mut body, v5, ack, 0x50),
        Packet::PubRel(ack) => write_ack(&mut body, v5, ack, 0x62),
        Packet::PubComp(ack) => write_ack(&mut body, v5, ack, 0x70),
        Packet::Subscribe(subscribe) => {
            body.put_u16(subscribe.id);
            put_properties(&mut body, v5, &subscribe.properties);
            for filter in &subscribe.filters {
                put_binary(&mut body, filter.filter.as_bytes());
                let extra = u8::from(filter.no_local) << 2
                    | u8::from(filter.retain_as_published) << 3
                    | filter.retain_handling << 4;
                body.put_u8(filter.qos | if v5 { extra } else { 0 });
            }
            0x82
        }
        Packet::SubAck(ack) | Packet::UnsubAck(ack) => {
            body.put_u16(ack.id);
            put_properties(&mut body, v5, &ack.properties);
            let unsubscribed = matches!(packet, Packet::UnsubAck(_));
            if v5 || !unsubscribed {
                body.put_slice(&ack.codes);
            }
            if unsubscribed { 0xB0 } else { 0x90 }
        }
        Packet::Unsubscribe(unsubscribe) => {
            body.put_u16(unsubscribe.id);
            put_properties(&mut body, v5, &unsubscribe.properties);
            for filter in &unsubscribe.filters {
                put_binary(&mut body, filter.as_bytes());
            }
            0xA2
        }
        Packet::PingReq => 0xC0,
        Packet::PingResp => 0xD0,
        Packet::Disconnect(disconnect) => {
            if v5 && (disconnect.reason != 0 || disconnect.properties.is_some()) {
                body.put_u8(disconnect.reason);
                put_properties(&mut body, v5, &disconnect.properties);
            }
            0xE0
        }
        Packet::Auth => 0xF0,
    };
    out.reserve(body.len() + 5);
    out.put_u8(first);
    put_varint(out, body.len());
    out.put_slice(&body);
}

fn put_properties(body: &mut BytesMut, v5: bool, properties: &OptionalProperties) {
    if !v5 {
        return;
    }
    let mut written = BytesMut::new();
    if let Some(properties) = properties {
        properties.write(&mut written);
    }
    put_varint(body, written.len());
    body.put_slice(&written);
}

fn write_ack(body: &mut BytesMut, v5: bool, ack: &Ack, first: u8) -> u8 {
    body.put_u16(ack.id);
    if v5 && (ack.reason != 0 || ack.properties.is_some()) {
        body.put_u8(ack.reason);
        put_properties(body, v5, &ack.properties);
    }
    first
}

fn write_connect(body: &mut BytesMut, connect: &Connect) {
    let v5 = connect.version == Version::V5;
    put_binary(body, b"MQTT");
    body.put_u8(if v5 { 5 } else { 4 });
    let mut flags = u8::from(connect.clean_start) << 1;
    if let Some(will) = &connect.will {
        flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
    }
    flags |= u8::from(connect.password.is_some()) << 6 | u8::from(connect.user_name.is_some()) << 7;
    body.put_u8(flags);
    body.put_u16(connect.keep_alive);
    put_properties(body, v5, &connect.properties);
    put_binary(body, connect.client_id.as_bytes());
    if let Some(will) = &connect.will {
        put_properties(body, v5, &will.properties);
        put_binary(body, will.topic.as_bytes());
        put_binary(body, &will.payload);
    }
    if let Some(user) = &connect.user_name {
        put_binary(body, user.as_bytes());
    }
    if let Some(password) = &connect.password {
        put_binary(body, password);
    }
}
