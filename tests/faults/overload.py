"""Attacks that want to wear the host out: by queries, bodies, names and connections.

Each is a generator over an `Attack`: it starts, yields while the attack goes on, then says what is wanted.
"""

import gzip
import json
import time
from collections import Counter

import host as hosts
from plant import FROM


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
