#!/usr/bin/env python3
"""Tests the comparison with synthetic stores that have a loss, a duplicate or a wrong value. Does not need a host."""

import sys

from ledger import Ledger, value_of


def store(ledger, change=None):
    """Rows of a correct store, modified by `change`."""
    rows = []
    for group in ledger.groups:
        for number in range(group.next):
            time = group.base + number * group.step if group.stamped else 5_000 + number
            rows += [(str(time), name, f"{float(value_of(number, group.phase))}") for name in group.names]
    if change:
        change(rows)
    return rows


def main():
    """Runs all checks; returns the exit status."""
    failed = []

    def check(what, actual, expected):
        print("ok " if actual == expected else "WRONG", what, actual)
        if actual != expected:
            failed.append(what)

    ledger = Ledger()
    stamped = ledger.group("a", 3, True, False)
    plain = ledger.group("b", 2, False, True)
    for group in (stamped, plain):
        for _ in range(10):
            number = group.next_message()
            ledger.sending(group, number)
            if number != 9:
                ledger.acknowledge(group, number)
    result = lambda change=None: (lambda count: (count.lost, count.doubled, count.strange, count.correct()))(
        ledger.compare(store(ledger, change))
    )
    check("all readings are stored", result(), (0, 0, 0, True))
    unacknowledged = (str(stamped.base + 9 * stamped.step), "a/s1", "9.0")
    check("an unacknowledged reading is missing", result(lambda rows: rows.remove(unacknowledged)), (0, 0, 0, True))
    check("an acknowledged reading is missing", result(lambda rows: rows.pop(0)), (1, 0, 0, False))
    check("a reading is stored twice", result(lambda rows: rows.append(rows[0])), (0, 1, 0, False))
    check("a reading is stored three times", result(lambda rows: rows.extend([rows[0]] * 2)), (0, 1, 0, False))
    check("an unacknowledged reading is stored twice", result(lambda rows: rows.append(rows[-1])), (0, 1, 0, False))
    check("a value that was never sent", result(lambda rows: rows.append(("1", "b/s0", "10.0"))), (0, 0, 1, False))
    wrong_value = lambda rows: rows.__setitem__(0, (rows[0][0], "a/s0", "0.5"))
    check("a changed value", result(wrong_value), (1, 0, 1, False))
    check("a changed time", result(lambda rows: rows.__setitem__(0, ("1", "a/s0", "0.0"))), (0, 0, 1, False))
    ledger.sending(plain, 3)
    twice = lambda rows: rows.extend(row for row in list(rows) if row[1:] == ("b/s0", "3.0"))
    check("QoS 1, sent twice without a timestamp, stored twice", result(twice), (0, 0, 0, True))
    ledger.sending(stamped, 3)
    twice = lambda rows: rows.extend(row for row in list(rows) if row[1:] == ("a/s0", "3.0"))
    check("sent twice with a timestamp, stored twice", result(twice), (0, 1, 0, False))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
