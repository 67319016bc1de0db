#!/usr/bin/env python3
"""Attacks by strangers and by users, while another user does ordinary reads and sends readings.

Each case starts a host with access on, lets the other user work alone for a moment, then with the attack. Wanted: the other
user's p99 stays under a second and nothing of theirs fails; memory stays within its bound; the attack is refused, and does what
it was to do to nobody. Attackers come from 127.0.0.66, the other user from 127.0.0.1.

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
from host import Failure, say, table
from plant import Attack, Plant
from victim import Victim

CASES = {
    "graphql": overload.graphql,
    "json-values": overload.json_values("numbers"),
    "json-names": overload.json_values("names"),
    "json-objects": overload.json_values("objects"),
    "csv-columns": overload.csv_columns,
    "csv-rows": overload.csv_rows,
    "new-names": overload.names,
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
"""Cases whose broker has no users of its own."""


def run(name, options):
    """One case: (faults, notes, figures before, figures during, memory)."""
    plant = Plant(options, name not in WITHOUT_BROKER_USER)
    victim = Victim(plant.host, plant.alice, plant.key, plant.login)
    victim.start()
    time.sleep(options.alone)
    before, memory = victim.figures(), plant.host.memory()[0]
    wrong = Counter(victim.wrong)
    victim.times.clear()
    attack = Attack(plant, options)
    steps = CASES[name](attack)
    next(steps)
    time.sleep(options.seconds)
    during = victim.figures()
    attack.end()
    peak = plant.host.memory()[1]
    try:
        for _ in steps:
            pass
        after(plant, attack)
    except (OSError, http.client.HTTPException, Failure) as error:
        attack.faults.append(f"{type(error).__name__}: {str(error)[:300]}")
    victim.stopping.set()
    victim.join(70)
    attack.notes.append(f"outcomes {dict(attack.outcomes)}")
    attack.want(plant.host.alive(), "the host ended by itself")
    attack.want(during[1] < options.p99, f"p99 of the other user is {during[1]:.0f} ms")
    attack.want(not victim.wrong - wrong, f"the other user's requests failed: {dict(victim.wrong - wrong)}")
    attack.want(peak - memory < options.growth, f"memory grew by {peak - memory:.0f} MB")
    plant.host.kill()
    return attack.faults, attack.notes, before, during, (memory, peak)


def after(plant, attack):
    """The attack is over: the line has to go on, which a reading shows that is stored soon."""
    before = plant.host.metrics(headers=plant.headers(plant.alice))
    stored = lambda samples: sum(value for name, value in samples.items() if name.startswith("wheeltapper_readings_stored"))
    plant.post([{"sensor_id": "north/after/t", "values": 1}], plant.key, source=("127.0.0.1", 0))
    began = time.monotonic()
    hosts.wait_for(
        "that the line goes on after the attack",
        attack.options.settle,
        lambda: plant.host.sql("SELECT 1 AS yes FROM reading_chunks, sensors WHERE id = sensor AND name = 'north/after/t'"),
        0.5,
    )
    attack.notes.append(f"the line is through after {time.monotonic() - began:.1f} s, stored before {stored(before):.0f}")
    status, text = plant.host.ready()
    attack.want(status == 200, f"/ready says {status}: {text[:200]}")


def main():
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--only", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--seconds", type=float, default=20, help="of each attack (default: 20)")
    parser.add_argument("--alone", type=float, default=3, help="seconds without attack, to compare")
    parser.add_argument("--p99", type=float, default=1000, help="ms that the other user's p99 may be")
    parser.add_argument("--growth", type=float, default=400, help="MB by which memory may grow")
    parser.add_argument("--drip", type=float, default=90, help="seconds within which dripped bodies have to be cut")
    parser.add_argument("--settle", type=float, default=30, help="seconds after which the line has to be through")
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    options = parser.parse_args()
    rows, failed = [], False
    for name in options.only.split(",") if options.only else CASES:
        say(name)
        try:
            faults, notes, before, during, memory = run(name, options)
        except Failure as error:
            faults, notes, before, during, memory = [str(error)], [], (0, 0, 0, 0), (0, 0, 0, 0), (0, 0)
        failed = failed or bool(faults)
        for note in notes:
            say(f"  {note}")
        for fault in faults:
            say(f"  WRONG: {fault}")
        show = lambda figures: f"{figures[0]:.0f}/{figures[1]:.0f}/{figures[2]:.0f}"
        rows.append(
            [name, "FAILED" if faults else "ok", show(before), show(during), during[3], f"{memory[0]:.0f} -> {memory[1]:.0f}"]
            + ["; ".join(fault.splitlines()[0] for fault in faults)]
        )
    print()
    table(["attack", "result", "alone p50/p99/max ms", "attacked", "requests", "memory MB", "what is wrong"], rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
