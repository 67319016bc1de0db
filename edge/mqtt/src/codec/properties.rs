//! MQTT 5.0 properties (section 2.2.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    DecodeError,
    wire::{Reader, put_binary, put_varint},
};

/// Optional properties. Most packets have none, so they are boxed: an absent set takes one machine word.
pub(crate) type OptionalProperties = Option<Box<Properties>>;

/// The union of the properties of all packet types.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Properties {
    pub(crate) payload_format: Option<u8>,
    pub(crate) message_expiry: Option<u32>,
    pub(crate) content_type: Option<String>,
    pub(crate) response_topic: Option<String>,
    pub(crate) correlation_data: Option<Bytes>,
    pub(crate) subscription_ids: Vec<u32>,
    pub(crate) session_expiry: Option<u32>,
    pub(crate) assigned_client_id: Option<String>,
    pub(crate) server_keep_alive: Option<u16>,
    pub(crate) authentication_method: Option<String>,
    pub(crate) authentication_data: Option<Bytes>,
    pub(crate) request_problem_information: Option<u8>,
    pub(crate) will_delay: Option<u32>,
    pub(crate) request_response_information: Option<u8>,
    pub(crate) response_information: Option<String>,
    pub(crate) server_reference: Option<String>,
    pub(crate) reason_string: Option<String>,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) topic_alias_maximum: Option<u16>,
    pub(crate) topic_alias: Option<u16>,
    pub(crate) maximum_qos: Option<u8>,
    pub(crate) retain_available: Option<u8>,
    pub(crate) user: Vec<(String, String)>,
    pub(crate) maximum_packet_size: Option<u32>,
    pub(crate) wildcard_subscription_available: Option<u8>,
    pub(crate) subscription_identifiers_available: Option<u8>,
    pub(crate) shared_subscription_available: Option<u8>,
}

impl Properties {
    /// Approximate heap size in bytes: the strings and binary data, plus the tuples of the user properties.
    pub(crate) fn heap_size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let pair = 2 * size_of::<String>();
        let user: usize = self.user.iter().map(|(name, value)| name.len() + value.len() + pair).sum();
        user + text(&self.content_type)
            + text(&self.response_topic)
            + self.correlation_data.as_ref().map_or(0, Bytes::len)
    }
}

const fn id_set(ids: &[u8]) -> u64 {
    let mut mask = 0;
    let mut at = 0;
    while at < ids.len() {
        mask |= 1 << ids[at];
        at += 1;
    }
    mask
}

/// The properties that each packet type allows: table 2-4 of the standard, as bit sets of property identifiers.
pub(crate) mod allowed {
    use super::id_set;

    pub(crate) const CONNECT: u64 = id_set(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]);
    pub(crate) const WILL: u64 = id_set(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]);
    pub(crate) const CONNACK: u64 =
        id_set(&[0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A]);
    pub(crate) const PUBLISH: u64 = id_set(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26]);
    /// All acknowledgement packets.
    pub(crate) const ACK: u64 = id_set(&[0x1F, 0x26]);
    pub(crate) const SUBSCRIBE: u64 = id_set(&[0x0B, 0x26]);
    pub(crate) const UNSUBSCRIBE: u64 = id_set(&[0x26]);
    pub(crate) const DISCONNECT: u64 = id_set(&[0x11, 0x1C, 0x1F, 0x26]);
    pub(crate) const AUTH: u64 = id_set(&[0x15, 0x16, 0x1F, 0x26]);
}

fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<(), DecodeError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(DecodeError::Protocol("a property appears twice")),
    }
}

fn read_flag(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    match reader.u8()? {
        value @ 0..=1 => Ok(value),
        _ => Err(DecodeError::Protocol("a property that must be 0 or 1 has another value")),
    }
}

fn require_nonzero(value: u16) -> Result<u16, DecodeError> {
    if value == 0 { Err(DecodeError::Protocol("receive maximum 0")) } else { Ok(value) }
}

/// Reads the properties of a packet and rejects any that is not in the bit set `allowed`.
pub(crate) fn read(reader: &mut Reader<'_>, allowed: u64) -> Result<OptionalProperties, DecodeError> {
    let length = reader.read_varint()?;
    if length == 0 {
        return Ok(None);
    }
    let mut reader = Reader(reader.take(length as usize)?);
    let mut p = Box::<Properties>::default();
    while !reader.is_empty() {
        let id = reader.u8()?;
        if id > 0x2A || allowed & (1 << id) == 0 {
            return Err(DecodeError::Malformed("a property that this packet type does not allow"));
        }
        let r = &mut reader;
        match id {
            0x01 => set_once(&mut p.payload_format, read_flag(r)?)?,
            0x02 => set_once(&mut p.message_expiry, r.u32()?)?,
            0x03 => set_once(&mut p.content_type, r.string()?.into())?,
            0x08 => set_once(&mut p.response_topic, r.string()?.into())?,
            0x09 => set_once(&mut p.correlation_data, Bytes::copy_from_slice(r.binary()?))?,
            0x0B => match r.read_varint()? {
                0 => return Err(DecodeError::Protocol("subscription identifier 0")),
                id => p.subscription_ids.push(id),
            },
            0x11 => set_once(&mut p.session_expiry, r.u32()?)?,
            0x12 => set_once(&mut p.assigned_client_id, r.string()?.into())?,
            0x13 => set_once(&mut p.server_keep_alive, r.u16()?)?,
            0x15 => set_once(&mut p.authentication_method, r.string()?.into())?,
            0x16 => set_once(&mut p.authentication_data, Bytes::copy_from_slice(r.binary()?))?,
            0x17 => set_once(&mut p.request_problem_information, read_flag(r)?)?,
            0x18 => set_once(&mut p.will_delay, r.u32()?)?,
            0x19 => set_once(&mut p.request_response_information, read_flag(r)?)?,
            0x1A => set_once(&mut p.response_information, r.string()?.into())?,
            0x1C => set_once(&mut p.server_reference, r.string()?.into())?,
            0x1F => set_once(&mut p.reason_string, r.string()?.into())?,
            0x21 => set_once(&mut p.receive_maximum, require_nonzero(r.u16()?)?)?,
            0x22 => set_once(&mut p.topic_alias_maximum, r.u16()?)?,
            0x23 => set_once(&mut p.topic_alias, r.u16()?)?,
            0x24 => set_once(&mut p.maximum_qos, read_flag(r)?)?,
            0x25 => set_once(&mut p.retain_available, read_flag(r)?)?,
            0x26 => p.user.push((r.string()?.into(), r.string()?.into())),
            0x27 => match r.u32()? {
                0 => return Err(DecodeError::Protocol("maximum packet size 0")),
                size => set_once(&mut p.maximum_packet_size, size)?,
            },
            0x28 => set_once(&mut p.wildcard_subscription_available, read_flag(r)?)?,
            0x29 => set_once(&mut p.subscription_identifiers_available, read_flag(r)?)?,
            0x2A => set_once(&mut p.shared_subscription_available, read_flag(r)?)?,
            _ => return Err(DecodeError::Malformed("an unknown property")),
        }
    }
    Ok(Some(p))
}

fn write_u8(out: &mut BytesMut, id: u8, value: Option<u8>) {
    if let Some(value) = value {
        out.put_slice(&[id, value]);
    }
}

fn write_u16(out: &mut BytesMut, id: u8, value: Option<u16>) {
    if let Some(value) = value {
        out.put_u8(id);
        out.put_u16(value);
    }
}

fn write_u32(out: &mut BytesMut, id: u8, value: Option<u32>) {
    if let Some(value) = value {
        out.put_u8(id);
        out.put_u32(value);
    }
}

fn write_binary<T: AsRef<[u8]>>(out: &mut BytesMut, id: u8, value: &Option<T>) {
    if let Some(value) = value {
        out.put_u8(id);
        put_binary(out, value.as_ref());
    }
}

impl Properties {
    /// Writes the properties without their length prefix.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        write_u8(out, 0x01, self.payload_format);
        write_u32(out, 0x02, self.message_expiry);
        write_binary(out, 0x03, &self.content_type);
        write_binary(out, 0x08, &self.response_topic);
        write_binary(out, 0x09, &self.correlation_data);
        write_subscription_ids(out, &self.subscription_ids);
        write_u32(out, 0x11, self.session_expiry);
        write_binary(out, 0x12, &self.assigned_client_id);
        write_u16(out, 0x13, self.server_keep_alive);
        write_binary(out, 0x15, &self.authentication_method);
        write_binary(out, 0x16, &self.authentication_data);
        write_u8(out, 0x17, self.request_problem_information);
        write_u32(out, 0x18, self.will_delay);
        write_u8(out, 0x19, self.request_response_information);
        write_binary(out, 0x1A, &self.response_information);
        write_binary(out, 0x1C, &self.server_reference);
        write_binary(out, 0x1F, &self.reason_string);
        write_u16(out, 0x21, self.receive_maximum);
        write_u16(out, 0x22, self.topic_alias_maximum);
        write_u16(out, 0x23, self.topic_alias);
        write_u8(out, 0x24, self.maximum_qos);
        write_u8(out, 0x25, self.retain_available);
        for (key, value) in &self.user {
            out.put_u8(0x26);
            put_binary(out, key.as_bytes());
            put_binary(out, value.as_bytes());
        }
        write_u32(out, 0x27, self.maximum_packet_size);
        write_u8(out, 0x28, self.wildcard_subscription_available);
        write_u8(out, 0x29, self.subscription_identifiers_available);
        write_u8(out, 0x2A, self.shared_subscription_available);
    }
}

pub(crate) fn write_subscription_ids(out: &mut BytesMut, ids: &[u32]) {
    for id in ids {
        out.put_u8(0x0B);
        put_varint(out, *id as usize);
    }
}
