//! The data types of the wire format: MQTT 5.0, section 1.5.

use bytes::{BufMut, BytesMut};

use super::{DecodeError, MAX_FIELD_BYTES};

const UNEXPECTED_END: DecodeError = DecodeError::Malformed("unexpected end of the packet");

/// A cursor over a packet's body; each read consumes bytes from the front.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(UNEXPECTED_END)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (&head, tail) = self.0.split_first().ok_or(UNEXPECTED_END)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        let (head, tail) = self.0.split_first_chunk::<2>().ok_or(UNEXPECTED_END)?;
        self.0 = tail;
        Ok(u16::from_be_bytes(*head))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        let (head, tail) = self.0.split_first_chunk::<4>().ok_or(UNEXPECTED_END)?;
        self.0 = tail;
        Ok(u32::from_be_bytes(*head))
    }

    /// Reads a packet identifier, which must not be 0.
    pub(crate) fn packet_id(&mut self) -> Result<u16, DecodeError> {
        match self.u16()? {
            0 => Err(DecodeError::Malformed("packet identifier 0")),
            id => Ok(id),
        }
    }

    pub(crate) fn read_varint(&mut self) -> Result<u32, DecodeError> {
        match decode_varint(self.0)? {
            Some((value, length)) => {
                self.take(length)?;
                Ok(value)
            }
            None => Err(UNEXPECTED_END),
        }
    }

    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u16()?;
        self.take(length.into())
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| DecodeError::Malformed("text is not UTF-8"))?;
        if text.contains('\0') {
            return Err(DecodeError::Malformed("text contains U+0000"));
        }
        Ok(text)
    }

    pub(crate) fn expect_end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Malformed("trailing bytes after the end of the packet"))
        }
    }
}

/// Decodes the variable byte integer at the front of `bytes`. Returns its value and its length in bytes, or `None` if
/// more bytes are needed.
pub(crate) fn decode_varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0;
    for (number, byte) in bytes.iter().enumerate().take(4) {
        value |= u32::from(byte & 0x7F) << (7 * number);
        if byte & 0x80 == 0 {
            return Ok(Some((value, number + 1)));
        }
    }
    if bytes.len() >= 4 { Err(DecodeError::Malformed("a length of more than four bytes")) } else { Ok(None) }
}

/// Number of bytes that [`put_varint`] writes for `value`.
pub(crate) fn varint_length(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

pub(crate) fn put_varint(out: &mut BytesMut, mut value: usize) {
    loop {
        let byte = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            out.put_u8(byte);
            return;
        }
        out.put_u8(byte | 0x80);
    }
}

/// Writes a length-prefixed field. A field longer than the maximum of 65,535 bytes is truncated.
pub(crate) fn put_binary(out: &mut BytesMut, bytes: &[u8]) {
    let bytes = bytes.get(..MAX_FIELD_BYTES).unwrap_or(bytes);
    out.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(bytes);
}
