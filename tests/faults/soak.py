#!/usr/bin/env python3
"""Steady load for some minutes with new sensor names: memory, WAL, store and log must stay within their limits.

Every ten seconds, the script writes a sample to a CSV file: rates, resident memory, sizes of WAL, store, log and other
files, lag, and the metrics named with --metrics. The sizes are compared with limits; the defaults are those of README.

    tests/faults/soak.py --minutes 30 --rate 50000
"""

import argparse
import csv
import http.client
import json
import sys
import threading
import time

import host as hosts
from host import Host, folder_size, report, table
from ledger import dead_letters

MB = 1 << 20


class Sender(threading.Thread):
    """Posts CSV bodies with readings of `sensors` names and of names that appear over time."""

    def __init__(self, number, host, options):
        super().__init__(daemon=True)
        self.number, self.host, self.options = number, host, options
        self.accepted = self.rejected = self.errors = 0
        self.rejections = {}
        self.names = 0
        self.stopping = threading.Event()

    def run(self):
        """Sends its share of the rate."""
        share = self.options.rate / self.options.senders
        per_body = max(int(share / self.options.bodies), 1)
        began = time.monotonic()
        sent = 0
        connection = None
        while not self.stopping.is_set():
            ahead = sent / share - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(min(ahead, 0.2))
                continue
            if ahead < -2:
                # A backlog is skipped, not sent in addition.
                began = time.monotonic() - sent / share
            body, count = self.body(per_body, time.monotonic() - began)
            sent += count
            try:
                if connection is None:
                    address, port = self.host.http.rsplit(":", 1)
                    connection = http.client.HTTPConnection(address, int(port), timeout=60)
                connection.request("POST", "/api/v1/ingest", body, {"Content-Type": "text/csv"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                self.errors += 1
                connection = None
                continue
            if answer.status == 202:
                receipt = json.loads(text)
                self.accepted += receipt["accepted"]
                self.rejected += receipt["rejected"]
            else:
                self.rejections[answer.status] = self.rejections.get(answer.status, 0) + 1
                time.sleep(min(float(answer.getheader("Retry-After") or 1), 1))

    def body(self, count, elapsed):
        """A CSV body of about `count` readings of this sender's sensors, and the number of readings."""
        options = self.options
        base = options.sensors // options.senders
        fresh = int(elapsed * options.new_names / 60 / options.senders)
        self.names = base + fresh
        now = time.time_ns()
        lines = ["sensor_id,timestamp,value"]
        # The newest names get one reading each; the other readings are divided among the initial names.
        first_new = base + max(fresh - 50, 0)
        new_sensors = list(range(first_new, base + fresh))
        repeats = max((count - len(new_sensors)) // base, 1)
        for step in range(repeats):
            stamp = now - (repeats - 1 - step) * 1_000_000
            for sensor in range(base):
                value = 20 + (sensor * 7 + step * 13) % 100 / 10
                lines.append(f"soak/{self.number}-{sensor // 50}/s{sensor},{stamp},{value}")
        for sensor in new_sensors:
            lines.append(f"soak/{self.number}-{sensor // 50}/s{sensor},{now},21.5")
        return "\n".join(lines).encode(), len(lines) - 1


def sample(host, senders, began, metric_names):
    """One row of the CSV file."""
    data = host.data
    size = lambda path: path.stat().st_size / MB if path.exists() else 0.0
    wal = size(data / "wheeltapper.db-wal")
    store = size(data / "wheeltapper.db")
    log = folder_size(data / "log") / MB
    now, peak = host.memory()
    metrics = host.metrics(within=30)
    total = lambda start: sum(value for name, value in metrics.items() if name.startswith(start))
    return {
        "seconds": round(time.monotonic() - began, 1),
        "accepted": sum(sender.accepted for sender in senders),
        "rejected": sum(sender.rejected for sender in senders),
        "rejected requests": sum(sum(sender.rejections.values()) for sender in senders),
        "names": sum(sender.names for sender in senders),
        "rss": round(now, 1),
        "rss peak": round(peak, 1),
        "wal": round(wal, 1),
        "store": round(store, 1),
        "log": round(log, 1),
        "other": round(folder_size(data) / MB - wal - store - log, 1),
        "cpu seconds": round(host.cpu(), 1),
        "lag": total("wheeltapper_line_lag_bytes"),
        "stored": total("wheeltapper_readings_stored"),
        **{name: total(name) for name in metric_names},
    }


def main():
    """Runs the load and checks the limits; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=50_000, help="readings/s")
    parser.add_argument("--sensors", type=int, default=5_000, help="initial sensor names")
    parser.add_argument("--new-names", type=float, default=1_000, help="new sensor names per minute")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--bodies", type=float, default=2, help="requests/s of each sender")
    parser.add_argument("--every", type=float, default=10, help="seconds between samples")
    parser.add_argument("--csv", default="soak.csv")
    parser.add_argument("--metrics", default="", help="prefixes of additional metrics, separated by commas")
    parser.add_argument("--readers", type=int, default=2, help="programs that read the store while the host runs")
    parser.add_argument("--max-rss", type=float, default=2048, help="MB")
    parser.add_argument("--max-wal", type=float, default=320, help="MB")
    parser.add_argument("--max-log", type=float, default=1536, help="MB")
    parser.add_argument("--max-bytes-per-reading", type=float, default=16, help="of a store larger than 64 MB")
    parser.add_argument("--min-share", type=float, default=0.95, help="minimum share of the rate that must be accepted")
    parser.add_argument("--log-retention", default="512 MiB", help="[log] retention_size of each partition")
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    options = parser.parse_args()
    config = f'[log]\nsegment = "64 MiB"\nretention_size = "{options.log_retention}"\n'
    host = Host(options.binary, config, keep=options.keep)
    host.start()
    senders = [Sender(number, host, options) for number in range(options.senders)]
    for sender in senders:
        sender.start()
    readers_stop = threading.Event()
    for _ in range(options.readers):
        threading.Thread(target=read_store_repeatedly, args=(host, readers_stop), daemon=True).start()
    metric_names = [name for name in options.metrics.split(",") if name]
    began = time.monotonic()
    rows = []
    with open(options.csv, "w", newline="", encoding="utf-8") as file:
        writer = None
        while time.monotonic() - began < options.minutes * 60:
            time.sleep(options.every)
            row = sample(host, senders, began, metric_names)
            writer = writer or csv.DictWriter(file, row)
            if not rows:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            rows.append(row)
            report({key: row[key] for key in ["accepted", "names", "rss", "wal", "store", "log", "lag"]})
    for sender in senders:
        sender.stopping.set()
    for sender in senders:
        sender.join(60)
    readers_stop.set()
    accepted = sum(sender.accepted for sender in senders)
    lag = host.wait_settled(300)
    host.stop(within=300)
    stored = host.sql("SELECT sum(count) AS stored FROM reading_chunks")[0]["stored"] or 0
    size = lambda name: host.data.joinpath(name).stat().st_size / MB if host.data.joinpath(name).exists() else 0
    share = accepted / (options.rate * options.minutes * 60)
    checks = [
        ["accepted share of the rate", f"{share:.3f}", f">= {options.min_share}", share >= options.min_share],
        ["peak RSS, MB", max(row["rss peak"] for row in rows), f"<= {options.max_rss}", None],
        ["peak WAL, MB", max(row["wal"] for row in rows), f"<= {options.max_wal}", None],
        ["peak log, MB", max(row["log"] for row in rows), f"<= {options.max_log}", None],
        ["stored readings", stored, f"= {accepted}", stored == accepted],
        ["lag at the end, bytes", lag, "0", lag == 0],
        ["WAL after the stop, MB", f"{size('wheeltapper.db-wal'):.1f}", f"<= {options.max_wal}", None],
    ]
    if size("wheeltapper.db") > 64:
        each = size("wheeltapper.db") * MB / max(stored, 1)
        checks.append(["store bytes per reading", f"{each:.1f}", f"<= {options.max_bytes_per_reading}", None])
    for check in checks:
        if check[3] is None:
            check[3] = float(check[1]) <= float(check[2].split()[-1])
    print()
    table(["check", "measured", "limit", "result"], [[*check[:3], "ok" if check[3] else "FAILED"] for check in checks])
    rejections = {status: times for sender in senders for status, times in sender.rejections.items()}
    report(f"readings in dead letters: {dead_letters(host)}")
    errors = sum(sender.errors for sender in senders)
    report(f"rejections {rejections}, broken connections {errors}, samples in {options.csv}")
    return 0 if all(check[3] for check in checks) else 1


def read_store_repeatedly(host, stop):
    """Repeatedly runs a query command while the host runs."""
    while not stop.is_set() and host.alive():
        host.run("query", "sql", "SELECT count(*), sum(length(vals)) FROM reading_chunks", check=False)
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
