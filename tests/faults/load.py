"""Senders that go on through kills and refusals, and enter in the ledger what was acknowledged."""

import http.client
import random
import threading
import time
from collections import Counter

import mqtt

GROUP = 50
"""Sensors of one asset, whose readings travel together."""

SENDERS = 3
"""Connections of a transport with timestamps, and as many without; each has groups of its own."""


class Sender(threading.Thread):
    """Base: `place` gives the address or None; `stop` ends it, then what is under way is finished or given up."""

    def __init__(self, name, place, ledger, groups, rate=None):
        super().__init__(name=name, daemon=True)
        self.place, self.ledger, self.groups = place, ledger, groups
        self.stopping = threading.Event()
        self.give_up = threading.Event()
        self.deaf = threading.Event()
        self.outcomes = Counter()
        self.refusals_without_retry = 0
        self.failure = None
        self.rate = rate
        self.readings = 0
        self.began = time.monotonic()

    def run(self):
        """Sends until it is stopped."""
        try:
            self.work()
        except Exception as error:  # pylint: disable=broad-exception-caught
            # A sender that ends early would make a test of nothing.
            self.failure = error

    def work(self):
        """What subclasses do."""
        raise NotImplementedError

    def pace(self, readings):
        """Keeps to the rate, where there is one."""
        self.readings += readings
        if self.rate:
            ahead = self.readings / self.rate - (time.monotonic() - self.began)
            if ahead > 0:
                time.sleep(min(ahead, 1))
            elif ahead < -1:
                # What could not be sent during an outage is not caught up with.
                self.began = time.monotonic() - self.readings / self.rate

    def finish(self, within):
        """Stops and waits; messages under way get so many seconds to be acknowledged."""
        self.stopping.set()
        self.join(within)
        self.give_up.set()
        self.join(30)
        if self.failure:
            raise self.failure


class OverHttp(Sender):
    """Posts one body after another: a few messages of each of its groups.

    With timestamps a body is sent again until it is taken. Without, it is not: it would be another reading then.
    """

    BODIES = 2

    def work(self):
        connection = None
        batch = None
        while not self.stopping.is_set() or (batch is not None and self.stamped() and not self.give_up.is_set()):
            address = self.place()
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
                self.took(text, messages)
                self.pace(sum(len(group.names) for group, _ in messages))
                batch = None
            else:
                self.refused(answer, text)
                if not self.stamped():
                    batch = None

    def stamped(self):
        """Whether its groups have timestamps."""
        return self.groups[0].stamped

    def batch(self):
        """Messages and the body that holds them."""
        times = self.BODIES if self.stamped() else 1
        messages = [(group, group.take()) for _ in range(times) for group in self.groups]
        body = "[" + ",".join(group.readings(number) for group, number in messages) + "]"
        return messages, body.encode()

    def took(self, text, messages):
        """A 202: all of it is acknowledged, unless it says that a part was refused."""
        if b'"rejected":0' not in text.replace(b" ", b""):
            self.outcomes["202 with refusals"] += 1
            self.last_refusal = text[:500]
            if b'"duplicate"' not in text:
                return
        for group, number in messages:
            self.ledger.acknowledge(group, number)

    last_refusal = b""

    def refused(self, answer, text):
        """Anything but 202."""
        self.last_refusal = text[:500]
        retry = answer.getheader("Retry-After")
        if retry is None:
            self.refusals_without_retry += 1
        # Not the whole time: a test is to see how soon it goes on.
        time.sleep(min(float(retry or 0.2), 0.2))


class OverMqtt(Sender):
    """Publishes with QoS 1 or 2 and many messages under way.

    After a break it connects to its session again and sends what the protocol says: PUBLISH with DUP where no PUBACK or
    PUBREC came, PUBREL where a PUBREC came. Where the host has lost the session, what had no PUBREC is sent anew.
    """

    def __init__(self, name, place, ledger, groups, qos, version=4, window=100, rate=None, login=None):
        super().__init__(name, place, ledger, groups, rate)
        self.qos, self.version, self.window, self.login = qos, version, window, login or {}
        self.under_way = {}
        self.identifier = 0
        self.sessions_lost = 0
        self.connects = 0
        self.round = 0
        self.progress = time.monotonic()

    def work(self):
        while not self.stopping.is_set() or (self.under_way and not self.give_up.is_set()):
            address = self.place()
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
                # A break, a refused connection, or a time-out: all are tried again.
                self.outcomes[f"{type(error).__name__}"] += 1
                time.sleep(0.005)
            finally:
                if connection is not None:
                    connection.close(politely=self.stopping.is_set())

    def resume(self, connection):
        """Sends again what is unfinished, in the order in which it was first sent."""
        if self.connects > 1 and not connection.session_present:
            self.sessions_lost += 1
            for identifier in [key for key, item in self.under_way.items() if item[3]]:
                # The host has taken it over with its PUBREC, and forgotten the exchange.
                del self.under_way[identifier]
        out = bytearray()
        for identifier, (group, number, payload, released) in self.under_way.items():
            if released:
                out += connection.release(identifier)
            else:
                self.ledger.sending(group, number)
                again = connection.session_present
                out += connection.publish(group.asset, payload, identifier, self.qos, again)
        connection.send(bytes(out))

    def exchange(self, connection):
        """Keeps the window full, and takes acknowledgements."""
        self.progress = time.monotonic()
        while self.place() is not None:
            if not self.stopping.is_set() and len(self.under_way) < self.window:
                connection.send(self.more(connection))
            if self.deaf.is_set():
                # What the host answers now is lost with the connection.
                time.sleep(0.002)
                continue
            if not self.under_way:
                if self.stopping.is_set():
                    return
                continue
            found = connection.receive(0.05)
            while found is not None and not self.deaf.is_set():
                self.progress = time.monotonic()
                self.heard(connection, *found)
                found = connection.receive(0)
            if self.give_up.is_set() or time.monotonic() - self.progress > 20:
                raise OSError("no acknowledgement came within 20 s")

    def more(self, connection):
        """Messages up to the window, at most some at a time."""
        out = bytearray()
        for _ in range(min(self.window - len(self.under_way), 20)):
            group = self.groups[self.round % len(self.groups)]
            self.round += 1
            number = group.take()
            payload = ("[" + group.readings(number) + "]").encode()
            self.identifier = self.identifier % 65535 + 1
            while self.identifier in self.under_way:
                self.identifier = self.identifier % 65535 + 1
            self.under_way[self.identifier] = (group, number, payload, False)
            self.ledger.sending(group, number)
            out += connection.publish(group.asset, payload, self.identifier, self.qos)
            self.pace(len(group.names))
        return bytes(out)

    def heard(self, connection, head, body):
        """A packet of the host."""
        kind, identifier, code = mqtt.acknowledged(head, body, self.version)
        item = self.under_way.get(identifier)
        if item is None:
            return
        group, number, payload, released = item
        if kind == mqtt.PUBACK and self.qos == 1 or kind == mqtt.PUBREC and self.qos == 2:
            if code >= 0x80:
                self.outcomes[f"refused with {code:#x}"] += 1
                del self.under_way[identifier]
                return
            self.outcomes["acknowledged"] += 1
            self.ledger.acknowledge(group, number)
            if kind == mqtt.PUBREC:
                self.under_way[identifier] = (group, number, payload, True)
                connection.send(connection.release(identifier))
            else:
                del self.under_way[identifier]
        elif kind == mqtt.PUBCOMP and released:
            del self.under_way[identifier]


class Load:
    """Senders of one transport, half of the groups with timestamps and half without."""

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
                    self.senders.append(OverHttp(name, self.place, ledger, part, share))
                else:
                    qos = int(transport[-1])
                    self.senders.append(OverMqtt(name, self.place, ledger, part, qos, version, window, share))
        self.transport = transport

    def place(self):
        """Where the host is now."""
        return self.address

    def to(self, host):
        """The host is up (or None: it is down)."""
        if host is None:
            self.address = None
        else:
            self.deaf(False)
            self.address = host.http if self.transport == "http" else host.mqtt

    def deaf(self, deaf=True):
        """MQTT senders go on sending, and hear no acknowledgement: it stays in the network when the host is killed."""
        for sender in self.senders:
            (sender.deaf.set if deaf else sender.deaf.clear)()

    def start(self):
        """Starts the senders."""
        for sender in self.senders:
            sender.start()

    def finish(self, within=60):
        """Stops them, once what is under way is done."""
        for sender in self.senders:
            sender.stopping.set()
        for sender in self.senders:
            sender.finish(within)

    def outcomes(self):
        """What came back, summed."""
        total = Counter()
        for sender in self.senders:
            total += sender.outcomes
        return dict(total)

    def sessions_lost(self):
        """How often a kept MQTT session was gone."""
        return sum(getattr(sender, "sessions_lost", 0) for sender in self.senders)


def pause_before_kill(longest, noise=random):
    """A moment within a host's life, more often early than late: restarts are where much happens."""
    return 0.05 + longest * noise.random() ** 1.5
