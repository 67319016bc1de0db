#!/usr/bin/env python3
"""Files damaged, removed or edited while the host is stopped.

Each case fills a host, stops it (with SIGTERM or SIGKILL), damages its files, starts it again and sends more readings.
No data may be lost silently: either the host refuses to start and reports the reason, or all recoverable readings are
stored, lost ones are reported in the log or in /metrics, and all readings acknowledged afterwards are stored.

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
from host import Failure, Host, report, table
from ledger import Ledger, dead_letters, exported, number_of

CONFIG = '[line]\ncheckpoint = "{checkpoint}"\ntick = "2s"\n[store]\nretention = "3650 days"\n'
FRAME = 16
"""Bytes before each record of the log; they start with length and CRC-32C, both u32 in little endian."""
SEGMENT_HEADER = 32
"""Bytes before the first record of a segment."""
LOG_PATTERN = re.compile(
    r"(WARN|ERROR).*(damag|corrupt|checksum|lost|missing|malformed|gone|beyond|deleted|restored|rebuilt)", re.I
)
METRIC_PATTERN = re.compile(r"damag|corrupt|lost|quarantin|integrity", re.I)


class Case:
    """A host and its readings, sent one message per request, so that each message is a record of the log."""

    def __init__(self, options, partitions=1, checkpoint="1h"):
        config = CONFIG.format(checkpoint=checkpoint)
        config = f"partitions = {partitions}\n{config}" if partitions else config
        self.host = Host(options.binary, config, keep=options.keep)
        self.ledger = Ledger()
        self.groups = [self.ledger.group(f"plant/m{number}", 2, True, False) for number in range(8)]
        self.notes, self.faults = [], []
        self.options = options
        self.log_start = 0
        self.sent = []

    def send(self, messages):
        """Sends messages one at a time; each must be answered with 202."""
        address, port = self.host.http.rsplit(":", 1)
        connection = http.client.HTTPConnection(address, int(port), timeout=30)
        for number in range(messages):
            group = self.groups[number % len(self.groups)]
            message = group.next_message()
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
        """Starts the host, sends messages and stops it."""
        self.host.start()
        self.send(messages)
        self.host.wait_settled(30)
        if kill:
            self.host.kill()
        else:
            self.host.stop()

    def restart_and_send(self, messages):
        """Starts the host after the damage and sends messages. Returns False if the host does not start."""
        self.log_start = self.host.log.stat().st_size
        if not self.host.start(check=False):
            last = self.host.log_text(self.log_start).strip()
            self.notes.append(f"it refused to start: {last.splitlines()[-1][:300] if last else 'without a message'}")
            if not last or "panicked" in last:
                self.faults.append("it refused to start without a reason")
            return False
        self.send(messages)
        lag = self.host.wait_settled(20)
        if lag:
            self.notes.append(f"lag {lag:.3g} bytes")
        self.notes.append(f"/ready answered {self.host.ready()}")
        return True

    def damage_reports(self):
        """Log lines and metrics that report damage."""
        lines = [line for line in self.host.log_text(self.log_start).splitlines() if LOG_PATTERN.search(line)]
        numbers = {}
        if self.host.alive():
            metrics = self.host.metrics().items()
            numbers = {name: value for name, value in metrics if METRIC_PATTERN.search(name) and value > 0}
        return lines, numbers

    def damaged_segment(self):
        """The only segment of raw readings."""
        folders = sorted((self.host.data / "log").rglob("*.log"))
        raw = [path for path in folders if "raw" in str(path.relative_to(self.host.data)) and path.stat().st_size > 0]
        if len(raw) != 1:
            raise Failure(f"expected one segment of raw readings, found {raw or folders}")
        return raw[0]

    def finish(self, allowed_losses=()):
        """Stops the host and compares. `allowed_losses`: messages that may be lost."""
        if self.host.alive():
            self.host.stop()
        elif self.host.process is not None:
            self.faults.append("the host exited unexpectedly")
        for group, message in allowed_losses:
            group.acknowledged[message] = 0
        count = self.ledger.compare(exported(self.host))
        if not count.correct():
            self.faults.append(
                f"{count.lost} lost, {count.doubled} doubled, {count.strange} strange of {count.acknowledged}"
            )
            self.notes += count.examples[:2]
        self.notes.append(f"{count.acknowledged} acknowledged, {count.stored} stored")
        return self.faults, self.notes

    def check_reported(self, both=False):
        """Checks that the damage is reported."""
        lines, numbers = self.damage_reports()
        self.notes.append(f"the log reports {lines[-1][:200]!r}" if lines else "the log reports nothing")
        self.notes.append(f"/metrics reports {numbers or 'nothing'}")
        if not (lines and numbers if both else lines or numbers):
            self.faults.append(f"not reported in the log {'and' if both else 'or'} in /metrics")


def frames(raw):
    """Yields (offset, payload length) of each record of a segment."""
    at = SEGMENT_HEADER
    while at + FRAME <= len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        if at + FRAME + length > len(raw):
            return
        yield at, length
        at += FRAME + length


def log_deleted(options):
    """The log folder is deleted after a SIGTERM stop; the store has all readings."""
    case = Case(options)
    case.fill(options.messages, kill=False)
    shutil.rmtree(case.host.data / "log")
    if case.restart_and_send(options.messages):
        case.check_reported()
    return case.finish()


def log_deleted_after_a_kill(options):
    """The log folder is deleted after SIGKILL; the loss of unstored readings must be reported."""
    case = Case(options)
    case.fill(options.messages, kill=True)
    shutil.rmtree(case.host.data / "log")
    before = list(case.sent)
    if case.restart_and_send(options.messages):
        case.check_reported()
    return case.finish(allowed_losses=before)


def flip(case, where):
    """Flips a bit of the middle record, in its payload, length or checksum. Returns its number and the record count."""
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
    """A bit in the middle of a segment is flipped."""
    case = Case(options)
    case.fill(options.messages, kill)
    before = list(case.sent)
    flip(case, where)
    if not case.restart_and_send(options.messages):
        return case.finish(allowed_losses=before)
    if kill:
        case.check_reported(both=True)
    lost = []
    if case.host.alive():
        case.host.stop()
    if kill:
        # At most one record, which is one message here, may be lost.
        stored = set()
        for _, sensor, value in exported(case.host):
            stored.add((sensor, number_of(float(value))))
        lost = [item for item in before if any((name, item[1]) not in stored for name in item[0].names)]
        case.notes.append(f"{len(lost)} of the {len(before)} messages before the damage are lost")
        if len(lost) > 1:
            case.faults.append(f"{len(lost)} messages are lost; the damage is in one record")
    return case.finish(allowed_losses=lost)


def torn_tail(options):
    """A power failure truncated the last write: half a record that was not acknowledged."""
    case = Case(options)
    case.fill(options.messages, kill=True)
    with open(case.damaged_segment(), "ab") as segment:
        segment.write(struct.pack("<II", 5000, 0x12345678) + b"half a record")
    if case.restart_and_send(options.messages) is False:
        case.faults.append("the host did not start with a torn tail")
    return case.finish()


def partitions_file(text, options):
    """The file with the number of partitions is removed or changed to fewer."""
    case = Case(options, partitions=4)
    case.fill(options.messages, kill=True)
    file = case.host.data / "partitions"
    if not file.exists():
        raise Failure(f"{file} does not exist")
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    case.host.config.write_text(CONFIG.format(checkpoint="1h"))
    if not case.restart_and_send(options.messages):
        # Nothing is lost: after the file is restored, all readings must be stored.
        file.write_text("4\n")
        case.restart_and_send(10)
    return case.finish()


def store_deleted(options):
    """The store is deleted after a SIGTERM stop; the log still has all readings."""
    case = Case(options, checkpoint="500ms")
    case.fill(options.messages, kill=False)
    for path in case.host.data.glob("wheeltapper.db*"):
        path.unlink()
    before = list(case.sent)
    if not case.restart_and_send(options.messages):
        case.host.data.joinpath("wheeltapper.db").unlink(missing_ok=True)
        return case.faults, case.notes
    lines, numbers = case.damage_reports()
    case.host.stop()
    stored = {(sensor, number_of(float(value))) for _, sensor, value in exported(case.host)}
    lost = [item for item in before if any((name, item[1]) not in stored for name in item[0].names)]
    case.notes.append(f"{len(lost)} of {len(before)} earlier messages are not stored again")
    case.notes.append(f"dead letters {dead_letters(case.host)}")
    logged = repr(lines[-1][:200]) if lines else "nothing"
    case.notes.append(f"the log reports {logged}, /metrics {numbers or 'nothing'}")
    if lost and not lines and not numbers:
        case.faults.append(f"{len(lost)} messages are lost without a report")
    return case.finish(allowed_losses=lost)


def corrupt_page(options):
    """The root page of the readings table is overwritten; the host must detect this."""
    case = Case(options, checkpoint="500ms")
    case.fill(options.messages, kill=False)
    database = case.host.data / "wheeltapper.db"
    raw = bytearray(database.read_bytes())
    page = int.from_bytes(raw[16:18], "big") or 65536
    (row,) = case.host.sql("SELECT rootpage FROM sqlite_schema WHERE name = 'reading_chunks'")
    start = (row["rootpage"] - 1) * page
    raw[start : start + page] = b"\xa5" * page
    database.write_bytes(raw)
    case.log_start = case.host.log.stat().st_size
    if not case.host.start(check=False):
        last = case.host.log_text(case.log_start).strip()
        case.notes.append(f"it refused to start: {last.splitlines()[-1][:300] if last else 'without a message'}")
        if not re.search(r"corrupt|malformed|damaged|integrity", last):
            case.faults.append("it refused to start and did not report the damage")
        return case.faults, case.notes

    def detected():
        lines, numbers = case.damage_reports()
        status, text = case.host.ready()
        reported = [line for line in lines if "corrupt" in line or "malformed" in line or "damaged" in line]
        return reported or numbers or (status != 200 and text)

    try:
        found = hosts.wait_for("a report of the damage", options.notice, detected, 0.5)
        case.notes.append(f"detected: {str(found)[:300]}")
    except Failure as error:
        case.faults.append(str(error))
        case.notes.append(f"/ready answered {case.host.ready()}")
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
    """Runs all cases; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--only", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--messages", type=int, default=300, help="messages before the damage and after it")
    parser.add_argument("--notice", type=float, default=60, help="seconds within which a corrupt page must be detected")
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    options = parser.parse_args()
    rows, failed = [], False
    for name in options.only.split(",") if options.only else CASES:
        report(name)
        try:
            faults, notes = CASES[name](options)
        except Failure as error:
            faults, notes = [str(error)], []
        failed = failed or bool(faults)
        for note in notes:
            report(f"  {note}")
        for fault in faults:
            report(f"  WRONG: {fault}")
        rows.append([name, "FAILED" if faults else "ok", "; ".join(fault.splitlines()[0] for fault in faults)])
    print()
    table(["case", "result", "faults"], rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
