"""Another user who queries data and sends readings during an attack, and measures the response times."""

import http.client
import json
import threading
import time
from collections import Counter

import mqtt


class Victim(threading.Thread):
    """Sends one request at a time at a constant rate over a persistent connection from 127.0.0.1."""

    READS = [
        "/api/v1/machines?limit=5",
        "/api/v1/sensors?limit=5",
        "/api/v1/sensors/north%2Fpump%2Ft/readings?points=20",
        "/api/v1/overview",
        "/api/v1/anomalies?limit=5",
    ]

    def __init__(self, host, token, key, login=None, rate=6):
        super().__init__(daemon=True)
        self.host, self.token, self.key, self.login, self.rate = host, token, key, login, rate
        self.stopping = threading.Event()
        self.times = []
        self.began = None
        self.failures = Counter()
        self.sent = 0
        self.number = 0
        self.connection = None
        self.broker = None

    def run(self):
        """Alternates between queries, readings over HTTP and readings over MQTT."""
        step = 0
        due = time.monotonic()
        while not self.stopping.is_set():
            due = max(due + 1 / self.rate, time.monotonic() - 1)
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
                    self.read(self.READS[step % len(self.READS)])
            except (OSError, http.client.HTTPException) as error:
                self.failures[f"{kind}: {type(error).__name__}"] += 1
                self.connection = self.broker = None
            self.times.append((kind, time.monotonic() - began))
            self.began = None
            step += 1

    def request(self, method, path, body, headers):
        """Sends a request on the persistent connection."""
        if self.connection is None:
            address, port = self.host.http.rsplit(":", 1)
            self.connection = http.client.HTTPConnection(address, int(port), timeout=60)
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def read(self, path):
        """Sends a query."""
        status, _ = self.request("GET", path, None, {"Authorization": f"Bearer {self.token}"})
        if status != 200:
            self.failures[f"read: {status}"] += 1

    def send(self):
        """Sends a reading over HTTP."""
        self.number += 1
        body = json.dumps({"sensor_id": "north/pump/t", "values": self.number})
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        status, _ = self.request("POST", "/api/v1/ingest", body, headers)
        if status == 202:
            self.sent += 1
        else:
            self.failures[f"ingest: {status}"] += 1

    def publish(self):
        """Sends a reading over MQTT with QoS 1."""
        if self.broker is None:
            self.broker = mqtt.Connection(self.host.mqtt, "victim", clean=True, within=60, **self.login)
        self.number += 1
        body = json.dumps({"sensor_id": "north/pump/m", "values": self.number}).encode()
        self.broker.send(self.broker.publish("north/pump/m", body, 1, 1))
        if self.broker.receive(60) is None:
            raise TimeoutError("no PUBACK within 60 s")
        self.sent += 1

    def figures(self):
        """(p50, p99, maximum, number) in ms of all requests; a waiting request counts with its time so far."""
        began = self.began
        waiting = [time.monotonic() - began] if began is not None else []
        times = sorted([seconds for _, seconds in self.times] + waiting)
        if not times:
            return 0, float("inf"), float("inf"), 0
        at = lambda share: times[min(int(len(times) * share), len(times) - 1)] * 1000
        return at(0.5), at(0.99), times[-1] * 1000, len(times)
