"""The host under test: starts the binary in a temporary folder and reads the stored data.

Uses only the standard library of Python 3.10 or later, so that the counts share no code with the product.
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
"""Exit status of a script that cannot run here (same value as in automake)."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """The host did not behave as documented."""


def skip(why):
    """Ends the script because a requirement is missing."""
    print(f"SKIPPED: {why}", flush=True)
    sys.exit(SKIPPED)


def report(*words):
    """Prints a line with the time since the start."""
    print(f"[{time.monotonic() - _BEGAN:7.1f}s]", *words, flush=True)


_BEGAN = time.monotonic()


def table(heads, rows):
    """Prints a table with column heads."""
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
    """`WHEELTAPPER_BINARY` if set, otherwise the built binary of this checkout."""
    return os.environ.get("WHEELTAPPER_BINARY", str(Path(__file__).parents[2] / "target/release/wheeltapper"))


class Answer:
    """An HTTP answer: `status`, `headers` (lower case) and `text`."""

    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    def json(self):
        """The body as JSON; None if it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Host:
    """A host in a temporary folder. `data` may be elsewhere, such as on a mounted file system."""

    def __init__(self, binary, config="", data=None, environment=None, keep=False):
        self.binary = str(Path(binary).resolve())
        if not os.access(self.binary, os.X_OK):
            raise SystemExit(f"{self.binary} is not an executable; build it or specify --binary")
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

    def _cache_folder(self):
        """Folder of this binary's compiled components, kept between runs because compilation is slow."""
        stat = os.stat(self.binary)
        parent = Path(tempfile.gettempdir()) / f"wheeltapper-faults-cache-{os.getuid()}"
        return parent / f"{stat.st_size}-{stat.st_mtime_ns}"

    def _restore_cache(self):
        cache = self.data / "cache"
        if not cache.exists() and self._cache_folder().exists():
            shutil.copytree(self._cache_folder(), cache)

    def _save_cache(self):
        saved, cache = self._cache_folder(), self.data / "cache"
        if cache.exists() and not saved.exists():
            saved.parent.mkdir(exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=saved.parent))
            shutil.copytree(cache, fresh, dirs_exist_ok=True)
            try:
                fresh.rename(saved)
            except OSError:
                # Another script has created the folder.
                shutil.rmtree(fresh, True)

    def command(self, *arguments):
        """A command line with this host's configuration and data."""
        head = [self.binary, "--config", str(self.config), "--data", str(self.data), "--log", "info"]
        return [*head, *arguments]

    def start(self, within=300, check=True):
        """Starts the host and waits until it is ready. If it exits, returns False if `check` is off."""
        self._restore_cache()
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
                self._save_cache()
                return True
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None:
                status = self.process.returncode
                self.process = None
                if check:
                    raise Failure(f"the host exited with {status}:\n{self.tail()}")
                return False
            time.sleep(0.005)
        self.kill()
        raise Failure(f"the host did not start within {within} s:\n{self.tail()}")

    def alive(self):
        """Whether the process is running."""
        return self.process is not None and self.process.poll() is None

    def send_signal(self, number):
        """Sends a signal to the process."""
        self.process.send_signal(number)

    def kill(self):
        """Kills the process with SIGKILL."""
        self.http = self.mqtt = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, within=120):
        """Stops the process with SIGTERM; returns its exit status."""
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
        """The last lines of the log."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    def log_text(self, since=0):
        """The log from byte `since`, without colours."""
        with open(self.log, "rb") as log:
            log.seek(since)
            return re.sub(r"\x1b\[[0-9;]*m", "", log.read().decode(errors="replace"))

    def run(self, *arguments, within=300, check=True, text=True):
        """Runs a command of the binary and waits for it."""
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
        """Rows of a SELECT as dicts."""
        return [json.loads(line) for line in self.run("query", "sql", statement).stdout.splitlines()]

    def request(self, method, path, body=None, headers=None, within=30):
        """Sends a request on a new connection."""
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
        """Sends readings (a list or text) to the ingest route."""
        body = readings if isinstance(readings, (str, bytes)) else json.dumps(readings)
        return self.request(
            "POST", "/api/v1/ingest", body, {"Content-Type": "application/json", **(headers or {})}, within
        )

    def ready(self, within=10):
        """Status and text of `/ready`; status 0 without an answer."""
        try:
            answer = self.request("GET", "/ready", within=within)
            return answer.status, answer.text
        except (OSError, http.client.HTTPException, AttributeError) as error:
            return 0, repr(error)

    def metrics(self, within=10, headers=None):
        """All samples of `/metrics`, from name with labels to number."""
        text = self.request("GET", "/metrics", within=within, headers=headers).text
        samples = {}
        for line in text.splitlines():
            name, _, number = line.rpartition(" ")
            if name and not line.startswith("#"):
                samples[name] = float(number)
        return samples

    def metric(self, start):
        """Sum of the samples whose name starts with `start`."""
        return sum(number for name, number in self.metrics().items() if name.startswith(start))

    def memory(self):
        """Resident memory in MB: current and peak."""
        if not self.alive():
            return 0.0, 0.0
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        parts = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.M))
        return int(parts.get("VmRSS", 0)) / 1024, int(parts.get("VmHWM", 0)) / 1024

    def cpu(self):
        """Used CPU time in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_ready(self, within, headers=None):
        """Seconds until `/ready` answers 200; raises after `within`."""
        began = time.monotonic()
        last = None
        while time.monotonic() - began < within:
            if not self.alive():
                raise Failure(f"the host exited unexpectedly:\n{self.tail()}")
            last = self.ready()
            if last[0] == 200:
                return time.monotonic() - began
            time.sleep(0.1)
        raise Failure(f"the host was not ready within {within} s; /ready answered {last}")

    def wait_settled(self, within=120):
        """Waits until the line has processed the whole log; returns the remaining lag in bytes."""
        end = time.monotonic() + within
        lag = None
        while time.monotonic() < end:
            lag = self.metric("wheeltapper_line_lag_bytes")
            if lag == 0 and self.metric("wheeltapper_ingest_queue_bytes") == 0:
                return 0
            time.sleep(0.2)
        return lag


def wait_for(what, within, done, pause=0.05):
    """Waits until `done()` is true; returns its value."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        value = done()
        if value:
            return value
        time.sleep(pause)
    raise Failure(f"{what}: not reached within {within} s")


def folder_size(path):
    """Total size of the files below a folder; a file deleted meanwhile counts as 0."""
    total = 0
    for root, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                pass
    return total
