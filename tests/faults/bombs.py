#!/usr/bin/env python3
"""Attacks by strangers and by users, while another user does ordinary reads and sends readings.

Each case starts a host with access on, lets the other user work alone for a moment, then with the attack. Wanted: the other
user's p99 stays under a second and nothing of theirs fails; memory stays within its bound; the attack is refused, and does what
it was to do to nobody. Attackers come from 127.0.0.66, the other user from 127.0.0.1.

    tests/faults/bombs.py
    tests/faults/bombs.py --only graphql,json-values --seconds 5
"""

import argparse
import gzip
import hashlib
import hmac
import http.client
import json
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter

import host as hosts
import mqtt
from host import Failure, Host, say, table
from victim import Victim

SECRET = "a secret of sixteen bytes or more"
PASSWORD = "correct horse battery staple"
FROM = ("127.0.0.66", 0)
CONFIG = """
partitions = 2
[line]
checkpoint = "500ms"
tick = "1s"
[access]
mode = "on"
[[http.source]]
name = "gateway"
secret_env = "FAULTS_GATEWAY_SECRET"
"""
BROKER_USER = """
[[mqtt.broker.user]]
name = "plc"
password_env = "FAULTS_MQTT_PASSWORD"
"""


class Plant:
    """A host with access on, its users and keys."""

    def __init__(self, options, broker_user=True):
        config = CONFIG + (BROKER_USER if broker_user else "")
        environment = {"FAULTS_GATEWAY_SECRET": SECRET, "FAULTS_MQTT_PASSWORD": PASSWORD}
        self.options = options
        self.host = Host(options.binary, config, environment=environment, keep=options.keep)
        self.host.start()
        self.alice = self.user("alice", "operator")
        self.mallory = self.user("mallory", "viewer")
        self.key = self.api_key("ingest")
        self.south = self.api_key("south", "--site", "south")
        self.login = {"user": "plc", "password": PASSWORD} if broker_user else None
        self.post([{"sensor_id": "north/pump/t", "values": 1}], self.key)

    def user(self, name, role):
        """A user with a password of their own; gives a token."""
        told = self.host.run("user", "add", name, "--role", role).stdout
        first = re.search(r"(?:[A-Za-z0-9]{5}-){3}[A-Za-z0-9]{5}", told).group()
        token = self.sign_in(name, first).json()["token"]
        body = json.dumps({"old_password": first, "new_password": PASSWORD})
        answer = self.host.request("POST", "/api/v1/auth/password", body, self.headers(token))
        if answer.status != 200:
            raise Failure(f"no new password for {name}: {answer.status} {answer.text}")
        return answer.json()["token"]

    def sign_in(self, name, password):
        """Signs in from 127.0.0.1."""
        body = json.dumps({"user": name, "password": password})
        return self.host.request("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})

    def api_key(self, name, *more):
        """A key that may send readings."""
        return self.host.run("key", "add", name, "--scope", "ingest", *more).stdout.strip()

    @staticmethod
    def headers(token, kind="application/json"):
        """Of a request by somebody."""
        return {"Authorization": f"Bearer {token}", "Content-Type": kind}

    def post(self, readings, key, kind="application/json", query="", source=FROM, within=30, more=None):
        """Sends readings from an attacker's address; (status, text)."""
        body = readings if isinstance(readings, (str, bytes)) else json.dumps(readings)
        return self.ask("POST", f"/api/v1/ingest{query}", body, {**self.headers(key, kind), **(more or {})}, source, within)

    def ask(self, method, path, body, headers, source=FROM, within=30):
        """A request from an attacker's address; (status, text), status 0 when the connection breaks."""
        address, port = self.host.http.rsplit(":", 1)
        connection = http.client.HTTPConnection(address, int(port), timeout=within, source_address=source)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)
        finally:
            connection.close()

    def socket(self, source=FROM, within=20):
        """A bare connection to HTTP from an attacker's address."""
        host, port = self.host.http.rsplit(":", 1)
        return socket.create_connection((host, int(port)), within, source_address=source)

    def broker(self, client, source=FROM, clean=True, **login):
        """An MQTT connection from an attacker's address."""
        return mqtt.Connection(self.host.mqtt, client, clean=clean, source=source, **login)


class Attack:
    """What an attack did: `outcomes` of its requests, `faults` that it found, `notes`."""

    def __init__(self, plant, options):
        self.plant, self.options = plant, options
        self.outcomes, self.faults, self.notes = Counter(), [], []
        self.stopping = threading.Event()
        self.threads = []

    def repeat(self, act, threads=1, pause=0.0):
        """Does it again and again on some threads until the attack is over."""

        def run():
            while not self.stopping.is_set():
                try:
                    self.outcomes[act()] += 1
                except OSError as error:
                    self.outcomes[type(error).__name__] += 1
                    time.sleep(0.01)
                if pause:
                    self.stopping.wait(pause)

        for _ in range(threads):
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            self.threads.append(thread)

    def end(self):
        """Ends it."""
        self.stopping.set()
        end = time.monotonic() + 20
        for thread in self.threads:
            # An attacker who still waits for an answer is left alone.
            thread.join(max(end - time.monotonic(), 0))

    def want(self, true, what):
        """Notes a fault unless it is so."""
        if not true:
            self.faults.append(what)


def bomb(depth=27):
    """About 1 KB: fragments that each spread the next twice."""
    parts = [f"fragment f{number} on Query{{...f{number + 1} ...f{number + 1}}}" for number in range(depth)]
    return "{...f0}" + "".join(parts) + f"fragment f{depth} on Query{{__typename}}"


def graphql(attack):
    """Four at once send a query of 1 KB that stands for 134 million fields."""
    plant = attack.plant
    body = json.dumps({"query": bomb()})
    attack.notes.append(f"{len(body)} bytes a request")
    attack.repeat(lambda: plant.ask("POST", "/graphql", body, plant.headers(plant.mallory))[0], threads=4, pause=0.2)
    nested = json.dumps({"query": "{ machines(first: " + "[" * 1000 + "1" + "]" * 1000 + ") { nodes { asset } } }"})
    yield
    status, text = plant.ask("POST", "/graphql", nested, plant.headers(plant.mallory))
    attack.want(status in (200, 400, 413, 422), f"lists 1,000 deep are answered {status}")
    attack.want(status != 200 or "errors" in text, "lists 1,000 deep are no error")
    attack.want(not any(isinstance(code, int) and code >= 500 and code != 503 for code in attack.outcomes), "answers of 5xx")


def sensors_of(plant):
    """How many sensors the store knows."""
    return plant.host.sql("SELECT count(*) AS sensors FROM sensors")[0]["sensors"]


def json_values(shape):
    """Long lists of `values`, whose every element would become a sensor."""

    def attack_with(attack):
        plant = attack.plant
        if shape == "numbers":
            values = [1] * 300_000
        else:
            values = {f"a{number:x}": 1 for number in range(60_000)}
        count = Counter()

        def send():
            count["n"] += 1
            if count["n"] > 6:
                attack.stopping.wait(1)
                return "waited"
            message = {"sensor_id": f"south/m{count['n']}", "values": values}
            if shape == "objects":
                names = range(count["n"] * 12_000, (count["n"] + 1) * 12_000)
                message = [{"sensor_id": f"south/m/{name:x}", "values": {"a": 1, "b": 2, "c": 3}} for name in names]
            body = json.dumps(message, separators=(",", ":"))
            return plant.post(body, plant.south)[0]

        attack.repeat(send)
        yield
        found = sensors_of(plant)
        attack.notes.append(f"{found} sensors after it")
        attack.want(found < 50_000, f"six requests made {found} sensors")

    return attack_with


def csv_columns(attack):
    """A CSV with one row and 300,000 columns, each a sensor."""
    plant = attack.plant
    count = Counter()

    def send():
        count["n"] += 1
        if count["n"] > 4:
            attack.stopping.wait(1)
            return "waited"
        names = ",".join(f"south/c{count['n']}-{number // 100}/s{number}" for number in range(300_000))
        body = f"time,{names}\n2026-01-01T00:00:00Z{',1' * 300_000}\n"
        return plant.post(body, plant.south, "text/csv")[0]

    attack.repeat(send)
    yield
    found = sensors_of(plant)
    attack.notes.append(f"{found} sensors after it")
    attack.want(found < 50_000, f"four requests made {found} sensors")


def csv_rows(attack):
    """CSVs of just under the limit of a body, without end."""
    plant = attack.plant
    row = "south/m/s,2026-01-01T00:00:00Z,1\n"
    body = ("sensor_id,timestamp,value\n" + row * (15_000_000 // len(row))).encode()
    attack.repeat(lambda: plant.post(body, plant.south, "text/csv")[0], threads=2)
    yield


def names(attack):
    """New names of sensors in every request."""
    plant = attack.plant
    count = Counter()

    def send():
        count["n"] += 1
        readings = [{"sensor_id": f"south/n{count['n']}/s{number}", "values": 1} for number in range(500)]
        return plant.post(readings, plant.south)[0]

    attack.repeat(send, threads=2)
    yield
    attack.notes.append(f"{sensors_of(plant)} sensors after {count['n']} requests of 500 names")


def gzip_bomb(attack):
    """Bodies of 2 MB that unpack to 2 GB, by gzip."""
    plant = attack.plant
    part = gzip.compress(b" " * (64 << 20), 9)
    body = part * 32
    attack.notes.append(f"{len(body)} bytes that unpack to {32 * 64} MB")
    attack.repeat(
        lambda: plant.post(body, plant.south, more={"Content-Encoding": "gzip"})[0], threads=4
    )
    yield
    attack.want(not any(code == 202 for code in attack.outcomes), "one was taken")


def head_of(length, key=None, more=""):
    """Head of a POST to the ingest route."""
    sign = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST /api/v1/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{sign}{more}"
    return f"{head}Content-Length: {length}\r\n\r\n".encode()


def still_open(sockets):
    """How many of them the host has neither answered nor closed."""
    count = 0
    for one in sockets:
        one.setblocking(False)
        try:
            one.recv(1)
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def dripped(attack):
    """Bodies that come byte by byte."""
    plant, options = attack.plant, attack.options
    sockets = []
    for _ in range(50):
        one = plant.socket()
        one.sendall(head_of(1_000_000, plant.south) + b"[")
        sockets.append(one)
    began = time.monotonic()
    cut = Counter()

    def drip():
        for one in list(sockets):
            try:
                one.sendall(b" ")
            except OSError:
                cut["n"] += 1
                sockets.remove(one)
        attack.stopping.wait(0.5)
        return "round"

    attack.repeat(drip)
    yield
    while sockets and time.monotonic() - began < options.drip:
        time.sleep(1)
        drip()
    attack.end()
    attack.notes.append(f"{cut['n']} of 50 were cut within {time.monotonic() - began:.0f} s")
    attack.want(not sockets, f"{len(sockets)} of 50 dripped bodies are still taken after {options.drip:.0f} s")
    for one in sockets:
        one.close()


def unfinished(signed):
    """Sixty bodies of nearly 16 MB whose last bytes never come: by a key, or by nobody with a forged signature.

    The latter come from an address each, so that no limit of one address is what stops them.
    """

    def attack_with(attack):
        plant = attack.plant
        more = "" if not signed else f"X-Wheeltapper-Source: gateway\r\nX-Wheeltapper-Signature: sha256={'00' * 32}\r\n"
        key = None if signed else plant.south
        sockets = []
        count = Counter()

        def send():
            count["n"] += 1
            if count["n"] > 60:
                attack.stopping.wait(1)
                return "waited"
            address = f"127.0.1.{count['n']}" if signed else FROM[0]
            one = plant.socket((address, 0))
            sockets.append(one)
            one.sendall(head_of(16_000_000, key, more))
            chunk = b" " * (1 << 18)
            for _ in range(60):
                one.sendall(chunk)
            return "sent"

        # A key may send 64 MiB a second: four bodies.
        attack.repeat(send, threads=4, pause=0.2 if signed else 1)
        hosts.wait_for("60 bodies", 60, lambda: count["n"] > 60)
        yield
        attack.notes.append(f"{still_open(sockets)} of {len(sockets)} are still open")
        for one in sockets:
            one.close()

    return attack_with


def idle_connections(attack):
    """A thousand connections from one address that say nothing."""
    plant = attack.plant
    sockets = []
    for _ in range(1000):
        try:
            sockets.append(plant.socket(within=2))
        except OSError:
            attack.outcomes["refused"] += 1
    yield
    left = still_open(sockets)
    attack.notes.append(f"{left} of 1000 are open")
    attack.want(left < 1000, "there is no limit of connections of an address")
    for one in sockets:
        one.close()


def forged_signatures(attack):
    """Requests of nobody with a signature that is wrong, and bodies of 4 MB."""
    plant = attack.plant
    body = json.dumps([{"sensor_id": "north/pump/t", "values": 666}]).encode() + b" " * (4 << 20)
    wrong = hmac.new(b"guessed", body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Wheeltapper-Source": "gateway",
        "X-Wheeltapper-Signature": f"sha256={wrong}",
    }
    attack.repeat(lambda: plant.ask("POST", "/api/v1/ingest", body, headers)[0], threads=4)
    yield
    attack.want(attack.outcomes[202] == 0, f"{attack.outcomes[202]} were taken")
    rows = plant.host.sql("SELECT count(*) AS letters FROM dead_letters")
    attack.notes.append(f"{rows[0]['letters']} dead letters")


def _number(field, value):
    out = bytearray([field << 3])
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(field, value):
    raw = bytearray([field << 3 | 2])
    length = len(value)
    while length > 0x7F:
        raw.append(length & 0x7F | 0x80)
        length >>= 7
    raw.append(length)
    return bytes(raw) + value


def metric(name, alias, value):
    """A metric of Sparkplug B: a double."""
    out = _bytes(1, name.encode()) if name else b""
    return out + _number(2, alias) + (_number(4, 10) if name else b"") + bytes([13 << 3 | 1]) + struct.pack("<d", value)


def sparkplug(metrics, sequence=0):
    """A payload of Sparkplug B."""
    body = _number(1, int(time.time() * 1000)) + b"".join(_bytes(2, each) for each in metrics)
    return body + _number(3, sequence)


def sparkplug_over_http(attack):
    """A key of another site sends births and deaths of north's node."""
    plant = attack.plant
    kind = "application/vnd.sparkplug"

    def send(topic, payload, key):
        return plant.post(payload, key, kind, f"?topic={topic}")[0]

    north = plant.api_key("north", "--site", "north")
    first = send("spBv1.0/north/NBIRTH/edge", sparkplug([metric("temperature", 1, 20.0)]), north)
    attack.want(first == 202, f"north's own birth was answered {first}")
    attack.repeat(
        lambda: send("spBv1.0/north/NBIRTH/edge", sparkplug([metric("pressure", 1, 1.0)]), plant.south), pause=0.05
    )
    attack.repeat(lambda: send("spBv1.0/north/NDEATH/edge", sparkplug([metric("bdSeq", 9, 0.0)]), plant.south), pause=0.05)
    outcomes = Counter()
    for number in range(20):
        outcomes[send("spBv1.0/north/NDATA/edge", sparkplug([metric(None, 1, 30.0 + number)]), north)] += 1
        time.sleep(0.05)
    yield
    attack.want(outcomes[202] == 20, f"north's own data was answered {dict(outcomes)}")
    names_found = {row["name"] for row in plant.host.sql("SELECT name FROM sensors WHERE name LIKE 'north/edge%'")}
    attack.want(not any("pressure" in name for name in names_found), f"forged births made sensors: {names_found}")


def entered(plant, client, logins):
    """A connection with the first of these logins that the host takes; None when it takes none."""
    for login in logins:
        try:
            return plant.broker(client, **login)
        except mqtt.Refused:
            pass
    return None


def sparkplug_over_mqtt(attack):
    """An MQTT client of another site sends births and deaths of north's node."""
    plant = attack.plant
    logins = lambda key: [{"user": "device", "password": key}, plant.login]
    north = entered(plant, "north", logins(plant.api_key("north", "--site", "north")))
    answered = Counter()

    def send(connection, topic, payload):
        connection.send(connection.publish(topic, payload, 1, 1))
        found = connection.receive(10)
        answered[found is not None] += 1

    def forge():
        forger = entered(plant, "forger", logins(plant.south))
        if forger is None:
            return "refused"
        try:
            forger.send(forger.publish("spBv1.0/north/NBIRTH/edge", sparkplug([metric("pressure", 1, 1.0)]), 1, 1))
            forger.send(forger.publish("spBv1.0/north/NDEATH/edge", sparkplug([metric("bdSeq", 9, 0.0)]), 2, 1))
            forger.receive(2)
            forger.receive(2)
        finally:
            forger.close()
        return "sent"

    send(north, "spBv1.0/north/NBIRTH/edge", sparkplug([metric("temperature", 1, 20.0)]))
    attack.repeat(forge, pause=0.05)
    for number in range(20):
        send(north, "spBv1.0/north/NDATA/edge", sparkplug([metric(None, 1, 30.0 + number)]))
        time.sleep(0.05)
    yield
    north.close()
    rows = lambda: plant.host.sql(
        "SELECT name, sum(count) AS readings FROM sensors JOIN reading_chunks ON sensor = id "
        "WHERE name LIKE 'north/edge/%' GROUP BY name"
    )
    time.sleep(2)
    found = {row["name"]: row["readings"] for row in rows()}
    attack.want(found == {"north/edge/temperature": 21}, f"21 readings of north/edge/temperature are wanted, stored is {found}")


def events_over_mqtt(attack):
    """Strangers on the broker of a host with access on, and a user who forges events of the host."""
    plant = attack.plant
    refused = 0
    for number in range(5):
        try:
            connection = plant.broker(f"stranger-{number}")
            codes = connection.subscribe(["wheeltapper/events/#"])
            attack.notes.append(f"a stranger subscribed with {codes}")
            connection.close()
        except mqtt.Refused:
            refused += 1
    yield
    attack.want(refused == 5, f"{5 - refused} of 5 strangers were let in")
    listener = entered(plant, "listener", [plant.login or {}])
    forger = entered(plant, "device", [plant.login or {}])
    if listener is None or forger is None:
        return
    codes = listener.subscribe(["wheeltapper/events/#"])
    got = []
    try:
        forger.send(forger.publish("wheeltapper/events/alert/north/pump", b'{"title":"forged"}', 2, 1))
        attack.notes.append(f"SUBACK {codes}; the forged event was answered {forger.receive(5)}")
        found = listener.receive(3)
        while found is not None:
            got.append(found)
            found = listener.receive(0.5)
    except OSError as error:
        attack.notes.append(f"the forger was cut off: {error}")
    attack.want(not any(head & 0xF0 == 0x30 and b"forged" in body for head, body in got), "a forged alert was passed on")
    listener.close()
    forger.close(politely=False)


def logins_over_http(attack):
    """Wrong passwords for alice and admin without end, from another address than theirs."""
    plant = attack.plant
    count = Counter()

    def guess():
        count["n"] += 1
        body = json.dumps({"user": ["alice", "admin"][count["n"] % 2], "password": f"guess {count['n']}"})
        return plant.ask("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})[0]

    attack.repeat(guess, threads=8)
    # Also from ten addresses, so that the limit of one address is not what saves the day.
    for number in range(67, 77):
        source = (f"127.0.0.{number}", 0)
        body = json.dumps({"user": "alice", "password": "guess"})
        attack.repeat(
            lambda source=source, body=body: plant.ask(
                "POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"}, source
            )[0],
            pause=0.5,
        )
    yield
    answer = plant.sign_in("alice", PASSWORD)
    attack.want(answer.status == 200, f"alice herself, from her own address, is answered {answer.status}: {answer.text[:150]}")
    tried = attack.outcomes[401]
    attack.notes.append(f"{tried} guesses were checked")
    attack.want(attack.outcomes[200] == 0, "a guess was right")


def logins_over_mqtt(attack):
    """Wrong passwords in CONNECT without end."""
    plant = attack.plant
    count = Counter()

    def guess():
        count["n"] += 1
        try:
            plant.broker(f"guess-{count['n']}", user="plc", password=f"guess {count['n']}").close()
            return "let in"
        except mqtt.Refused as error:
            return f"CONNACK {error.code}"

    began = time.monotonic()
    attack.repeat(guess, threads=4)
    yield
    seconds = time.monotonic() - began
    tried = attack.outcomes["CONNACK 4"] + attack.outcomes["CONNACK 5"]
    attack.notes.append(f"{tried} guesses were answered in {seconds:.0f} s")
    attack.want(attack.outcomes["let in"] == 0, "a guess was let in")
    attack.want(tried < 20 * seconds + 100, f"{tried / seconds:.0f} guesses a second are answered: nothing slows them down")


CASES = {
    "graphql": graphql,
    "json-values": json_values("numbers"),
    "json-names": json_values("names"),
    "json-objects": json_values("objects"),
    "csv-columns": csv_columns,
    "csv-rows": csv_rows,
    "new-names": names,
    "gzip": gzip_bomb,
    "dripped": dripped,
    "unfinished": unfinished(False),
    "unfinished-forged": unfinished(True),
    "idle": idle_connections,
    "forged-signatures": forged_signatures,
    "sparkplug-http": sparkplug_over_http,
    "sparkplug-mqtt": sparkplug_over_mqtt,
    "events-mqtt": events_over_mqtt,
    "strangers-mqtt": events_over_mqtt,
    "logins-http": logins_over_http,
    "logins-mqtt": logins_over_mqtt,
}


WITHOUT_BROKER_USER = {"strangers-mqtt"}
"""Cases whose broker has no users of its own."""


def run(name, options):
    """One case: (faults, notes, figures before, figures during, memory)."""
    plant = Plant(options, name not in WITHOUT_BROKER_USER)
    victim = Victim(plant.host, plant.alice, plant.key, plant.login)
    victim.start()
    time.sleep(options.alone)
    before, memory = victim.figures(), plant.host.memory()[0]
    wrong = Counter(victim.wrong)
    victim.times.clear()
    attack = Attack(plant, options)
    steps = CASES[name](attack)
    next(steps)
    time.sleep(options.seconds)
    during = victim.figures()
    attack.end()
    peak = plant.host.memory()[1]
    try:
        for _ in steps:
            pass
        after(plant, attack)
    except (OSError, http.client.HTTPException, Failure) as error:
        attack.faults.append(f"{type(error).__name__}: {str(error)[:300]}")
    victim.stopping.set()
    victim.join(70)
    attack.notes.append(f"outcomes {dict(attack.outcomes)}")
    attack.want(plant.host.alive(), "the host ended by itself")
    attack.want(during[1] < options.p99, f"p99 of the other user is {during[1]:.0f} ms")
    attack.want(not victim.wrong - wrong, f"the other user's requests failed: {dict(victim.wrong - wrong)}")
    attack.want(peak - memory < options.growth, f"memory grew by {peak - memory:.0f} MB")
    plant.host.kill()
    return attack.faults, attack.notes, before, during, (memory, peak)


def after(plant, attack):
    """The attack is over: the line has to go on, which a reading shows that is stored soon."""
    before = plant.host.metrics(headers=plant.headers(plant.alice))
    stored = lambda samples: sum(value for name, value in samples.items() if name.startswith("wheeltapper_readings_stored"))
    plant.post([{"sensor_id": "north/after/t", "values": 1}], plant.key, source=("127.0.0.1", 0))
    began = time.monotonic()
    hosts.wait_for(
        "that the line goes on after the attack",
        attack.options.settle,
        lambda: plant.host.sql("SELECT 1 AS yes FROM reading_chunks, sensors WHERE id = sensor AND name = 'north/after/t'"),
        0.5,
    )
    attack.notes.append(f"the line is through after {time.monotonic() - began:.1f} s, stored before {stored(before):.0f}")
    status, text = plant.host.ready()
    attack.want(status == 200, f"/ready says {status}: {text[:200]}")


def main():
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--only", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--seconds", type=float, default=20, help="of each attack (default: 20)")
    parser.add_argument("--alone", type=float, default=3, help="seconds without attack, to compare")
    parser.add_argument("--p99", type=float, default=1000, help="ms that the other user's p99 may be")
    parser.add_argument("--growth", type=float, default=400, help="MB by which memory may grow")
    parser.add_argument("--drip", type=float, default=90, help="seconds within which dripped bodies have to be cut")
    parser.add_argument("--settle", type=float, default=30, help="seconds after which the line has to be through")
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    options = parser.parse_args()
    rows, failed = [], False
    for name in options.only.split(",") if options.only else CASES:
        say(name)
        try:
            faults, notes, before, during, memory = run(name, options)
        except Failure as error:
            faults, notes, before, during, memory = [str(error)], [], (0, 0, 0, 0), (0, 0, 0, 0), (0, 0)
        failed = failed or bool(faults)
        for note in notes:
            say(f"  {note}")
        for fault in faults:
            say(f"  WRONG: {fault}")
        show = lambda figures: f"{figures[0]:.0f}/{figures[1]:.0f}/{figures[2]:.0f}"
        rows.append(
            [name, "FAILED" if faults else "ok", show(before), show(during), during[3], f"{memory[0]:.0f} -> {memory[1]:.0f}"]
            + ["; ".join(fault.splitlines()[0] for fault in faults)]
        )
    print()
    table(["attack", "result", "alone p50/p99/max ms", "attacked", "requests", "memory MB", "what is wrong"], rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
