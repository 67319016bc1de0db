//! Decodes packets from bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Ack, ConnAck, Connect, DecodeError, Disconnect, Packet, Publish, SubAck, Subscribe, SubscribeFilter, Unsubscribe,
    Version, Will,
    properties::{self, OptionalProperties, allowed},
    wire::{Reader, decode_varint},
};

/// The position of a packet at the front of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// First byte: packet type and flags.
    pub(crate) first_byte: u8,
    /// Length of the fixed header in bytes.
    pub(crate) header_length: usize,
    /// Length of the whole packet in bytes, header included.
    pub(crate) packet_length: usize,
}

/// Finds the packet at the front of `bytes`. The packet itself may be incomplete; returns `None` if the fixed header is
/// incomplete.
pub(crate) fn frame(bytes: &[u8], max: usize) -> Result<Option<Frame>, DecodeError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((length, size)) = decode_varint(rest)? else { return Ok(None) };
    let frame = Frame { first_byte: first, header_length: 1 + size, packet_length: 1 + size + length as usize };
    if frame.packet_length > max {
        return Err(DecodeError::TooLarge { size: frame.packet_length, max });
    }
    Ok(Some(frame))
}

/// Decodes the packet with this first byte and body. `version` is ignored for a CONNECT.
pub(crate) fn decode(first: u8, body: &[u8], version: Version) -> Result<Packet, DecodeError> {
    let mut r = Reader(body);
    let flags = first & 0x0F;
    let expected = match first >> 4 {
        3 => flags,
        6 | 8 | 10 => 2,
        _ => 0,
    };
    if flags != expected {
        return Err(DecodeError::Malformed("reserved flags of the fixed header"));
    }
    let v5 = version == Version::V5;
    let packet = match first >> 4 {
        1 => Packet::Connect(Box::new(connect(&mut r)?)),
        2 => {
            let flags = r.u8()?;
            if flags > 1 {
                return Err(DecodeError::Malformed("reserved flags of CONNACK"));
            }
            let code = r.u8()?;
            // A broker without support for version 5 answers in the older format.
            let properties = if v5 && !r.is_empty() { properties::read(&mut r, allowed::CONNACK)? } else { None };
            Packet::ConnAck(ConnAck { session_present: flags == 1, code, properties })
        }
        3 => Packet::Publish(publish(flags, &mut r, version)?),
        4 => Packet::PubAck(ack(&mut r, v5)?),
        5 => Packet::PubRec(ack(&mut r, v5)?),
        6 => Packet::PubRel(ack(&mut r, v5)?),
        7 => Packet::PubComp(ack(&mut r, v5)?),
        8 => Packet::Subscribe(subscribe(&mut r, v5)?),
        9 => Packet::SubAck(suback(&mut r, v5)?),
        10 => {
            let id = r.packet_id()?;
            let properties = if v5 { properties::read(&mut r, allowed::UNSUBSCRIBE)? } else { None };
            let mut filters = Vec::new();
            while !r.is_empty() {
                filters.push(r.string()?.to_owned());
            }
            if filters.is_empty() {
                return Err(DecodeError::Protocol("UNSUBSCRIBE without a filter"));
            }
            Packet::Unsubscribe(Unsubscribe { id, filters, properties })
        }
        // In 3.1.1 UNSUBACK has no codes; nothing may follow the identifier.
        11 if v5 => Packet::UnsubAck(suback(&mut r, v5)?),
        11 => Packet::UnsubAck(SubAck { id: r.packet_id()?, codes: Vec::new(), properties: None }),
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        14 => Packet::Disconnect(disconnect(&mut r, v5)?),
        15 if v5 => {
            if !r.is_empty() {
                r.u8()?;
            }
            if !r.is_empty() {
                properties::read(&mut r, allowed::AUTH)?;
            }
            Packet::Auth
        }
        _ => return Err(DecodeError::Malformed("reserved packet type")),
    };
    r.expect_end()?;
    Ok(packet)
}

fn connect(r: &mut Reader<'_>) -> Result<Connect, DecodeError> {
    let name = r.binary()?;
    let level = r.u8()?;
    let version = match (name, level) {
        (b"MQTT", 5) => Version::V5,
        (b"MQTT", 4) | (b"MQIsdp", 3) => Version::V3,
        (b"MQTT" | b"MQIsdp", level) => return Err(DecodeError::UnsupportedVersion(level)),
        _ => return Err(DecodeError::Protocol("CONNECT of another protocol")),
    };
    let v5 = version == Version::V5;
    let flags = r.u8()?;
    let has = |bit: u8| flags & bit != 0;
    let (will_qos, will_retain) = ((flags >> 3) & 3, has(0x20));
    if has(0x01) || will_qos == 3 || (!has(0x04) && (will_qos > 0 || will_retain)) {
        return Err(DecodeError::Malformed("flags of CONNECT"));
    }
    if !v5 && has(0x40) && !has(0x80) {
        return Err(DecodeError::Protocol("a password without a user name"));
    }
    let keep_alive = r.u16()?;
    let properties = if v5 { properties::read(r, allowed::CONNECT)? } else { None };
    let client_id = r.string()?.to_owned();
    let will = if has(0x04) {
        let properties = if v5 { properties::read(r, allowed::WILL)? } else { None };
        let topic = r.string()?.to_owned();
        let payload = Bytes::copy_from_slice(r.binary()?);
        Some(Will { topic, payload, qos: will_qos, retain: will_retain, properties })
    } else {
        None
    };
    let user = if has(0x80) { Some(r.string()?.to_owned()) } else { None };
    let password = if has(0x40) { Some(Bytes::copy_from_slice(r.binary()?)) } else { None };
    Ok(Connect { version, clean_start: has(0x02), keep_alive, client_id, will, user_name: user, password, properties })
}

fn publish(flags: u8, r: &mut Reader<'_>, version: Version) -> Result<Publish, DecodeError> {
    let qos = (flags >> 1) & 3;
    let dup = flags & 8 != 0;
    if qos == 3 || (qos == 0 && dup) {
        return Err(DecodeError::Malformed("flags of PUBLISH"));
    }
    let topic: Arc<str> = r.string()?.into();
    let id = if qos > 0 { r.packet_id()? } else { 0 };
    let properties = if version == Version::V5 { properties::read(r, allowed::PUBLISH)? } else { None };
    // Copied, so that a small message does not keep the whole read buffer of the connection alive.
    let payload = Bytes::copy_from_slice(r.take_rest());
    Ok(Publish { dup, qos, retain: flags & 1 != 0, topic, id, payload, properties })
}

fn ack(r: &mut Reader<'_>, v5: bool) -> Result<Ack, DecodeError> {
    let id = r.packet_id()?;
    let reason = if v5 && !r.is_empty() { r.u8()? } else { 0 };
    let properties = if v5 && !r.is_empty() { properties::read(r, allowed::ACK)? } else { None };
    Ok(Ack { id, reason, properties })
}

fn subscribe(r: &mut Reader<'_>, v5: bool) -> Result<Subscribe, DecodeError> {
    let id = r.packet_id()?;
    let properties: OptionalProperties = if v5 { properties::read(r, allowed::SUBSCRIBE)? } else { None };
    if properties.as_ref().is_some_and(|properties| properties.subscription_ids.len() > 1) {
        return Err(DecodeError::Protocol("two subscription identifiers in a SUBSCRIBE"));
    }
    let mut filters = Vec::new();
    while !r.is_empty() {
        let filter = r.string()?.to_owned();
        let options = r.u8()?;
        let reserved = if v5 { 0xC0 } else { 0xFC };
        let (qos, retain_handling) = (options & 3, (options >> 4) & 3);
        if options & reserved != 0 || qos == 3 || retain_handling == 3 {
            return Err(DecodeError::Malformed("options of a subscription"));
        }
        filters.push(SubscribeFilter {
            filter,
            qos,
            no_local: options & 4 != 0,
            retain_as_published: options & 8 != 0,
            retain_handling,
        });
    }
    if filters.is_empty() {
        return Err(DecodeError::Protocol("SUBSCRIBE without a filter"));
    }
    Ok(Subscribe { id, filters, properties })
}

fn suback(r: &mut Reader<'_>, v5: bool) -> Result<SubAck, DecodeError> {
    let id = r.packet_id()?;
    let properties = if v5 { properties::read(r, allowed::ACK)? } else { None };
    Ok(SubAck { id, codes: r.take_rest().to_vec(), properties })
}

fn disconnect(r: &mut Reader<'_>, v5: bool) -> Result<Disconnect, DecodeError> {
    let reason = if v5 && !r.is_empty() { r.u8()? } else { 0 };
    let properties = if v5 && !r.is_empty() { properties::read(r, allowed::DISCONNECT)? } else { None };
    Ok(Disconnect { reason, properties })
}
