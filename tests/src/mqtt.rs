//! A publisher of MQTT 3.1.1 with QoS 1 that tells exactly which messages were acknowledged: for tests of losses and for
//! load, for which a client library would hide or cost too much.

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
    /// Packet ids that wait for their PUBACK, oldest first.
    waiting: VecDeque<u16>,
}

impl Publisher {
    /// Connects with a clean session.
    ///
    /// # Errors
    /// When the connection is refused.
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
            waiting: VecDeque::new(),
        };
        let mut body = b"\x00\x04MQTT\x04\x02\x00\x3c".to_vec();
        text(client, &mut body)?;
        publisher.buffer.push(0x10);
        length(body.len(), &mut publisher.buffer);
        publisher.buffer.extend(body);
        publisher.flush()?;
        let mut answer = [0; 4];
        publisher.input.read_exact(&mut answer)?;
        if answer != [0x20, 2, 0, 0] {
            return Err(io::Error::other(format!("CONNACK says {answer:?}")));
        }
        Ok(publisher)
    }

    /// Puts a message into the buffer; [`Publisher::flush`] sends it.
    ///
    /// # Errors
    /// When the topic is too long.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        self.next = self.next.checked_add(1).unwrap_or(1);
        self.buffer.push(0x32);
        length(4 + topic.len() + payload.len(), &mut self.buffer);
        text(topic, &mut self.buffer)?;
        self.buffer.extend(self.next.to_be_bytes());
        self.buffer.extend_from_slice(payload);
        self.waiting.push_back(self.next);
        Ok(())
    }

    /// Sends what is in the buffer.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// How many messages wait for their acknowledgement.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Waits for the next acknowledgement; they come in the order of the messages.
    ///
    /// # Errors
    /// When the connection breaks, or something else comes.
    pub fn acknowledged(&mut self) -> io::Result<()> {
        let mut packet = [0; 4];
        self.input.read_exact(&mut packet)?;
        let wanted = self.waiting.pop_front();
        let [0x40, 2, high, low] = packet else {
            return Err(io::Error::other(format!("expected a PUBACK, got {packet:?}")));
        };
        let got = u16::from_be_bytes([high, low]);
        if wanted == Some(got) {
            Ok(())
        } else {
            Err(io::Error::other(format!("expected PUBACK {wanted:?}, got {got}")))
        }
    }
}

fn text(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let length = u16::try_from(text.len()).map_err(io::Error::other)?;
    out.extend(length.to_be_bytes());
    out.extend(text.bytes());
    Ok(())
}

fn length(mut number: usize, out: &mut Vec<u8>) {
    loop {
        let byte = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        out.push(if number > 0 { byte | 0x80 } else { byte });
        if number == 0 {
            return;
        }
    }
}
