"""A publishing client for MQTT 3.1.1 and 5 that keeps its session state and reports exactly what was acknowledged.

A client library hides which messages it resends and when, which is what the scripts test.
"""

import select
import socket
import struct

KEEP_ALIVE = 60
"""Seconds."""
CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x20, 0x40, 0x50, 0x62, 0x70


class ConnectRejected(OSError):
    """CONNACK with a code other than 0."""

    def __init__(self, code):
        super().__init__(f"CONNACK with code {code}")
        self.code = code


def _text(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">H", len(raw)) + raw


def _length(number):
    out = bytearray()
    while True:
        number, digit = number >> 7, number & 0x7F
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def packet(head, body):
    """Encodes a packet."""
    return bytes([head]) + _length(len(body)) + body


class Connection:
    """One connection, used by one thread."""

    def __init__(self, address, client, version=4, clean=False, user=None, password=None, within=20, source=None):
        host, port = address.rsplit(":", 1)
        self.version = version
        self.socket = socket.create_connection((host, int(port)), within, source_address=source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = bytearray()
        self.closed = False
        flags = (0x02 if clean else 0) | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
        body = _text("MQTT") + bytes([version, flags]) + struct.pack(">H", KEEP_ALIVE)
        if version == 5:
            # Session expiry: one hour.
            body += bytes([5, 0x11]) + struct.pack(">I", 0 if clean else 3600)
        body += _text(client)
        if user is not None:
            body += _text(user)
        if password is not None:
            body += _text(password)
        self.socket.sendall(packet(0x10, body))
        answered = self.receive(within)
        if answered is None:
            self.socket.close()
            raise TimeoutError(f"no CONNACK within {within} s")
        head, answer = answered
        if head & 0xF0 != CONNACK:
            raise OSError(f"expected CONNACK, got {head:#x}")
        if answer[1] != 0:
            raise ConnectRejected(answer[1])
        self.session_present = bool(answer[0] & 1)

    def publish(self, topic, payload, identifier=0, qos=1, dup=False):
        """Encodes PUBLISH; `dup` sets DUP."""
        body = _text(topic) + (struct.pack(">H", identifier) if qos else b"")
        body += b"\x00" if self.version == 5 else b""
        return packet(0x30 | (8 if dup else 0) | qos << 1, body + payload)

    def release(self, identifier):
        """Encodes PUBREL."""
        return packet(PUBREL, struct.pack(">H", identifier))

    def subscribe(self, filters, qos=1):
        """Subscribes; returns the codes of SUBACK."""
        body = struct.pack(">H", 1) + (b"\x00" if self.version == 5 else b"")
        body += b"".join(_text(name) + bytes([qos]) for name in filters)
        self.send(packet(0x82, body))
        while True:
            head, answer = self.receive(20)
            if head & 0xF0 == 0x90:
                return list(answer[3 if self.version == 5 else 2 :])

    def send(self, data):
        """Sends bytes."""
        self.socket.sendall(data)

    def receive(self, within=None):
        """Reads the next packet as (first byte, body); None if none arrives within that many seconds."""
        while True:
            found = self._next()
            if found is not None:
                return found
            if within is not None and not select.select([self.socket], [], [], within)[0]:
                return None
            data = self.socket.recv(1 << 16)
            if not data:
                self.closed = True
                raise ConnectionError("the host closed the connection")
            self.input += data

    def _next(self):
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(self.input):
                return None
            digit = self.input[at]
            length |= (digit & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not digit & 0x80:
                break
        if len(self.input) < at + length:
            return None
        head, body = self.input[0], bytes(self.input[at : at + length])
        del self.input[: at + length]
        return head, body

    def close(self, send_disconnect=True):
        """Closes the connection, by default after sending DISCONNECT."""
        try:
            if send_disconnect:
                self.send(b"\xe0\x00")
        except OSError:
            pass
        self.socket.close()


def acknowledged(head, body, version):
    """Returns (type, identifier, code) of a PUBACK, PUBREC or PUBCOMP."""
    code = body[2] if version == 5 and len(body) > 2 else 0
    return head & 0xF0, struct.unpack(">H", body[:2])[0], code
