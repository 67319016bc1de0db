#!/usr/bin/env python3
"""The count itself: made-up stores with a loss, a copy or a wrong value are told from a right one. Needs no host."""

import sys

from ledger import Ledger, value_of


def store(ledger, but=None):
    """Rows as they should be, after `but` has changed them."""
    rows = []
    for group in ledger.groups:
        for number in range(group.next):
            time = group.base + number * group.step if group.stamped else 5_000 + number
            rows += [(str(time), name, f"{float(value_of(number, group.phase))}") for name in group.names]
    if but:
        but(rows)
    return rows


def main():
    """Runs it."""
    failed = []

    def check(what, got, want):
        print("ok " if got == want else "WRONG", what, got)
        if got != want:
            failed.append(what)

    ledger = Ledger()
    stamped = ledger.group("a", 3, True, False)
    plain = ledger.group("b", 2, False, True)
    for group in (stamped, plain):
        for _ in range(10):
            number = group.take()
            ledger.sending(group, number)
            if number != 9:
                ledger.acknowledge(group, number)
    told = lambda but=None: (lambda count: (count.lost, count.doubled, count.strange, count.sound()))(
        ledger.compare(store(ledger, but))
    )
    check("all is there", told(), (0, 0, 0, True))
    check("an unacknowledged reading is missing", told(lambda rows: rows.remove((str(stamped.base + 9 * stamped.step), "a/s1", "9.0"))), (0, 0, 0, True))
    check("an acknowledged reading is missing", told(lambda rows: rows.pop(0)), (1, 0, 0, False))
    check("a reading is there twice", told(lambda rows: rows.append(rows[0])), (0, 1, 0, False))
    check("a reading is there three times", told(lambda rows: rows.extend([rows[0]] * 2)), (0, 1, 0, False))
    check("an unacknowledged reading is there twice", told(lambda rows: rows.append(rows[-1])), (0, 1, 0, False))
    check("a value that was never sent", told(lambda rows: rows.append(("1", "b/s0", "10.0"))), (0, 0, 1, False))
    check("a value that was changed", told(lambda rows: rows.__setitem__(0, (rows[0][0], "a/s0", "0.5"))), (1, 0, 1, False))
    check("a time that was changed", told(lambda rows: rows.__setitem__(0, ("1", "a/s0", "0.0"))), (0, 0, 1, False))
    ledger.sending(plain, 3)
    twice = lambda rows: rows.extend(row for row in list(rows) if row[1:] == ("b/s0", "3.0"))
    check("QoS 1, sent twice without a timestamp, stored twice", told(twice), (0, 0, 0, True))
    ledger.sending(stamped, 3)
    twice = lambda rows: rows.extend(row for row in list(rows) if row[1:] == ("a/s0", "3.0"))
    check("sent twice with a timestamp, stored twice", told(twice), (0, 1, 0, False))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
