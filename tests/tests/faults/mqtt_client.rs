//! An MQTT client that sends and receives single packets, because a client library hides the exchanges under test.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// An MQTT connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    v5: bool,
}

/// Parameters of CONNECT.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    pub v5: bool,
    pub id: &'a str,
    pub clean: bool,
    /// User name and password.
    pub login: Option<(&'a str, &'a str)>,
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.bytes());
}

impl Client {
    /// Sends CONNECT; returns the client and the code of CONNACK.
    pub fn connect(address: &str, connect: &Connect<'_>) -> io::Result<(Self, u8)> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut client = Self { stream, v5: connect.v5 };
        let mut body = Vec::new();
        write_string("MQTT", &mut body);
        let login = if connect.login.is_some() { 0xC0 } else { 0 };
        body.extend([if connect.v5 { 5 } else { 4 }, u8::from(connect.clean) << 1 | login, 0, 0]);
        if connect.v5 {
            // Session expiry: one minute.
            body.extend([5, 0x11, 0, 0, 0, 60]);
        }
        write_string(connect.id, &mut body);
        if let Some((user, password)) = connect.login {
            write_string(user, &mut body);
            write_string(password, &mut body);
        }
        client.send(0x10, &body)?;
        match client.read()? {
            (0x20, body) => Ok((client, body.get(1).copied().unwrap_or(0xFF))),
            other => Err(io::Error::other(format!("no CONNACK: {other:?}"))),
        }
    }

    pub fn send(&mut self, first: u8, body: &[u8]) -> io::Result<()> {
        let mut packet = vec![first];
        let mut left = body.len();
        loop {
            let byte = u8::try_from(left & 0x7F).unwrap();
            left >>= 7;
            packet.push(if left > 0 { byte | 0x80 } else { byte });
            if left == 0 {
                break;
            }
        }
        packet.extend(body);
        self.stream.write_all(&packet)
    }

    /// Sends PUBLISH; `flags` are the low bits of the first byte.
    pub fn publish(&mut self, flags: u8, topic: &str, id: u16, payload: &[u8]) -> io::Result<()> {
        let mut body = Vec::new();
        write_string(topic, &mut body);
        if flags & 6 != 0 {
            body.extend(id.to_be_bytes());
        }
        if self.v5 {
            body.push(0);
        }
        body.extend(payload);
        self.send(0x30 | flags, &body)
    }

    /// Sends PUBACK, PUBREC, PUBREL or PUBCOMP.
    pub fn acknowledge(&mut self, first: u8, id: u16) -> io::Result<()> {
        self.send(first, &id.to_be_bytes())
    }

    /// Subscribes to one filter; returns the code of SUBACK.
    pub fn subscribe(&mut self, filter: &str) -> io::Result<u8> {
        let mut body = vec![0, 1];
        if self.v5 {
            body.push(0);
        }
        write_string(filter, &mut body);
        body.push(1);
        self.send(0x82, &body)?;
        match self.read()? {
            (0x90, body) => Ok(body.last().copied().unwrap_or(0xFF)),
            other => Err(io::Error::other(format!("no SUBACK: {other:?}"))),
        }
    }

    /// Reads the next packet.
    pub fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut byte = [0; 1];
        self.stream.read_exact(&mut byte)?;
        let first = byte[0];
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            self.stream.read_exact(&mut byte)?;
            length |= usize::from(byte[0] & 0x7F) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((first, body))
    }

    /// Reads the next packet; returns its type, its packet ID and its reason code (0 if it has none).
    pub fn answer(&mut self) -> io::Result<(u8, u16, u8)> {
        let (first, body) = self.read()?;
        let [high, low, ..] = body[..] else { return Err(io::Error::other(format!("{first:#x} {body:?}"))) };
        Ok((first, u16::from_be_bytes([high, low]), body.get(2).copied().unwrap_or(0)))
    }
}
