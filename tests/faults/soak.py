#!/usr/bin/env python3
"""Minutes of steady load with sensor names that keep appearing: memory, WAL, store and log stay within bounds.

Every ten seconds a sample goes to a CSV file: rates, resident memory, sizes of WAL, store, log and the rest, lag, and the
metrics named with --metrics. The sizes are compared with the bounds given; those of README are the defaults.

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
from host import Host, folder_size, say, table
from ledger import dead_letters

MB = 1 << 20


class Sender(threading.Thread):
    """Posts line protocol: a body holds readings of `sensors` names, of which some are new as time goes on."""

    def __init__(self, number, host, options):
        super().__init__(daemon=True)
        self.number, self.host, self.options = number, host, options
        self.accepted = self.rejected = self.errors = 0
        self.refusals = {}
        self.names = 0
        self.stopping = threading.Event()

    def run(self):
        """Sends at its share of the rate."""
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
                # What the host did not take in time is not sent on top.
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
                told = json.loads(text)
                self.accepted += told["accepted"]
                self.rejected += told["rejected"]
            else:
                self.refusals[answer.status] = self.refusals.get(answer.status, 0) + 1
                time.sleep(min(float(answer.getheader("Retry-After") or 1), 1))

    def body(self, count, elapsed):
        """CSV of about `count` readings, evenly over the last stretch of time, of this sender's sensors; and their number."""
        options = self.options
        base = options.sensors // options.senders
        fresh = int(elapsed * options.new_names / 60 / options.senders)
        self.names = base + fresh
        now = time.time_ns()
        lines = ["sensor_id,timestamp,value"]
        # The newest names send once; the old ones share the rest.
        first = base + max(fresh - 50, 0)
        wanted = list(range(first, base + fresh))
        each = max((count - len(wanted)) // base, 1)
        for step in range(each):
            stamp = now - (each - 1 - step) * 1_000_000
            for sensor in range(base):
                lines.append(f"soak/{self.number}-{sensor // 50}/s{sensor},{stamp},{20 + (sensor * 7 + step * 13) % 100 / 10}")
        for sensor in wanted:
            lines.append(f"soak/{self.number}-{sensor // 50}/s{sensor},{now},21.5")
        return "\n".join(lines).encode(), len(lines) - 1


def sample(host, senders, began, wanted):
    """One row."""
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
        "refused requests": sum(sum(sender.refusals.values()) for sender in senders),
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
        **{name: total(name) for name in wanted},
    }


def main():
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=50_000, help="readings a second")
    parser.add_argument("--sensors", type=int, default=5_000, help="names from the beginning")
    parser.add_argument("--new-names", type=float, default=1_000, help="names that appear, a minute")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--bodies", type=float, default=2, help="requests of a sender, a second")
    parser.add_argument("--every", type=float, default=10, help="seconds between samples")
    parser.add_argument("--csv", default="soak.csv")
    parser.add_argument("--metrics", default="", help="starts of names of further metrics, with commas")
    parser.add_argument("--readers", type=int, default=2, help="programs that read the store beside the host")
    parser.add_argument("--max-rss", type=float, default=2048, help="MB")
    parser.add_argument("--max-wal", type=float, default=256, help="MB")
    parser.add_argument("--max-log", type=float, default=1536, help="MB")
    parser.add_argument("--max-bytes-per-reading", type=float, default=16, help="of the store, once it is above 64 MB")
    parser.add_argument("--min-share", type=float, default=0.95, help="of the rate that has to be accepted")
    parser.add_argument("--log-retention", default="512 MiB", help="[log] retention_size of each partition")
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    options = parser.parse_args()
    config = f'[log]\nsegment = "64 MiB"\nretention_size = "{options.log_retention}"\n'
    host = Host(options.binary, config, keep=options.keep)
    host.start()
    senders = [Sender(number, host, options) for number in range(options.senders)]
    for sender in senders:
        sender.start()
    reading = threading.Event()
    for _ in range(options.readers):
        threading.Thread(target=read_the_store, args=(host, reading), daemon=True).start()
    wanted = [name for name in options.metrics.split(",") if name]
    began = time.monotonic()
    rows = []
    with open(options.csv, "w", newline="", encoding="utf-8") as file:
        writer = None
        while time.monotonic() - began < options.minutes * 60:
            time.sleep(options.every)
            row = sample(host, senders, began, wanted)
            writer = writer or csv.DictWriter(file, row)
            if not rows:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            rows.append(row)
            say({key: row[key] for key in ["accepted", "names", "rss", "wal", "store", "log", "lag"]})
    for sender in senders:
        sender.stopping.set()
    for sender in senders:
        sender.join(60)
    reading.set()
    accepted = sum(sender.accepted for sender in senders)
    lag = host.wait_settled(300)
    host.stop(within=300)
    stored = host.sql("SELECT sum(count) AS stored FROM reading_chunks")[0]["stored"] or 0
    size = lambda name: host.data.joinpath(name).stat().st_size / MB if host.data.joinpath(name).exists() else 0
    share = accepted / (options.rate * options.minutes * 60)
    checks = [
        ["share of the rate that was accepted", f"{share:.3f}", f">= {options.min_share}", share >= options.min_share],
        ["RSS at its highest, MB", max(row["rss peak"] for row in rows), f"<= {options.max_rss}", None],
        ["WAL at its highest, MB", max(row["wal"] for row in rows), f"<= {options.max_wal}", None],
        ["log at its highest, MB", max(row["log"] for row in rows), f"<= {options.max_log}", None],
        ["stored of the accepted readings", stored, f"= {accepted}", stored == accepted],
        ["lag at the end, bytes", lag, "0", lag == 0],
        ["WAL after the stop, MB", f"{size('wheeltapper.db-wal'):.1f}", f"<= {options.max_wal}", None],
    ]
    if size("wheeltapper.db") > 64:
        each = size("wheeltapper.db") * MB / max(stored, 1)
        checks.append(["bytes of the store a reading", f"{each:.1f}", f"<= {options.max_bytes_per_reading}", None])
    for check in checks:
        if check[3] is None:
            check[3] = float(check[1]) <= float(check[2].split()[-1])
    print()
    table(["what", "measured", "bound", "ok"], [[*check[:3], "ok" if check[3] else "FAILED"] for check in checks])
    refusals = {status: times for sender in senders for status, times in sender.refusals.items()}
    say(f"readings in dead letters: {dead_letters(host)}")
    say(f"refusals {refusals}, broken connections {sum(sender.errors for sender in senders)}, samples in {options.csv}")
    return 0 if all(check[3] for check in checks) else 1


def read_the_store(host, stop):
    """A program beside the host that reads for a moment, again and again."""
    while not stop.is_set() and host.alive():
        host.run("query", "sql", "SELECT count(*), sum(length(vals)) FROM reading_chunks", check=False)
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
