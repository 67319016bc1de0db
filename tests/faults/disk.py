#!/usr/bin/env python3
"""Faults of disk, process and clock under load, then healing.

Each case runs a host with senders over HTTP and MQTT, makes the fault, holds it, heals it, and wants: the host answers and is
ready again without a restart; refusals over HTTP were 503 or 507 with Retry-After; what was acknowledged is stored exactly
once.

    tests/faults/disk.py                       # each case, the fault held for a minute
    tests/faults/disk.py --only full-ext4,stop --hold 5
"""

import argparse
import os
import signal
import sys
import threading
import time

import host as hosts
from host import Failure, Host, say, table
from ledger import Ledger, dead_letters, exported
from load import Load
from volume import Volume, can_mount

CONFIG = '[line]\ncheckpoint = "500ms"\ntick = "2s"\n[detect]\nwarmup_windows = 10\n'
FAKETIME = ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"]


class Skip(Exception):
    """The case cannot run here."""


class Case:
    """A host under load, and what is seen of it while a fault is on."""

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
        self.seen = {}
        self.watching = threading.Event()

    def start(self):
        """Starts host and senders, and waits until readings are stored."""
        self.host.start()
        for load in self.loads:
            load.to(self.host)
            load.start()
        hosts.wait_for("a first checkpoint", 60, lambda: self.host.metric("wheeltapper_readings_stored") > 0)
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        """Notes what `/ready` says while a fault is on."""
        while not self.watching.is_set():
            try:
                status, text = self.host.ready(within=2)
                self.seen[status] = text[:200]
            except (OSError, AttributeError):
                pass
            time.sleep(0.5)

    def refusals(self):
        """How many answers over HTTP were not 202."""
        return sum(times for what, times in self.loads[0].outcomes().items() if what != 202)

    def fault(self, until_refused=True):
        """A fault was made: waits for its first refusal, then for as long as it is to be held."""
        before, taken = self.refusals(), self.ledger.acknowledged
        self.seen.clear()
        if until_refused:
            hosts.wait_for("a refusal", 120, lambda: self.refusals() > before)
        time.sleep(self.options.hold)
        self.notes.append(f"acknowledged during the fault: {self.ledger.acknowledged - taken}")
        self.notes.append(f"/ready said {self.seen}")

    def healed(self):
        """The fault is gone: the host has to be ready again and take readings, without a restart."""
        began = time.monotonic()
        taken = self.ledger.acknowledged
        try:
            self.host.wait_ready(self.options.within)
            hosts.wait_for("an acknowledgement", self.options.within, lambda: self.ledger.acknowledged > taken)
            self.notes.append(f"well after {time.monotonic() - began:.1f} s")
        except Failure as error:
            self.faults.append(str(error).splitlines()[0])

    def finish(self):
        """Counts; (what is wrong, notes)."""
        self.watching.set()
        for load in self.loads:
            try:
                load.finish(within=30)
            except OSError as error:
                self.faults.append(f"{load.transport}: {error}")
        outcomes = self.loads[0].outcomes()
        odd = {what: times for what, times in outcomes.items() if isinstance(what, int) and what not in (202, 503, 507)}
        if odd:
            self.faults.append(f"answers other than 202, 503 and 507: {odd}")
        without = sum(sender.refusals_without_retry for sender in self.loads[0].senders)
        if without:
            self.faults.append(f"{without} refusals without Retry-After")
        if not self.host.alive():
            self.faults.append("the host ended by itself")
            self.host.kill()
        else:
            lag = self.host.wait_settled(60)
            if lag:
                self.faults.append(f"{lag:.0f} bytes of the log are not gone through")
            self.stop()
        count = self.ledger.compare(exported(self.host))
        if not count.sound():
            self.faults.append(
                f"{count.lost} lost, {count.doubled} doubled, {count.strange} strange of {count.acknowledged}"
            )
            self.notes += count.examples[:2]
            # Only unavailable until a restart, or gone?
            self.host.start()
            self.host.wait_settled(120)
            self.host.stop()
            again = self.ledger.compare(exported(self.host))
            self.faults.append(f"after a restart {again.lost} lost, {again.doubled} doubled")
        self.notes.append(f"{count.acknowledged} acknowledged, {count.stored} stored, HTTP {outcomes}")
        self.notes.append(f"dead letters {dead_letters(self.host)}")
        return self.faults, self.notes

    def stop(self):
        """Stops the host in order."""
        try:
            status = self.host.stop()
            if status != 0:
                self.faults.append(f"the host ended with {status}")
        except Failure as error:
            self.faults.append(str(error).splitlines()[0])


def full(kind, options):
    """No room on the device."""
    why = can_mount(kind)
    if why:
        raise Skip(why)
    volume = Volume(kind, options.megabytes)
    case = Case(options, data=volume.data)
    try:
        case.start()
        volume.fill()
        case.fault()
        volume.empty()
        case.healed()
        return case.finish()
    finally:
        case.host.kill()
        volume.close()


def read_only(options):
    """The file system is read-only for a while."""
    why = can_mount("ext4")
    if why:
        raise Skip(why)
    volume = Volume("ext4", options.megabytes * 4)
    case = Case(options, data=volume.data)
    try:
        case.start()
        case.notes.append(volume.read_only())
        case.fault()
        volume.writable()
        case.healed()
        return case.finish()
    finally:
        case.host.kill()
        volume.close()


def frozen(options):
    """Every write to the disk hangs for a while."""
    why = can_mount("ext4")
    if why:
        raise Skip(why)
    volume = Volume("ext4", options.megabytes * 4)
    case = Case(options, data=volume.data)
    try:
        case.start()
        volume.freeze()
        case.fault(until_refused=False)
        volume.thaw()
        case.healed()
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
        case.fault(until_refused=False)
        case.host.send_signal(signal.SIGCONT)
        case.healed()
        return case.finish()
    finally:
        case.host.kill()


def clock(options):
    """The wall clock jumps: two minutes ahead and back, an hour back and ahead, a day ahead and back."""
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
            taken = case.ledger.acknowledged
            time.sleep(max(min(options.hold / 6, 10), 2))
            if case.ledger.acknowledged == taken:
                case.notes.append(f"nothing was acknowledged at {jump} s")
        case.healed()
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
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--only", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--hold", type=float, default=60, help="seconds that a fault lasts (default: 60)")
    parser.add_argument("--within", type=float, default=60, help="seconds within which the host has to be well again")
    parser.add_argument("--sensors", type=int, default=300, help="of each transport")
    parser.add_argument("--rate", type=float, default=9000, help="readings a second of all transports together")
    parser.add_argument("--megabytes", type=int, default=256, help="size of the volumes")
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(CASES)
    rows, failed, ran = [], False, 0
    for name in names:
        say(name)
        try:
            faults, notes = CASES[name](options)
        except Skip as why:
            rows.append([name, "SKIPPED", str(why)])
            continue
        except Failure as error:
            faults, notes = [str(error)], []
        ran += 1
        failed = failed or bool(faults)
        for note in notes:
            say(f"  {note}")
        for fault in faults:
            say(f"  WRONG: {fault}")
        rows.append([name, "FAILED" if faults else "ok", "; ".join(fault.splitlines()[0] for fault in faults)])
    print()
    table(["case", "result", "what is wrong"], rows)
    if failed:
        return 1
    return 0 if ran else hosts.SKIPPED


if __name__ == "__main__":
    sys.exit(main())
