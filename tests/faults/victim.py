"""Another user: does ordinary reads and sends readings while somebody attacks, and measures how long each takes."""

import http.client
import json
import threading
import time
from collections import Counter

import mqtt


class Victim(threading.Thread):
    """One thread, one request after the other at an even pace, over a kept connection from 127.0.0.1."""

    READS = [
        "/api/v1/machines?limit=5",
        "/api/v1/sensors?limit=5",
        "/api/v1/sensors/north%2Fpump%2Ft/readings?points=20",
        "/api/v1/overview",
        "/api/v1/anomalies?limit=5",
    ]

    def __init__(self, host, token, key, login=None, a_second=6):
        super().__init__(daemon=True)
        self.host, self.token, self.key, self.login, self.a_second = host, token, key, login, a_second
        self.stopping = threading.Event()
        self.times = []
        self.began = None
        self.wrong = Counter()
        self.sent = 0
        self.number = 0
        self.connection = None
        self.broker = None

    def run(self):
        """Reads, sends over HTTP and over MQTT in turn."""
        step = 0
        due = time.monotonic()
        while not self.stopping.is_set():
            due = max(due + 1 / self.a_second, time.monotonic() - 1)
            time.sleep(max(due - time.monotonic(), 0))
            self.began = began = time.monotonic()
            kind = "read"
            try:
                if step % 3 == 2 and self.login and step % 2:
                    kind = "mqtt"
                    self.publish()
                elif step % 3 == 2:
                    kind = "ingest"
                    self.send()
                else:
                    self.ask(self.READS[step % len(self.READS)])
            except (OSError, http.client.HTTPException) as error:
                self.wrong[f"{kind}: {type(error).__name__}"] += 1
                self.connection = self.broker = None
            self.times.append((kind, time.monotonic() - began))
            self.began = None
            step += 1

    def request(self, method, path, body, headers):
        """One request on the kept connection."""
        if self.connection is None:
            address, port = self.host.http.rsplit(":", 1)
            self.connection = http.client.HTTPConnection(address, int(port), timeout=60)
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def ask(self, path):
        """A read."""
        status, _ = self.request("GET", path, None, {"Authorization": f"Bearer {self.token}"})
        if status != 200:
            self.wrong[f"read: {status}"] += 1

    def send(self):
        """A reading by HTTP."""
        self.number += 1
        body = json.dumps({"sensor_id": "north/pump/t", "values": self.number})
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        status, _ = self.request("POST", "/api/v1/ingest", body, headers)
        if status == 202:
            self.sent += 1
        else:
            self.wrong[f"ingest: {status}"] += 1

    def publish(self):
        """A reading by MQTT with QoS 1."""
        if self.broker is None:
            self.broker = mqtt.Connection(self.host.mqtt, "victim", clean=True, within=60, **self.login)
        self.number += 1
        body = json.dumps({"sensor_id": "north/pump/m", "values": self.number}).encode()
        self.broker.send(self.broker.publish("north/pump/m", body, 1, 1))
        if self.broker.receive(60) is None:
            raise TimeoutError("no PUBACK within 60 s")
        self.sent += 1

    def figures(self):
        """(p50, p99, slowest, number) in ms of all kinds together; a request that still waits counts as it stands."""
        began = self.began
        waiting = [time.monotonic() - began] if began is not None else []
        times = sorted([seconds for _, seconds in self.times] + waiting)
        if not times:
            return 0, float("inf"), float("inf"), 0
        at = lambda share: times[min(int(len(times) * share), len(times) - 1)] * 1000
        return at(0.5), at(0.99), times[-1] * 1000, len(times)
