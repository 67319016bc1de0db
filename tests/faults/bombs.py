#!/usr/bin/env python3
"""Attacks by anonymous clients and by users, while another user queries data and sends readings.

Each case starts a host with access control on and runs the other user first alone, then during the attack. The case
checks that the other user's p99 stays below one second and that none of its requests fails; that memory stays within
its limit; and that the attack is rejected without effect on others. Attackers use 127.0.0.66, the other user 127.0.0.1.

    tests/faults/bombs.py
    tests/faults/bombs.py --only graphql,json-values --seconds 5
"""

import argparse
import http.client
import sys
import time
from collections import Counter

import forgery
import host as hosts
import overload
from host import Failure, report, table
from secured_host import Attack, SecuredHost
from victim import Victim

# Memory in MB that an attack may use in addition: 50,000 new sensors have up to 8 KB of state each.
EXPECTED_GROWTH = {"new-names": 400}

CASES = {
    "graphql": overload.graphql,
    "json-values": overload.json_values("numbers"),
    "json-names": overload.json_values("names"),
    "json-objects": overload.json_values("objects"),
    "csv-columns": overload.csv_columns,
    "csv-rows": overload.csv_rows,
    "new-names": overload.new_names,
    "gzip": overload.gzip_bomb,
    "dripped": overload.dripped,
    "unfinished": overload.unfinished(False),
    "unfinished-forged": overload.unfinished(True),
    "idle": overload.idle_connections,
    "forged-signatures": forgery.forged_signatures,
    "sparkplug-http": forgery.sparkplug_over_http,
    "sparkplug-mqtt": forgery.sparkplug_over_mqtt,
    "events-mqtt": forgery.events_over_mqtt,
    "strangers-mqtt": forgery.events_over_mqtt,
    "logins-http": forgery.logins_over_http,
    "logins-mqtt": forgery.logins_over_mqtt,
}

WITHOUT_BROKER_USER = {"strangers-mqtt"}
"""Cases without configured broker users."""


def run_case(name, options):
    """Runs one case; returns (faults, notes, figures before, figures during, memory)."""
    target = SecuredHost(options, name not in WITHOUT_BROKER_USER)
    victim = Victim(target.host, target.alice, target.key, target.login)
    victim.start()
    time.sleep(options.alone)
    before, memory = victim.figures(), target.host.memory()[0]
    failures = Counter(victim.failures)
    victim.times.clear()
    attack = Attack(target, options)
    steps = CASES[name](attack)
    next(steps)
    time.sleep(options.seconds)
    during = victim.figures()
    attack.end()
    peak = target.host.memory()[1]
    try:
        for _ in steps:
            pass
        check_after_attack(target, attack)
    except (OSError, http.client.HTTPException, Failure) as error:
        attack.faults.append(f"{type(error).__name__}: {str(error)[:300]}")
    victim.stopping.set()
    victim.join(70)
    attack.notes.append(f"outcomes {dict(attack.outcomes)}")
    attack.check(target.host.alive(), "the host exited unexpectedly")
    attack.check(during[1] < options.p99, f"p99 of the other user is {during[1]:.0f} ms")
    new_failures = victim.failures - failures
    attack.check(not new_failures, f"the other user's requests failed: {dict(new_failures)}")
    growth = options.growth + EXPECTED_GROWTH.get(name, 0)
    attack.check(peak - memory < growth, f"memory grew by {peak - memory:.0f} MB")
    target.host.kill()
    return attack.faults, attack.notes, before, during, (memory, peak)


def check_after_attack(target, attack):
    """Checks that the line works after the attack: a new reading must be stored."""
    before = target.host.metrics(headers=target.headers(target.alice))
    stored = sum(value for name, value in before.items() if name.startswith("wheeltapper_readings_stored"))
    target.post([{"sensor_id": "north/after/t", "values": 1}], target.key, source=("127.0.0.1", 0))
    began = time.monotonic()
    hosts.wait_for(
        "storage of a reading after the attack",
        attack.options.settle,
        lambda: target.host.sql(
            "SELECT 1 AS yes FROM reading_chunks, sensors WHERE id = sensor AND name = 'north/after/t'"
        ),
        0.5,
    )
    attack.notes.append(f"new reading stored after {time.monotonic() - began:.1f} s, stored before: {stored:.0f}")
    status, text = target.host.ready()
    attack.check(status == 200, f"/ready answered {status}: {text[:200]}")


def main():
    """Runs all cases; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--only", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--seconds", type=float, default=20, help="of each attack (default: 20)")
    parser.add_argument("--alone", type=float, default=3, help="seconds without attack for comparison")
    parser.add_argument("--p99", type=float, default=1000, help="maximum p99 of the other user in ms")
    parser.add_argument("--growth", type=float, default=400, help="maximum growth of memory in MB")
    parser.add_argument("--drip", type=float, default=90, help="seconds within which slow bodies must be rejected")
    parser.add_argument("--settle", type=float, default=30, help="seconds within which a new reading must be stored")
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    options = parser.parse_args()
    rows, failed = [], False
    for name in options.only.split(",") if options.only else CASES:
        report(name)
        try:
            faults, notes, before, during, memory = run_case(name, options)
        except Failure as error:
            faults, notes, before, during, memory = [str(error)], [], (0, 0, 0, 0), (0, 0, 0, 0), (0, 0)
        failed = failed or bool(faults)
        for note in notes:
            report(f"  {note}")
        for fault in faults:
            report(f"  WRONG: {fault}")
        show = lambda figures: f"{figures[0]:.0f}/{figures[1]:.0f}/{figures[2]:.0f}"
        rows.append(
            [name, "FAILED" if faults else "ok", show(before), show(during), during[3]]
            + [f"{memory[0]:.0f} -> {memory[1]:.0f}", "; ".join(fault.splitlines()[0] for fault in faults)]
        )
    print()
    table(["attack", "result", "alone p50/p99/max ms", "attacked", "requests", "memory MB", "faults"], rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
