"""A host with access on, its users and keys, and an attack on it."""

import http.client
import json
import re
import socket
import threading
import time
from collections import Counter

import mqtt
from host import Failure, Host

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
