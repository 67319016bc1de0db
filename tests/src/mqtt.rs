//! An MQTT 3.1.1 publisher with QoS 1 that reports exactly which messages were acknowledged. Tests of lost messages and
//! load tests use it, because a client library hides resends and costs more CPU time.

use std::{
    collections::VecDeque,
    io::{self, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// A connected publisher.
#[derive(Debug)]
pub struct Publisher {
    out: TcpStream,
    input: BufReader<TcpStream>,
    buffer: Vec<u8>,
    next: u16,
    /// Packet IDs without PUBACK, oldest first.
    unacknowledged: VecDeque<u16>,
}

impl Publisher {
    /// Connects with a clean session.
    ///
    /// # Errors
    /// If the connection is rejected.
    pub fn connect(address: &str, client: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        let mut publisher = Self {
            out: stream.try_clone()?,
            input: BufReader::new(stream),
            buffer: Vec::new(),
            next: 0,
            unacknowledged: VecDeque::new(),
        };
        let mut body = b"\x00\x04MQTT\x04\x02\x00\x3c".to_vec();
        write_string(client, &mut body)?;
        publisher.buffer.push(0x10);
        write_length(body.len(), &mut publisher.buffer);
        publisher.buffer.extend(body);
        publisher.flush()?;
        let mut connack = [0; 4];
        publisher.input.read_exact(&mut connack)?;
        if connack != [0x20, 2, 0, 0] {
            return Err(io::Error::other(format!("CONNACK says {connack:?}")));
        }
        Ok(publisher)
    }

    /// Adds a message to the buffer; [`Publisher::flush`] sends it.
    ///
    /// # Errors
    /// If the topic is too long.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        self.next = self.next.checked_add(1).unwrap_or(1);
        self.buffer.push(0x32);
        write_length(4 + topic.len() + payload.len(), &mut self.buffer);
        write_string(topic, &mut self.buffer)?;
        self.buffer.extend(self.next.to_be_bytes());
        self.buffer.extend_from_slice(payload);
        self.unacknowledged.push_back(self.next);
        Ok(())
    }

    /// Sends the buffered messages.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Number of messages without PUBACK.
    pub fn unacknowledged(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Waits for the next PUBACK. PUBACKs arrive in the order of the messages.
    ///
    /// # Errors
    /// If the connection breaks or another packet arrives.
    pub fn wait_for_puback(&mut self) -> io::Result<()> {
        let mut packet = [0; 4];
        self.input.read_exact(&mut packet)?;
        let expected = self.unacknowledged.pop_front();
        let [0x40, 2, high, low] = packet else {
            return Err(io::Error::other(format!("expected a PUBACK, got {packet:?}")));
        };
        let id = u16::from_be_bytes([high, low]);
        if expected == Some(id) {
            Ok(())
        } else {
            Err(io::Error::other(format!("expected PUBACK {expected:?}, got {id}")))
        }
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let length = u16::try_from(text.len()).map_err(io::Error::other)?;
    out.extend(length.to_be_bytes());
    out.extend(text.bytes());
    Ok(())
}

fn write_length(mut number: usize, out: &mut Vec<u8>) {
    loop {
        let byte = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        out.push(if number > 0 { byte | 0x80 } else { byte });
        if number == 0 {
            return;
        }
    }
}
