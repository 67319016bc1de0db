"""Attacks that want to be taken for somebody else: forged signatures, births, deaths and events, and guessed passwords.

Each is a generator over an `Attack`: it starts, yields while the attack goes on, then says what is wanted.
"""

import hashlib
import hmac
import json
import struct
import time
from collections import Counter

import mqtt
from plant import PASSWORD


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
