"""A host with access control on, its users and keys, and an attack on it."""

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
ATTACKER_ADDRESS = ("127.0.0.66", 0)
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


class SecuredHost:
    """A host with access control on, its users and keys."""

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
        """Adds a user and sets the password; returns a token."""
        output = self.host.run("user", "add", name, "--role", role).stdout
        one_time_password = re.search(r"(?:[A-Za-z0-9]{5}-){3}[A-Za-z0-9]{5}", output).group()
        token = self.sign_in(name, one_time_password).json()["token"]
        body = json.dumps({"old_password": one_time_password, "new_password": PASSWORD})
        answer = self.host.request("POST", "/api/v1/auth/password", body, self.headers(token))
        if answer.status != 200:
            raise Failure(f"the password of {name} was not changed: {answer.status} {answer.text}")
        return answer.json()["token"]

    def sign_in(self, name, password):
        """Signs in from 127.0.0.1."""
        body = json.dumps({"user": name, "password": password})
        return self.host.request("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})

    def api_key(self, name, *more):
        """Creates an API key with scope ingest."""
        return self.host.run("key", "add", name, "--scope", "ingest", *more).stdout.strip()

    @staticmethod
    def headers(token, kind="application/json"):
        """Headers of an authenticated request."""
        return {"Authorization": f"Bearer {token}", "Content-Type": kind}

    def post(self, readings, key, kind="application/json", query="", source=ATTACKER_ADDRESS, within=30, more=None):
        """Sends readings from the attacker's address; returns (status, text)."""
        body = readings if isinstance(readings, (str, bytes)) else json.dumps(readings)
        headers = {**self.headers(key, kind), **(more or {})}
        return self.send_request("POST", f"/api/v1/ingest{query}", body, headers, source, within)

    def send_request(self, method, path, body, headers, source=ATTACKER_ADDRESS, within=30):
        """Sends a request from the attacker's address; returns (status, text), status 0 if the connection breaks."""
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

    def socket(self, source=ATTACKER_ADDRESS, within=20):
        """A TCP connection to the HTTP port from the attacker's address."""
        host, port = self.host.http.rsplit(":", 1)
        return socket.create_connection((host, int(port)), within, source_address=source)

    def broker(self, client, source=ATTACKER_ADDRESS, clean=True, **login):
        """An MQTT connection from the attacker's address."""
        return mqtt.Connection(self.host.mqtt, client, clean=clean, source=source, **login)


class Attack:
    """Results of an attack: `outcomes` of its requests, `faults` found, `notes`."""

    def __init__(self, target, options):
        self.target, self.options = target, options
        self.outcomes, self.faults, self.notes = Counter(), [], []
        self.stopping = threading.Event()
        self.threads = []

    def repeat(self, action, threads=1, pause=0.0):
        """Repeats an action on some threads until the attack ends."""

        def run():
            while not self.stopping.is_set():
                try:
                    self.outcomes[action()] += 1
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
        """Stops the threads."""
        self.stopping.set()
        end = time.monotonic() + 20
        for thread in self.threads:
            # Threads that still wait for an answer are not joined.
            thread.join(max(end - time.monotonic(), 0))

    def check(self, condition, what):
        """Records a fault if the condition is false."""
        if not condition:
            self.faults.append(what)
