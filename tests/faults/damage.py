#!/usr/bin/env python3
"""Files that were damaged, removed or edited while the host was stopped.

Each case fills a host, stops it (in order, or by kill -9), does its damage, starts it again and sends more. Never may anything
vanish without a word: either the host refuses to start and says why, or all that can be had is stored, what is gone is told
in the log or in /metrics, and what is acknowledged from then on is stored.

    tests/faults/damage.py
    tests/faults/damage.py --only flipped-bit,log-deleted
"""

import argparse
import http.client
import re
import shutil
import struct
import sys

import host as hosts
from host import Failure, Host, say, table
from ledger import Ledger, dead_letters, exported, number_of

CONFIG = '[line]\ncheckpoint = "{checkpoint}"\ntick = "2s"\n[store]\nretention = "3650 days"\n'
FRAME = 16
SEGMENT_HEADER = 32
"""Bytes before each record of the log: length and CRC-32C, both u32 in little endian."""
TOLD = re.compile(r"(WARN|ERROR).*(damag|corrupt|checksum|lost|missing|malformed|gone|beyond|deleted|restored|rebuilt)", re.I)
COUNTED = re.compile(r"damag|corrupt|lost|quarantin|integrity", re.I)


class Case:
    """A host and what was sent to it, message by message on one connection, so that each message is a record."""

    def __init__(self, options, partitions=1, checkpoint="1h"):
        config = CONFIG.format(checkpoint=checkpoint)
        self.host = Host(options.binary, f"partitions = {partitions}\n{config}" if partitions else config, keep=options.keep)
        self.ledger = Ledger()
        self.groups = [self.ledger.group(f"plant/m{number}", 2, True, False) for number in range(8)]
        self.notes, self.faults = [], []
        self.options = options
        self.mark = 0
        self.sent = []

    def send(self, messages):
        """Sends messages one after the other; each has to be answered 202."""
        address, port = self.host.http.rsplit(":", 1)
        connection = http.client.HTTPConnection(address, int(port), timeout=30)
        for number in range(messages):
            group = self.groups[number % len(self.groups)]
            message = group.take()
            self.ledger.sending(group, message)
            body = "[" + group.readings(message) + "]"
            connection.request("POST", "/api/v1/ingest", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 202:
                self.ledger.acknowledge(group, message)
                self.sent.append((group, message))
            else:
                self.notes.append(f"message {number} was answered {answer.status}: {text[:120]!r}")
                if answer.status < 500:
                    self.faults.append(f"a reading was answered {answer.status}")
                    break
        connection.close()

    def fill(self, messages, kill):
        """Starts, sends, and stops."""
        self.host.start()
        self.send(messages)
        self.host.wait_settled(30)
        if kill:
            self.host.kill()
        else:
            self.host.stop()

    def again(self, messages):
        """Starts it after the damage and sends more. False when it refuses to start and says why."""
        self.mark = self.host.log.stat().st_size
        if not self.host.start(check=False):
            last = self.host.log_text(self.mark).strip()
            self.notes.append(f"it refused to start: {last.splitlines()[-1][:300] if last else 'without a word'}")
            if not last or "panicked" in last:
                self.faults.append("it refused to start without saying why")
            return False
        self.send(messages)
        lag = self.host.wait_settled(20)
        if lag:
            self.notes.append(f"lag {lag:.3g} bytes")
        self.notes.append(f"/ready says {self.host.ready()}")
        return True

    def told(self):
        """What log and metrics say of damage."""
        lines = [line for line in self.host.log_text(self.mark).splitlines() if TOLD.search(line)]
        numbers = {}
        if self.host.alive():
            numbers = {name: value for name, value in self.host.metrics().items() if COUNTED.search(name) and value > 0}
        return lines, numbers

    def damaged_segment(self):
        """The only segment of the raw readings."""
        folders = sorted((self.host.data / "log").rglob("*.log"))
        raw = [path for path in folders if "raw" in str(path.relative_to(self.host.data)) and path.stat().st_size > 0]
        if len(raw) != 1:
            raise Failure(f"expected one segment of raw readings, found {raw or folders}")
        return raw[0]

    def finish(self, may_lose=()):
        """Stops and counts. `may_lose`: messages whose loss is excused."""
        if self.host.alive():
            self.host.stop()
        elif self.host.process is not None:
            self.faults.append("the host ended by itself")
        for group, message in may_lose:
            group.acknowledged[message] = 0
        count = self.ledger.compare(exported(self.host))
        if not count.sound():
            self.faults.append(
                f"{count.lost} lost, {count.doubled} doubled, {count.strange} strange of {count.acknowledged}"
            )
            self.notes += count.examples[:2]
        self.notes.append(f"{count.acknowledged} acknowledged, {count.stored} stored")
        return self.faults, self.notes

    def want_told(self, both=False):
        """Wants the damage told."""
        lines, numbers = self.told()
        self.notes.append(f"the log says {lines[-1][:200]!r}" if lines else "the log says nothing")
        self.notes.append(f"/metrics says {numbers or 'nothing'}")
        if not (lines and numbers if both else lines or numbers):
            self.faults.append("told neither in the log nor in /metrics" if not both else "not told in log and /metrics")


def frames(raw):
    """(offset, length of the payload) of each record of a segment."""
    at = SEGMENT_HEADER
    while at + FRAME <= len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        if at + FRAME + length > len(raw):
            return
        yield at, length
        at += FRAME + length


def log_deleted(options):
    """The log's folder is deleted after an orderly stop; all of it is in the store."""
    case = Case(options)
    case.fill(options.messages, kill=False)
    shutil.rmtree(case.host.data / "log")
    if case.again(options.messages):
        case.want_told()
    return case.finish()


def log_deleted_after_a_kill(options):
    """The log's folder is deleted after kill -9; what was not stored yet is gone, and has to be told."""
    case = Case(options)
    case.fill(options.messages, kill=True)
    shutil.rmtree(case.host.data / "log")
    before = list(case.sent)
    if case.again(options.messages):
        case.want_told()
    return case.finish(may_lose=before)


def flip(case, where):
    """Flips a bit of the middle record: in its payload, its length or its checksum. Gives the number of the record."""
    segment = case.damaged_segment()
    raw = bytearray(segment.read_bytes())
    found = list(frames(raw))
    middle = len(found) // 2
    offset, length = found[middle]
    at = {"payload": offset + FRAME + length // 2, "length": offset + 1, "checksum": offset + 5}[where]
    raw[at] ^= 0x10
    segment.write_bytes(raw)
    case.notes.append(f"bit of the {where} of record {middle} of {len(found)} flipped at {at} of {len(raw)}")
    return middle, len(found)


def flipped_bit(where, kill, options):
    """A bit in the middle of a segment."""
    case = Case(options)
    case.fill(options.messages, kill)
    before = list(case.sent)
    flip(case, where)
    if not case.again(options.messages):
        return case.finish(may_lose=before)
    if kill:
        case.want_told(both=True)
    lost = []
    if case.host.alive():
        case.host.stop()
    if kill:
        # One record at most may be gone, which is one message here: find out which, and excuse that one.
        stored = set()
        for _, sensor, value in exported(case.host):
            stored.add((sensor, number_of(float(value))))
        lost = [item for item in before if any((name, item[1]) not in stored for name in item[0].names)]
        case.notes.append(f"{len(lost)} of the {len(before)} messages before the damage are gone")
        if len(lost) > 1:
            case.faults.append(f"{len(lost)} messages are gone; the damage is in one record")
    return case.finish(may_lose=lost)


def torn_tail(options):
    """The last write was cut by a power failure: half a record that nobody was answered for."""
    case = Case(options)
    case.fill(options.messages, kill=True)
    with open(case.damaged_segment(), "ab") as segment:
        segment.write(struct.pack("<II", 5000, 0x12345678) + b"half a record")
    if case.again(options.messages) is False:
        case.faults.append("a torn tail is no reason not to start")
    return case.finish()


def partitions_file(text, options):
    """The file that says how many partitions there are is removed, or says fewer."""
    case = Case(options, partitions=4)
    case.fill(options.messages, kill=True)
    file = case.host.data / "partitions"
    if not file.exists():
        raise Failure(f"there is no file {file}")
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    case.host.config.write_text(CONFIG.format(checkpoint="1h"))
    if not case.again(options.messages):
        # Nothing is lost: put right, all of it has to be there.
        file.write_text("4\n")
        case.again(10)
    return case.finish()


def store_deleted(options):
    """The store is deleted after an orderly stop, the log is kept: it still holds all readings."""
    case = Case(options, checkpoint="500ms")
    case.fill(options.messages, kill=False)
    for path in case.host.data.glob("wheeltapper.db*"):
        path.unlink()
    before = list(case.sent)
    if not case.again(options.messages):
        case.host.data.joinpath("wheeltapper.db").unlink(missing_ok=True)
        return case.faults, case.notes
    lines, numbers = case.told()
    case.host.stop()
    stored = {(sensor, number_of(float(value))) for _, sensor, value in exported(case.host)}
    lost = [item for item in before if any((name, item[1]) not in stored for name in item[0].names)]
    case.notes.append(f"{len(lost)} of {len(before)} messages of before are not stored again; dead letters {dead_letters(case.host)}")
    case.notes.append(f"the log says {lines[-1][:200]!r}, /metrics {numbers}" if lines else "the log says nothing")
    if lost and not lines and not numbers:
        case.faults.append(f"{len(lost)} messages vanish, and nobody is told")
    return case.finish(may_lose=lost)


def corrupt_page(options):
    """A page of the database in the middle of its readings is overwritten; the host has to notice by itself."""
    case = Case(options, checkpoint="500ms")
    case.fill(options.messages, kill=False)
    database = case.host.data / "wheeltapper.db"
    raw = bytearray(database.read_bytes())
    page = int.from_bytes(raw[16:18], "big") or 65536
    (row,) = case.host.sql("SELECT rootpage FROM sqlite_schema WHERE name = 'reading_chunks'")
    start = (row["rootpage"] - 1) * page
    raw[start : start + page] = b"\xa5" * page
    database.write_bytes(raw)
    case.mark = case.host.log.stat().st_size
    if not case.host.start(check=False):
        last = case.host.log_text(case.mark).strip()
        case.notes.append(f"it refused to start: {last.splitlines()[-1][:300] if last else 'without a word'}")
        if not re.search(r"corrupt|malformed|damaged|integrity", last):
            case.faults.append("it refused to start and did not name the damage")
        return case.faults, case.notes

    def noticed():
        lines, numbers = case.told()
        status, text = case.host.ready()
        return [line for line in lines if "corrupt" in line or "malformed" in line or "damaged" in line] or numbers or (
            status != 200 and text
        )

    try:
        found = hosts.wait_for("a word of the damage", options.notice, noticed, 0.5)
        case.notes.append(f"noticed: {str(found)[:300]}")
    except Failure as error:
        case.faults.append(str(error))
        case.notes.append(f"/ready says {case.host.ready()}")
    case.host.kill()
    return case.faults, case.notes


CASES = {
    "log-deleted": log_deleted,
    "log-deleted-kill": log_deleted_after_a_kill,
    "flipped-bit": lambda options: flipped_bit("payload", False, options),
    "flipped-bit-kill": lambda options: flipped_bit("payload", True, options),
    "flipped-length-kill": lambda options: flipped_bit("length", True, options),
    "flipped-checksum-kill": lambda options: flipped_bit("checksum", True, options),
    "torn-tail": torn_tail,
    "partitions-removed": lambda options: partitions_file(None, options),
    "partitions-fewer": lambda options: partitions_file("2\n", options),
    "store-deleted": store_deleted,
    "corrupt-page": corrupt_page,
}


def main():
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--only", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--messages", type=int, default=300, help="before the damage, and after it")
    parser.add_argument("--notice", type=float, default=60, help="seconds within which a corrupt page has to be noticed")
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    options = parser.parse_args()
    rows, failed = [], False
    for name in options.only.split(",") if options.only else CASES:
        say(name)
        try:
            faults, notes = CASES[name](options)
        except Failure as error:
            faults, notes = [str(error)], []
        failed = failed or bool(faults)
        for note in notes:
            say(f"  {note}")
        for fault in faults:
            say(f"  WRONG: {fault}")
        rows.append([name, "FAILED" if faults else "ok", "; ".join(fault.splitlines()[0] for fault in faults)])
    print()
    table(["case", "result", "what is wrong"], rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
