"""The host under test: starts the binary in a folder of its own, and reads what it stored.

Only the standard library of Python 3.10 or later is used, so that what the scripts count shares no code with the product.
"""

import atexit
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SKIPPED = 77
"""Exit status of a script that cannot run here (as automake has it)."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """The host did not do what it promises."""


def skip(why):
    """Ends the script: what it needs is not here."""
    print(f"SKIPPED: {why}", flush=True)
    sys.exit(SKIPPED)


def say(*words):
    """Prints a line with the seconds since the start."""
    print(f"[{time.monotonic() - _BEGAN:7.1f}s]", *words, flush=True)


_BEGAN = time.monotonic()


def table(heads, rows):
    """Prints rows below their heads."""
    cells = [[str(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    sys.stdout.flush()


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def default_binary():
    """The built binary of this checkout, or `WHEELTAPPER_BINARY`."""
    return os.environ.get("WHEELTAPPER_BINARY", str(Path(__file__).parents[2] / "target/release/wheeltapper"))


class Answer:
    """What HTTP answered: `status`, `headers` (lower case) and `text`."""

    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    def json(self):
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Host:
    """A host in a folder of its own. `data` may lie elsewhere, such as on a mounted file system."""

    def __init__(self, binary, config="", data=None, environment=None, keep=False):
        self.binary = str(Path(binary).resolve())
        if not os.access(self.binary, os.X_OK):
            raise SystemExit(f"{self.binary} is no program; build it, or name one with --binary")
        self.folder = Path(tempfile.mkdtemp(prefix="wheeltapper-faults-"))
        self.data = Path(data) if data else self.folder / "data"
        self.environment = {**os.environ, **(environment or {})}
        self.config = self.folder / "wheeltapper.toml"
        self.config.write_text(config)
        self.log = self.folder / "host.log"
        self.process = None
        self.http = self.mqtt = None
        self.started = 0
        if not keep:
            atexit.register(shutil.rmtree, self.folder, True)
        atexit.register(self.kill)

    def _compiled(self):
        """Where compiled components of this binary are kept between runs: compiling takes long on a busy machine."""
        seen = os.stat(self.binary)
        return Path(tempfile.gettempdir()) / f"wheeltapper-faults-cache-{os.getuid()}" / f"{seen.st_size}-{seen.st_mtime_ns}"

    def _put_compiled(self):
        cache = self.data / "cache"
        if not cache.exists() and self._compiled().exists():
            shutil.copytree(self._compiled(), cache)

    def _keep_compiled(self):
        kept, cache = self._compiled(), self.data / "cache"
        if cache.exists() and not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=kept.parent))
            shutil.copytree(cache, fresh, dirs_exist_ok=True)
            try:
                fresh.rename(kept)
            except OSError:
                # Another script was faster.
                shutil.rmtree(fresh, True)

    def command(self, *arguments):
        """The command line with this host's configuration and data."""
        head = [self.binary, "--config", str(self.config), "--data", str(self.data), "--log", "info"]
        return [*head, *arguments]

    def start(self, within=300, check=True):
        """Starts it and waits until it is up; gives False when it ends instead and `check` is off."""
        self._put_compiled()
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        run = ["run", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-file", str(ready)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(*run),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=self.environment,
                preexec_fn=_die_with_parent,
            )
        self.started += 1
        end = time.monotonic() + within
        while time.monotonic() < end:
            try:
                addresses = json.loads(ready.read_text())
                self.http, self.mqtt = addresses["http"], addresses.get("mqtt")
                self._keep_compiled()
                return True
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None:
                status = self.process.returncode
                self.process = None
                if check:
                    raise Failure(f"the host ended with {status}:\n{self.tail()}")
                return False
            time.sleep(0.005)
        self.kill()
        raise Failure(f"the host did not come up within {within} s:\n{self.tail()}")

    def alive(self):
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def send_signal(self, number):
        """Sends a signal to it."""
        self.process.send_signal(number)

    def kill(self):
        """kill -9."""
        self.http = self.mqtt = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, within=120):
        """Stops it in order; gives its exit status."""
        process, self.process = self.process, None
        self.http = self.mqtt = None
        process.terminate()
        try:
            return process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failure(f"the host did not stop within {within} s:\n{self.tail()}") from None

    def tail(self, lines=15):
        """The end of its log."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    def log_text(self, since=0):
        """Its log from byte `since` on, without colours."""
        with open(self.log, "rb") as log:
            log.seek(since)
            return re.sub(r"\x1b\[[0-9;]*m", "", log.read().decode(errors="replace"))

    def run(self, *arguments, within=300, check=True, text=True):
        """Runs a command of the binary to its end."""
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=text,
            timeout=within,
            env=self.environment,
            check=False,
        )
        if check and done.returncode != 0:
            raise Failure(f"{' '.join(arguments)} failed with {done.returncode}:\n{done.stderr}")
        return done

    def sql(self, statement):
        """Rows of a SELECT, as dicts."""
        return [json.loads(line) for line in self.run("query", "sql", statement).stdout.splitlines()]

    def request(self, method, path, body=None, headers=None, within=30):
        """One request on a connection of its own."""
        host, port = self.http.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=within)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)
        finally:
            connection.close()

    def post(self, readings, headers=None, within=30):
        """Sends readings (a list, or text) to the ingest route."""
        body = readings if isinstance(readings, (str, bytes)) else json.dumps(readings)
        return self.request(
            "POST", "/api/v1/ingest", body, {"Content-Type": "application/json", **(headers or {})}, within
        )

    def ready(self, within=10):
        """Status and text of `/ready`; 0 when it does not answer."""
        try:
            answer = self.request("GET", "/ready", within=within)
            return answer.status, answer.text
        except (OSError, http.client.HTTPException, AttributeError) as error:
            return 0, repr(error)

    def metrics(self, within=10, headers=None):
        """All samples of `/metrics`: name with labels to number."""
        text = self.request("GET", "/metrics", within=within, headers=headers).text
        samples = {}
        for line in text.splitlines():
            name, _, number = line.rpartition(" ")
            if name and not line.startswith("#"):
                samples[name] = float(number)
        return samples

    def metric(self, start):
        """The sum of the samples whose name starts so."""
        return sum(number for name, number in self.metrics().items() if name.startswith(start))

    def memory(self):
        """Resident memory in MB, now and at its highest."""
        if not self.alive():
            return 0.0, 0.0
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        parts = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.M))
        return int(parts.get("VmRSS", 0)) / 1024, int(parts.get("VmHWM", 0)) / 1024

    def cpu(self):
        """Seconds of CPU time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_ready(self, within, headers=None):
        """Seconds until `/ready` answers 200; raises after `within`."""
        began = time.monotonic()
        last = None
        while time.monotonic() - began < within:
            if not self.alive():
                raise Failure(f"the host ended by itself:\n{self.tail()}")
            last = self.ready()
            if last[0] == 200:
                return time.monotonic() - began
            time.sleep(0.1)
        raise Failure(f"the host was not ready again within {within} s; /ready says {last}")

    def wait_settled(self, within=120):
        """Waits until the line has gone through all of the log; gives the lag in bytes that is left."""
        end = time.monotonic() + within
        lag = None
        while time.monotonic() < end:
            lag = self.metric("wheeltapper_line_lag_bytes")
            if lag == 0 and self.metric("wheeltapper_ingest_queue_bytes") == 0:
                return 0
            time.sleep(0.2)
        return lag


def wait_for(what, within, done, pause=0.05):
    """Waits until `done()` is true."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        value = done()
        if value:
            return value
        time.sleep(pause)
    raise Failure(f"{what} did not happen within {within} s")


def folder_size(path):
    """Bytes of the files below a folder; those that go away meanwhile count as none."""
    total = 0
    for root, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                pass
    return total
