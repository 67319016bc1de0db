#!/usr/bin/env python3
"""Temporary faults of disk, process and clock under load.

Each case runs a host with senders over HTTP and MQTT, causes a fault, holds it and removes it. The case checks that the
host answers and is ready again without a restart; that HTTP rejections were 503 or 507 with Retry-After; and that each
acknowledged reading is stored exactly once.

    tests/faults/disk.py                       # all cases; each fault lasts one minute
    tests/faults/disk.py --only full-ext4,stop --hold 5
"""

import argparse
import os
import signal
import sys
import threading
import time

import host as hosts
from host import Failure, Host, report, table
from ledger import Ledger, dead_letters, exported
from load import Load
from volume import Volume, can_mount

CONFIG = '[line]\ncheckpoint = "500ms"\ntick = "2s"\n[detect]\nwarmup_windows = 10\n'
FAKETIME = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
]


class Skip(Exception):
    """The case cannot run here."""


class Case:
    """A host under load, and its observations during a fault."""

    def __init__(self, options, config=CONFIG, data=None, environment=None):
        self.options = options
        self.host = Host(options.binary, config, data, environment, options.keep)
        self.ledger = Ledger()
        self.loads = [
            Load(self.ledger, transport, options.sensors, rate=options.rate / 3, window=20)
            for transport in ["http", "mqtt1", "mqtt2"]
        ]
        self.notes = []
        self.faults = []
        self.ready_answers = {}
        self.watching = threading.Event()

    def start(self):
        """Starts the host and the senders and waits until readings are stored."""
        self.host.start()
        for load in self.loads:
            load.set_host(self.host)
            load.start()
        hosts.wait_for("a first checkpoint", 60, lambda: self.host.metric("wheeltapper_readings_stored") > 0)
        threading.Thread(target=self.poll_ready, daemon=True).start()

    def poll_ready(self):
        """Records the answers of `/ready` during a fault."""
        while not self.watching.is_set():
            try:
                status, text = self.host.ready(within=2)
                self.ready_answers[status] = text[:200]
            except (OSError, AttributeError):
                pass
            time.sleep(0.5)

    def rejections(self):
        """Number of HTTP answers other than 202."""
        return sum(times for what, times in self.loads[0].outcomes().items() if what != 202)

    def hold_fault(self, until_rejected=True):
        """Waits for the first rejection after a fault, then for the duration of the fault."""
        before, acknowledged = self.rejections(), self.ledger.acknowledged
        self.ready_answers.clear()
        if until_rejected:
            hosts.wait_for("a rejection", 120, lambda: self.rejections() > before)
        time.sleep(self.options.hold)
        self.notes.append(f"acknowledged during the fault: {self.ledger.acknowledged - acknowledged}")
        self.notes.append(f"/ready answered {self.ready_answers}")

    def check_recovery(self):
        """Checks that the host is ready and accepts readings after the fault, without a restart."""
        began = time.monotonic()
        acknowledged = self.ledger.acknowledged
        try:
            self.host.wait_ready(self.options.within)
            hosts.wait_for("an acknowledgement", self.options.within, lambda: self.ledger.acknowledged > acknowledged)
            self.notes.append(f"recovered after {time.monotonic() - began:.1f} s")
        except Failure as error:
            self.faults.append(str(error).splitlines()[0])

    def finish(self):
        """Stops the senders and the host and compares the readings; returns (faults, notes)."""
        self.watching.set()
        for load in self.loads:
            try:
                load.finish(within=30)
            except OSError as error:
                self.faults.append(f"{load.transport}: {error}")
        outcomes = self.loads[0].outcomes()
        statuses = {what: times for what, times in outcomes.items() if isinstance(what, int)}
        unexpected = {status: times for status, times in statuses.items() if status not in (202, 503, 507)}
        if unexpected:
            self.faults.append(f"answers other than 202, 503 and 507: {unexpected}")
        without_retry = sum(sender.rejections_without_retry for sender in self.loads[0].senders)
        if without_retry:
            self.faults.append(f"{without_retry} rejections without Retry-After")
        if not self.host.alive():
            self.faults.append("the host exited unexpectedly")
            self.host.kill()
        else:
            lag = self.host.wait_settled(60)
            if lag:
                self.faults.append(f"{lag:.0f} bytes of the log were not processed")
            self.stop()
        count = self.ledger.compare(exported(self.host))
        if not count.correct():
            self.faults.append(
                f"{count.lost} lost, {count.doubled} doubled, {count.strange} strange of {count.acknowledged}"
            )
            self.notes += count.examples[:2]
            # A second count after a restart distinguishes unavailable readings from lost ones.
            self.host.start()
            self.host.wait_settled(120)
            self.host.stop()
            recount = self.ledger.compare(exported(self.host))
            self.faults.append(f"after a restart {recount.lost} lost, {recount.doubled} doubled")
        self.notes.append(f"{count.acknowledged} acknowledged, {count.stored} stored, HTTP {outcomes}")
        self.notes.append(f"dead letters {dead_letters(self.host)}")
        return self.faults, self.notes

    def stop(self):
        """Stops the host with SIGTERM."""
        try:
            status = self.host.stop()
            if status != 0:
                self.faults.append(f"the host exited with {status}")
        except Failure as error:
            self.faults.append(str(error).splitlines()[0])


def full(kind, options):
    """The disk is full."""
    reason = can_mount(kind)
    if reason:
        raise Skip(reason)
    volume = Volume(kind, options.megabytes)
    case = Case(options, data=volume.data)
    try:
        case.start()
        volume.fill()
        case.hold_fault()
        volume.empty()
        case.check_recovery()
        return case.finish()
    finally:
        case.host.kill()
        volume.close()


def read_only(options):
    """The file system is read-only temporarily."""
    reason = can_mount("ext4")
    if reason:
        raise Skip(reason)
    volume = Volume("ext4", options.megabytes * 4)
    case = Case(options, data=volume.data)
    try:
        case.start()
        case.notes.append(volume.read_only())
        case.hold_fault()
        volume.writable()
        case.check_recovery()
        return case.finish()
    finally:
        case.host.kill()
        volume.close()


def frozen(options):
    """All writes to the disk hang temporarily."""
    reason = can_mount("ext4")
    if reason:
        raise Skip(reason)
    volume = Volume("ext4", options.megabytes * 4)
    case = Case(options, data=volume.data)
    try:
        case.start()
        volume.freeze()
        case.hold_fault(until_rejected=False)
        volume.thaw()
        case.check_recovery()
        return case.finish()
    finally:
        volume.thaw()
        case.host.kill()
        volume.close()


def stop(options):
    """SIGSTOP, then SIGCONT."""
    case = Case(options)
    try:
        case.start()
        case.host.send_signal(signal.SIGSTOP)
        case.hold_fault(until_rejected=False)
        case.host.send_signal(signal.SIGCONT)
        case.check_recovery()
        return case.finish()
    finally:
        case.host.kill()


def clock(options):
    """The wall clock jumps two minutes forward and back, one hour back and forward, one day forward and back."""
    library = next((path for path in FAKETIME if os.path.exists(path)), None)
    if library is None:
        raise Skip("libfaketime is not installed (Debian: apt-get install faketime)")
    case = Case(options)
    offset = case.host.folder / "offset"
    offset.write_text("+0\n")
    case.host.environment.update(
        LD_PRELOAD=library,
        FAKETIME_TIMESTAMP_FILE=str(offset),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        DONT_FAKE_MONOTONIC="1",
    )
    try:
        case.start()
        for jump in ["+120", "+0", "-3600", "+0", "+86400", "+0"]:
            offset.write_text(f"{jump}\n")
            acknowledged = case.ledger.acknowledged
            time.sleep(max(min(options.hold / 6, 10), 2))
            if case.ledger.acknowledged == acknowledged:
                case.notes.append(f"nothing was acknowledged at {jump} s")
        case.check_recovery()
        return case.finish()
    finally:
        case.host.kill()


CASES = {
    "full-tmpfs": lambda options: full("tmpfs", options),
    "full-ext4": lambda options: full("ext4", options),
    "read-only": read_only,
    "frozen": frozen,
    "stop": stop,
    "clock": clock,
}


def main():
    """Runs all cases; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--only", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--hold", type=float, default=60, help="duration of a fault in seconds (default: 60)")
    parser.add_argument("--within", type=float, default=60, help="seconds within which the host must recover")
    parser.add_argument("--sensors", type=int, default=300, help="sensors of each transport")
    parser.add_argument("--rate", type=float, default=9000, help="readings/s of all transports together")
    parser.add_argument("--megabytes", type=int, default=256, help="size of the volumes")
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(CASES)
    rows, failed, ran = [], False, 0
    for name in names:
        report(name)
        try:
            faults, notes = CASES[name](options)
        except Skip as reason:
            rows.append([name, "SKIPPED", str(reason)])
            continue
        except Failure as error:
            faults, notes = [str(error)], []
        ran += 1
        failed = failed or bool(faults)
        for note in notes:
            report(f"  {note}")
        for fault in faults:
            report(f"  WRONG: {fault}")
        rows.append([name, "FAILED" if faults else "ok", "; ".join(fault.splitlines()[0] for fault in faults)])
    print()
    table(["case", "result", "faults"], rows)
    if failed:
        return 1
    return 0 if ran else hosts.SKIPPED


if __name__ == "__main__":
    sys.exit(main())
