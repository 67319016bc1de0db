"""Tests the broker on localhost:PORT with Eclipse Paho. Usage: drive_paho.py PORT 4|5"""

import queue
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PORT, VERSION = int(sys.argv[1]), int(sys.argv[2])
V5 = VERSION == 5


class Client:
    def __init__(self, name, clean=True, will=None):
        extra = {} if V5 else {"clean_session": clean}
        self.messages, self.events = queue.Queue(), queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=f"paho-{name}-{VERSION}", protocol=VERSION, **extra
        )
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_connect = lambda _c, _u, flags, code, _p: self.events.put(("connect", flags, code))
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self.events.put(("subscribe", codes))
        self.client.on_disconnect = lambda _c, _u, _f, code, _p: self.events.put(("disconnect", code))
        if will:
            self.client.will_set(*will)
        extra = {}
        if V5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else 300
            extra = {"clean_start": clean, "properties": properties}
        self.client.connect("127.0.0.1", PORT, keepalive=20, **extra)
        self.client.loop_start()
        _, flags, code = self.event("connect")
        assert not code.is_failure, code
        self.present = flags.session_present

    def event(self, name):
        while True:
            event = self.events.get(timeout=20)
            if event[0] == name:
                return event

    def subscribe(self, topic, qos):
        self.client.subscribe(topic, options=SubscribeOptions(qos=qos)) if V5 else self.client.subscribe(topic, qos)
        codes = self.event("subscribe")[1]
        assert codes[0].value == qos, codes

    def publish(self, topic, payload, qos=1, retain=False):
        self.client.publish(topic, payload, qos, retain).wait_for_publish(20)

    def expect(self, *expected):
        got = [self.messages.get(timeout=20) for _ in expected]
        got = [(m.topic, m.payload.decode(), m.qos, m.retain) for m in got]
        assert sorted(got) == sorted(expected), (got, expected)

    def nothing(self):
        time.sleep(0.2)
        assert self.messages.empty(), self.messages.get().payload

    def leave(self):
        self.client.disconnect()
        self.event("disconnect")
        self.client.loop_stop()

    def die(self):
        """Closes the connection without a DISCONNECT."""
        self.client.loop_stop()
        self.client.socket().close()


def qualities():
    a, b = Client("a"), Client("b")
    for qos in (0, 1, 2):
        a.subscribe(f"q/{qos}", qos)
        for sent in (0, 1, 2):
            b.publish(f"q/{qos}", f"{sent}", sent)
            a.expect((f"q/{qos}", f"{sent}", min(sent, qos), False))
    big = "x" * 300_000
    b.publish("q/2", big, 2)
    a.expect(("q/2", big, 2, False))
    a.leave(), b.leave()


def wildcards():
    a, b = Client("a"), Client("b")
    a.subscribe("w/+/temperature", 1)
    a.subscribe("w/deep/#", 1)
    for topic in ("w/1/temperature", "w/1/pressure", "w/deep", "w/deep/a/b", "w/1/2/temperature"):
        b.publish(topic, "x")
    a.expect(*[(topic, "x", 1, False) for topic in ("w/1/temperature", "w/deep", "w/deep/a/b")])
    a.client.unsubscribe("w/deep/#")
    time.sleep(0.2)
    b.publish("w/deep", "y")
    a.nothing()
    a.leave(), b.leave()


def retained():
    a, b = Client("a"), Client("b")
    b.publish("r/x", "first", 1, True)
    b.publish("r/x", "second", 1, True)
    a.subscribe("r/#", 2)
    a.expect(("r/x", "second", 1, True))
    b.publish("r/x", "third", 1, True)
    a.expect(("r/x", "third", 1, False))
    b.publish("r/x", "", 1, True)
    a.expect(("r/x", "", 1, False))
    c = Client("c")
    c.subscribe("r/#", 1)
    c.nothing()
    a.leave(), b.leave(), c.leave()


def will():
    a = Client("a")
    a.subscribe("gone/#", 1)
    Client("dies", will=("gone/b", "died", 1, False)).die()
    a.expect(("gone/b", "died", 1, False))
    Client("leaves", will=("gone/b", "left", 1, False)).leave()
    a.nothing()
    a.leave()


def session():
    a, b = Client("kept", clean=False), Client("b")
    assert not a.present
    a.subscribe("s/#", 2)
    a.leave()
    for qos in (0, 1, 2):
        b.publish("s/x", f"{qos}", qos)
    a = Client("kept", clean=False)
    assert a.present
    a.expect(("s/x", "1", 1, False), ("s/x", "2", 2, False))
    a.leave()
    a = Client("kept", clean=True)
    assert not a.present
    b.publish("s/x", "none")
    a.nothing()
    a.leave(), b.leave()


def shared():
    members, b = [Client(f"m{n}") for n in range(3)], Client("b")
    for member in members:
        member.subscribe("$share/group/h/#", 1)
    for n in range(30):
        b.publish("h/x", f"{n}")
    time.sleep(0.3)
    assert [member.messages.qsize() for member in members] == [10, 10, 10]
    for client in [*members, b]:
        client.leave()


def takeover():
    a = Client("same")
    second = Client("same")
    code = a.event("disconnect")[1]
    assert not V5 or code.value == 0x8E, code
    a.client.loop_stop()
    second.leave()


def many():
    """Publishes more messages than fit into one in-flight window, in both directions."""
    a, b = Client("a"), Client("b")
    a.subscribe("many", 2)
    sent = [b.client.publish("many", f"{n}", 1 + n % 2) for n in range(900)]
    for info in sent:
        info.wait_for_publish(20)
    got = [int(a.messages.get(timeout=20).payload) for _ in range(900)]
    assert sorted(got) == list(range(900))
    a.leave(), b.leave()


for scenario in (qualities, wildcards, retained, will, session, shared, takeover, many):
    scenario()
    print("ok", scenario.__name__, flush=True)
