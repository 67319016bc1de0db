//! The tag that relates a record of the raw topic to the QoS 2 exchange of MQTT from which it comes.

/// A session, by the hash of its name.
pub(crate) type SessionKey = [u8; 16];

/// Identifies the QoS 2 message from which a record of the raw topic comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExchangeTag {
    pub(crate) session: SessionKey,
    pub(crate) id: u16,
    /// Increases with each exchange.
    pub(crate) number: u64,
    /// Hash of topic and payload.
    pub(crate) digest: [u8; 16],
}

impl ExchangeTag {
    /// Length in bytes of an encoded tag with its part.
    pub(crate) const ENCODED_LEN: usize = 46;

    /// Appends the tag of record `part` of `parts`.
    pub(crate) fn write(&self, part: u16, parts: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.digest);
        out.extend_from_slice(&part.to_le_bytes());
        out.extend_from_slice(&parts.to_le_bytes());
    }

    /// Decodes the tag, the record's part, and the number of parts.
    pub(crate) fn read(bytes: &[u8; Self::ENCODED_LEN]) -> Option<(Self, u16, u16)> {
        let mut bytes = &bytes[..];
        let tag = Self {
            session: take_bytes(&mut bytes)?,
            id: take_u16(&mut bytes)?,
            number: take_u64(&mut bytes)?,
            digest: take_bytes(&mut bytes)?,
        };
        Some((tag, take_u16(&mut bytes)?, take_u16(&mut bytes)?))
    }
}

fn take_bytes<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    take_bytes(bytes).map(u16::from_le_bytes)
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take_bytes(bytes).map(u64::from_le_bytes)
}
