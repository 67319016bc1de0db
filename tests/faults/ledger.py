"""Records sent and acknowledged readings and compares them with the stored readings.

A group is a set of sensors whose readings are sent together. Message `n` of a group contains one reading of each of its
sensors, whose value encodes `n`. Each stored reading therefore identifies its message, and the number of stored copies
of a message can be counted for each sensor. Some ranges of messages have values far above the others, so that the line
finds anomalies and commits them continuously.
"""

import csv
import subprocess
import threading
from array import array

SECOND = 1_000_000_000
T0 = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z; message `n` of a group with timestamps has `T0 + n` seconds."""

ABNORMAL_OFFSET = 1_000_000
"""Offset of abnormal values."""

LEARNING_MESSAGES = 90
"""Number of messages before the first abnormal one."""


def value_of(number, phase=0):
    """The value of a message's readings: unique; after the learning phase, abnormal for 8 of every 40 messages.

    Groups have different phases, so that there is always a group that has just become abnormal.
    """
    return number + ABNORMAL_OFFSET * (number >= LEARNING_MESSAGES and (number + phase) % 40 >= 32)


def number_of(value):
    """The message number that a value encodes."""
    return int(value) % ABNORMAL_OFFSET


class Group:
    """Sensors of one asset. `repeats`: whether at-least-once delivery allows one stored reading per transmission."""

    def __init__(self, asset, sensors, stamped, repeats, step=SECOND, base=T0):
        self.asset, self.stamped, self.repeats, self.step, self.base = asset, stamped, repeats, step, base
        self.names = [f"{asset}/s{number}" for number in range(sensors)]
        self.phase = 0
        self.next = 0
        self.sent = array("B")
        self.acknowledged = bytearray()

    def next_message(self):
        """Adds a message and returns its number."""
        number = self.next
        self.next += 1
        self.sent.append(0)
        self.acknowledged.append(0)
        return number

    def readings(self, number):
        """A message's readings as JSON objects, without the brackets around them."""
        value = value_of(number, self.phase)
        if self.stamped:
            time = self.base + number * self.step
            return ",".join(
                f'{{"sensor_id":"{name}","timestamp":{time},"values":{value}}}' for name in self.names
            )
        return ",".join(f'{{"sensor_id":"{name}","values":{value}}}' for name in self.names)


class Count:
    """Result of the comparison; each field is a number of readings."""

    def __init__(self):
        self.sent = self.acknowledged = self.stored = 0
        self.lost = self.doubled = self.repeated = self.unacknowledged_stored = self.strange = 0
        self.examples = []

    def correct(self):
        """Whether each acknowledged reading is stored exactly once and no other reading twice."""
        return self.lost == 0 and self.doubled == 0 and self.strange == 0

    HEADS = ["sent", "acknowledged", "stored", "LOST", "DOUBLED", "STRANGE", "unacked stored", "QoS 1 repeats"]

    def row(self):
        """Table cells in the order of `HEADS`."""
        return [
            self.sent,
            self.acknowledged,
            self.stored,
            self.lost,
            self.doubled,
            self.strange,
            self.unacknowledged_stored,
            self.repeated,
        ]


class Ledger:
    """All groups of a run. `lock` guards the totals; a group belongs to one sender."""

    def __init__(self):
        self.groups = []
        self.lock = threading.Lock()
        self.acknowledged = 0

    def group(self, *arguments, **named):
        """Creates a group."""
        group = Group(*arguments, **named)
        group.phase = len(self.groups) * 7 % 40
        self.groups.append(group)
        return group

    def sending(self, group, number):
        """Records that a message is about to be sent."""
        group.sent[number] = min(group.sent[number] + 1, 255)

    def acknowledge(self, group, number):
        """Records that the host acknowledged a message."""
        if not group.acknowledged[number]:
            group.acknowledged[number] = 1
            with self.lock:
                self.acknowledged += len(group.names)

    def compare(self, rows):
        """Compares with stored rows (time, sensor, value) in any order."""
        count = Count()
        stored = {name: bytearray(group.next) for group in self.groups for name in group.names}
        owner = {name: group for group in self.groups for name in group.names}
        for time, sensor, value in rows:
            copies = stored.get(sensor)
            number = number_of(float(value))
            if copies is None:
                continue
            group = owner[sensor]
            count.stored += 1
            if number >= len(copies) or value_of(number, group.phase) != float(value):
                count.strange += 1
                self._example(count, f"{sensor}: the value {value} was never sent")
                continue
            if group.stamped and int(time) != group.base + number * group.step:
                count.strange += 1
                self._example(count, f"{sensor}: value {value} is stored at {time}")
            copies[number] = min(copies[number] + 1, 255)
        for group in self.groups:
            for name in group.names:
                self._compare_sensor(count, group, name, stored[name])
        return count

    def _compare_sensor(self, count, group, name, copies):
        for number, times in enumerate(copies):
            sent, acknowledged = group.sent[number], group.acknowledged[number]
            count.sent += 1
            count.acknowledged += acknowledged
            if acknowledged and times == 0:
                count.lost += 1
                self._example(count, f"{name}: {number} is acknowledged and not stored")
            elif not acknowledged and times:
                count.unacknowledged_stored += 1
            if times > 1:
                # Without timestamps at QoS 1, a resent message cannot be distinguished from a new one.
                allowed = sent if group.repeats and not group.stamped else 1
                count.repeated += min(times, allowed) - 1
                if times > allowed:
                    count.doubled += 1
                    self._example(count, f"{name}: {number} is stored {times} times, and was sent {sent} times")

    @staticmethod
    def _example(count, text):
        if len(count.examples) < 5:
            count.examples.append(text)


def exported(host):
    """Yields the rows of `wheeltapper export readings -`: (time, sensor, value) as text."""
    process = subprocess.Popen(
        host.command("export", "readings", "-"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=host.environment,
    )
    rows = csv.reader(process.stdout)
    next(rows, None)
    yield from rows
    if process.wait() != 0:
        raise RuntimeError(f"export failed with {process.returncode}")


def dead_letters(host):
    """Number of readings in dead letters by reason."""
    rows = host.sql("SELECT reason, sum(readings) AS readings FROM dead_letters GROUP BY reason")
    return {row["reason"]: row["readings"] for row in rows}
