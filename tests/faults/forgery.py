"""Impersonation attacks: forged signatures, births, deaths and events, and password guessing.

Each attack is a generator over an `Attack`: it starts the attack, yields while it runs, then checks the results.
"""

import hashlib
import hmac
import json
import struct
import time
from collections import Counter

import mqtt
from secured_host import PASSWORD


def forged_signatures(attack):
    """Unauthenticated requests with a wrong signature and bodies of 4 MB."""
    target = attack.target
    body = json.dumps([{"sensor_id": "north/pump/t", "values": 666}]).encode() + b" " * (4 << 20)
    signature = hmac.new(b"guessed", body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Wheeltapper-Source": "gateway",
        "X-Wheeltapper-Signature": f"sha256={signature}",
    }
    attack.repeat(lambda: target.send_request("POST", "/api/v1/ingest", body, headers)[0], threads=4)
    yield
    attack.check(attack.outcomes[202] == 0, f"{attack.outcomes[202]} were accepted")
    rows = target.host.sql("SELECT count(*) AS count FROM dead_letters")
    attack.notes.append(f"{rows[0]['count']} dead letters")


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
    """A Sparkplug B metric of type double."""
    out = _bytes(1, name.encode()) if name else b""
    return out + _number(2, alias) + (_number(4, 10) if name else b"") + bytes([13 << 3 | 1]) + struct.pack("<d", value)


def sparkplug(metrics, sequence=0):
    """A Sparkplug B payload."""
    body = _number(1, int(time.time() * 1000)) + b"".join(_bytes(2, each) for each in metrics)
    return body + _number(3, sequence)


def sparkplug_over_http(attack):
    """A key of another site sends births and deaths of a node of site north."""
    target = attack.target
    content_type = "application/vnd.sparkplug"

    def send(topic, payload, key):
        return target.post(payload, key, content_type, f"?topic={topic}")[0]

    north = target.api_key("north", "--site", "north")
    first = send("spBv1.0/north/NBIRTH/edge", sparkplug([metric("temperature", 1, 20.0)]), north)
    attack.check(first == 202, f"the birth with a key of site north was answered {first}")
    attack.repeat(
        lambda: send("spBv1.0/north/NBIRTH/edge", sparkplug([metric("pressure", 1, 1.0)]), target.south), pause=0.05
    )
    attack.repeat(
        lambda: send("spBv1.0/north/NDEATH/edge", sparkplug([metric("bdSeq", 9, 0.0)]), target.south), pause=0.05
    )
    outcomes = Counter()
    for number in range(20):
        outcomes[send("spBv1.0/north/NDATA/edge", sparkplug([metric(None, 1, 30.0 + number)]), north)] += 1
        time.sleep(0.05)
    yield
    attack.check(outcomes[202] == 20, f"data with the key of site north was answered {dict(outcomes)}")
    names_found = {row["name"] for row in target.host.sql("SELECT name FROM sensors WHERE name LIKE 'north/edge%'")}
    attack.check(not any("pressure" in name for name in names_found), f"forged births created sensors: {names_found}")


def connect_any(target, client, logins):
    """Connects with the first login that the host accepts; None if it accepts none."""
    for login in logins:
        try:
            return target.broker(client, **login)
        except mqtt.ConnectRejected:
            pass
    return None


def sparkplug_over_mqtt(attack):
    """An MQTT client of another site sends births and deaths of a node of site north."""
    target = attack.target
    logins = lambda key: [{"user": "device", "password": key}, target.login]
    north = connect_any(target, "north", logins(target.api_key("north", "--site", "north")))
    answered = Counter()

    def send(connection, topic, payload):
        connection.send(connection.publish(topic, payload, 1, 1))
        found = connection.receive(10)
        answered[found is not None] += 1

    def forge():
        forger = connect_any(target, "forger", logins(target.south))
        if forger is None:
            return "rejected"
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
    rows = lambda: target.host.sql(
        "SELECT name, sum(count) AS readings FROM sensors JOIN reading_chunks ON sensor = id "
        "WHERE name LIKE 'north/edge/%' GROUP BY name"
    )
    time.sleep(2)
    found = {row["name"]: row["readings"] for row in rows()}
    expected = {"north/edge/temperature": 21}
    attack.check(found == expected, f"expected readings {expected}, stored {found}")


def events_over_mqtt(attack):
    """Anonymous clients at the broker of a host with access on, and a user who forges events of the host."""
    target = attack.target
    rejected = 0
    for number in range(5):
        try:
            connection = target.broker(f"anonymous-{number}")
            codes = connection.subscribe(["wheeltapper/events/#"])
            attack.notes.append(f"an anonymous client subscribed with {codes}")
            connection.close()
        except mqtt.ConnectRejected:
            rejected += 1
    yield
    attack.check(rejected == 5, f"{5 - rejected} of 5 anonymous clients were accepted")
    listener = connect_any(target, "listener", [target.login or {}])
    forger = connect_any(target, "device", [target.login or {}])
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
        attack.notes.append(f"the forger was disconnected: {error}")
    forwarded = any(head & 0xF0 == 0x30 and b"forged" in body for head, body in got)
    attack.check(not forwarded, "a forged alert was forwarded")
    listener.close()
    forger.close(send_disconnect=False)


def logins_over_http(attack):
    """Continuous wrong passwords for alice and admin from an attacker's address."""
    target = attack.target
    count = Counter()

    def guess():
        count["n"] += 1
        body = json.dumps({"user": ["alice", "admin"][count["n"] % 2], "password": f"guess {count['n']}"})
        return target.send_request("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})[0]

    attack.repeat(guess, threads=8)
    # Also from ten addresses, so that the limit per address alone does not stop the attack.
    for number in range(67, 77):
        source = (f"127.0.0.{number}", 0)
        body = json.dumps({"user": "alice", "password": "guess"})
        attack.repeat(
            lambda source=source, body=body: target.send_request(
                "POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"}, source
            )[0],
            pause=0.5,
        )
    yield
    answer = target.sign_in("alice", PASSWORD)
    attack.check(answer.status == 200, f"alice from her own address was answered {answer.status}: {answer.text[:150]}")
    guesses = attack.outcomes[401]
    attack.notes.append(f"{guesses} guesses were checked")
    attack.check(attack.outcomes[200] == 0, "a guess was accepted")


def logins_over_mqtt(attack):
    """Continuous wrong passwords in CONNECT."""
    target = attack.target
    count = Counter()

    def guess():
        count["n"] += 1
        try:
            target.broker(f"guess-{count['n']}", user="plc", password=f"guess {count['n']}").close()
            return "accepted"
        except mqtt.ConnectRejected as error:
            return f"CONNACK {error.code}"

    began = time.monotonic()
    attack.repeat(guess, threads=4)
    yield
    seconds = time.monotonic() - began
    guesses = attack.outcomes["CONNACK 4"] + attack.outcomes["CONNACK 5"]
    attack.notes.append(f"{guesses} guesses were answered in {seconds:.0f} s")
    attack.check(attack.outcomes["accepted"] == 0, "a guess was accepted")
    attack.check(guesses < 20 * seconds + 100, f"{guesses / seconds:.0f} guesses/s were answered: no rate limit")
