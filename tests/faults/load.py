"""Senders that continue across kills and rejections and record acknowledged messages in the ledger."""

import http.client
import random
import threading
import time
from collections import Counter

import mqtt

GROUP = 50
"""Sensors of one asset, whose readings are sent together."""

SENDERS = 3
"""Connections per transport with timestamps, and the same number without; each has its own groups."""


class Sender(threading.Thread):
    """Base class. `get_address` returns the address or None; `finish` completes or discards unfinished messages."""

    def __init__(self, name, get_address, ledger, groups, rate=None):
        super().__init__(name=name, daemon=True)
        self.get_address, self.ledger, self.groups = get_address, ledger, groups
        self.stopping = threading.Event()
        self.abort = threading.Event()
        self.ignore_acks = threading.Event()
        self.outcomes = Counter()
        self.rejections_without_retry = 0
        self.failure = None
        self.rate = rate
        self.readings = 0
        self.began = time.monotonic()

    def run(self):
        """Sends until it is stopped."""
        try:
            self.work()
        except Exception as error:  # pylint: disable=broad-exception-caught
            # The test must not pass if a sender ends early.
            self.failure = error

    def work(self):
        """Implemented by subclasses."""
        raise NotImplementedError

    def pace(self, readings):
        """Limits the rate, if one is set."""
        self.readings += readings
        if self.rate:
            ahead = self.readings / self.rate - (time.monotonic() - self.began)
            if ahead > 0:
                time.sleep(min(ahead, 1))
            elif ahead < -1:
                # The backlog of an outage is skipped.
                self.began = time.monotonic() - self.readings / self.rate

    def finish(self, within):
        """Stops and waits; unacknowledged messages have `within` seconds."""
        self.stopping.set()
        self.join(within)
        self.abort.set()
        self.join(30)
        if self.failure:
            raise self.failure


class OverHttp(Sender):
    """Posts one body at a time, with a few messages of each group.

    With timestamps, a body is resent until it is accepted. Without timestamps, a resent body would be new readings.
    """

    BODIES = 2

    def work(self):
        connection = None
        batch = None
        while not self.stopping.is_set() or (batch is not None and self.stamped() and not self.abort.is_set()):
            address = self.get_address()
            if address is None:
                connection = None
                time.sleep(0.005)
                continue
            if batch is None:
                batch = self.batch()
            messages, body = batch
            try:
                if connection is None:
                    host, port = address.rsplit(":", 1)
                    connection = http.client.HTTPConnection(host, int(port), timeout=20)
                for group, number in messages:
                    self.ledger.sending(group, number)
                connection.request("POST", "/api/v1/ingest", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[type(error).__name__] += 1
                if connection is not None:
                    connection.close()
                connection = None
                if not self.stamped():
                    batch = None
                time.sleep(0.002)
                continue
            self.outcomes[answer.status] += 1
            if answer.status == 202:
                self.on_accepted(text, messages)
                self.pace(sum(len(group.names) for group, _ in messages))
                batch = None
            else:
                self.on_rejected(answer, text)
                if not self.stamped():
                    batch = None

    def stamped(self):
        """Whether the groups have timestamps."""
        return self.groups[0].stamped

    def batch(self):
        """Creates messages; returns them and the body."""
        times = self.BODIES if self.stamped() else 1
        messages = [(group, group.next_message()) for _ in range(times) for group in self.groups]
        body = "[" + ",".join(group.readings(number) for group, number in messages) + "]"
        return messages, body.encode()

    def on_accepted(self, text, messages):
        """Handles 202: all messages are acknowledged unless a part was rejected."""
        if b'"rejected":0' not in text.replace(b" ", b""):
            self.outcomes["202 with rejections"] += 1
            self.last_rejection = text[:500]
            if b'"duplicate"' not in text:
                return
        for group, number in messages:
            self.ledger.acknowledge(group, number)

    last_rejection = b""

    def on_rejected(self, answer, text):
        """Handles a status other than 202."""
        self.last_rejection = text[:500]
        retry = answer.getheader("Retry-After")
        if retry is None:
            self.rejections_without_retry += 1
        # Waits less than requested, so that the test measures the recovery time.
        time.sleep(min(float(retry or 0.2), 0.2))


class OverMqtt(Sender):
    """Publishes with QoS 1 or 2 and a window of unacknowledged messages.

    After a lost connection, it resumes its session and resends as the protocol requires: PUBLISH with DUP without
    PUBACK or PUBREC, PUBREL after PUBREC. If the host has lost the session, messages without PUBREC are sent as new.
    """

    def __init__(self, name, get_address, ledger, groups, qos, version=4, window=100, rate=None, login=None):
        super().__init__(name, get_address, ledger, groups, rate)
        self.qos, self.version, self.window, self.login = qos, version, window, login or {}
        self.in_flight = {}
        self.identifier = 0
        self.sessions_lost = 0
        self.connects = 0
        self.round = 0
        self.progress = time.monotonic()

    def work(self):
        while not self.stopping.is_set() or (self.in_flight and not self.abort.is_set()):
            address = self.get_address()
            if address is None:
                time.sleep(0.005)
                continue
            connection = None
            try:
                connection = mqtt.Connection(address, self.name, self.version, **self.login)
                self.connects += 1
                self.resume(connection)
                self.exchange(connection)
            except OSError as error:
                # Retries after a lost connection, a rejected connection or a timeout.
                self.outcomes[f"{type(error).__name__}"] += 1
                time.sleep(0.005)
            finally:
                if connection is not None:
                    connection.close(send_disconnect=self.stopping.is_set())

    def resume(self, connection):
        """Resends unfinished messages in their original order."""
        if self.connects > 1 and not connection.session_present:
            self.sessions_lost += 1
            for identifier in [key for key, item in self.in_flight.items() if item[3]]:
                # The host accepted the message with PUBREC and has lost the exchange.
                del self.in_flight[identifier]
        out = bytearray()
        for identifier, (group, number, payload, released) in self.in_flight.items():
            if released:
                out += connection.release(identifier)
            else:
                self.ledger.sending(group, number)
                dup = connection.session_present
                out += connection.publish(group.asset, payload, identifier, self.qos, dup)
        connection.send(bytes(out))

    def exchange(self, connection):
        """Keeps the window full and handles acknowledgements."""
        self.progress = time.monotonic()
        while self.get_address() is not None:
            if not self.stopping.is_set() and len(self.in_flight) < self.window:
                connection.send(self.more(connection))
            if self.ignore_acks.is_set():
                # Answers of the host are lost with the connection.
                time.sleep(0.002)
                continue
            if not self.in_flight:
                if self.stopping.is_set():
                    return
                continue
            found = connection.receive(0.05)
            while found is not None and not self.ignore_acks.is_set():
                self.progress = time.monotonic()
                self.on_packet(connection, *found)
                found = connection.receive(0)
            if self.abort.is_set() or time.monotonic() - self.progress > 20:
                raise OSError("no acknowledgement within 20 s")

    def more(self, connection):
        """Encodes new messages up to the window, at most 20."""
        out = bytearray()
        for _ in range(min(self.window - len(self.in_flight), 20)):
            group = self.groups[self.round % len(self.groups)]
            self.round += 1
            number = group.next_message()
            payload = ("[" + group.readings(number) + "]").encode()
            self.identifier = self.identifier % 65535 + 1
            while self.identifier in self.in_flight:
                self.identifier = self.identifier % 65535 + 1
            self.in_flight[self.identifier] = (group, number, payload, False)
            self.ledger.sending(group, number)
            out += connection.publish(group.asset, payload, self.identifier, self.qos)
            self.pace(len(group.names))
        return bytes(out)

    def on_packet(self, connection, head, body):
        """Handles a packet from the host."""
        kind, identifier, code = mqtt.acknowledged(head, body, self.version)
        item = self.in_flight.get(identifier)
        if item is None:
            return
        group, number, payload, released = item
        if kind == mqtt.PUBACK and self.qos == 1 or kind == mqtt.PUBREC and self.qos == 2:
            if code >= 0x80:
                self.outcomes[f"rejected with {code:#x}"] += 1
                del self.in_flight[identifier]
                return
            self.outcomes["acknowledged"] += 1
            self.ledger.acknowledge(group, number)
            if kind == mqtt.PUBREC:
                self.in_flight[identifier] = (group, number, payload, True)
                connection.send(connection.release(identifier))
            else:
                del self.in_flight[identifier]
        elif kind == mqtt.PUBCOMP and released:
            del self.in_flight[identifier]


class Load:
    """Senders of one transport; by default half of the groups have timestamps."""

    def __init__(self, ledger, transport, sensors, stamps="both", version=4, rate=None, window=100, prefix="load"):
        self.ledger = ledger
        self.address = None
        self.senders = []
        kinds = {"both": [True, False], "with": [True], "without": [False]}[stamps]
        per_kind = max(sensors // len(kinds), 1)
        for stamped in kinds:
            size = min(GROUP, per_kind)
            groups = [
                ledger.group(
                    f"{prefix}-{transport}/{'stamped' if stamped else 'plain'}-{number}",
                    min(size, per_kind - first),
                    stamped,
                    transport == "mqtt1",
                )
                for number, first in enumerate(range(0, per_kind, size))
            ]
            parts = [groups[first::SENDERS] for first in range(min(SENDERS, len(groups)))]
            for number, part in enumerate(parts):
                name = f"{prefix}-{transport}-{'stamped' if stamped else 'plain'}-{number}"
                share = rate / len(kinds) / len(parts) if rate else None
                if transport == "http":
                    self.senders.append(OverHttp(name, self.get_address, ledger, part, share))
                else:
                    qos = int(transport[-1])
                    self.senders.append(OverMqtt(name, self.get_address, ledger, part, qos, version, window, share))
        self.transport = transport

    def get_address(self):
        """The current address of the host, or None."""
        return self.address

    def set_host(self, host):
        """Sets the running host; None if it is down."""
        if host is None:
            self.address = None
        else:
            self.ignore_acks(False)
            self.address = host.http if self.transport == "http" else host.mqtt

    def ignore_acks(self, ignore_acks=True):
        """MQTT senders continue to send but do not read acknowledgements, as if these were lost in the network."""
        for sender in self.senders:
            (sender.ignore_acks.set if ignore_acks else sender.ignore_acks.clear)()

    def start(self):
        """Starts the senders."""
        for sender in self.senders:
            sender.start()

    def finish(self, within=60):
        """Stops the senders after their unfinished messages."""
        for sender in self.senders:
            sender.stopping.set()
        for sender in self.senders:
            sender.finish(within)

    def outcomes(self):
        """Total outcomes of all senders."""
        total = Counter()
        for sender in self.senders:
            total += sender.outcomes
        return dict(total)

    def sessions_lost(self):
        """How often an MQTT session was lost."""
        return sum(getattr(sender, "sessions_lost", 0) for sender in self.senders)


def pause_before_kill(longest, rng=random):
    """A random time within a host's lifetime, more often early, because most code runs during a restart."""
    return 0.05 + longest * rng.random() ** 1.5
