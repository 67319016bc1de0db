#!/usr/bin/env python3
"""SIGKILL under load: each acknowledged reading must be stored exactly once.

Senders over HTTP, MQTT QoS 1 or QoS 2 continue across kills as a conforming client does, with and without timestamps.
After the last restart, the script exports the store and counts each reading.

    tests/faults/exactly_once.py --kills 50                      # all transports, 1,000 sensors
    tests/faults/exactly_once.py --transport http --sensors 2400 --partitions 1 --checkpoint 50ms --kills 16
"""

import argparse
import random
import sys
import time

import host as hosts
from host import Host, report, table
from ledger import Count, Ledger, dead_letters, exported
from load import Load, pause_before_kill

TRANSPORTS = ["http", "mqtt1", "mqtt2"]


def configuration(options):
    """The host's configuration."""
    partitions = f"partitions = {options.partitions}\n" if options.partitions else ""
    # Short windows give anomalies early, so that commits of findings race with checkpoints.
    windows = '[windows]\nsize = "4s"\nslide = "4s"\nlateness = "60s"\n[detect]\nwarmup_windows = 10\n'
    return f'{partitions}[line]\ncheckpoint = "{options.checkpoint}"\n{windows}'


def run_transport(options, transport, rng):
    """Tests one transport; returns (count, dead letters, load, host)."""
    host = Host(options.binary, configuration(options), keep=options.keep)
    ledger = Ledger()
    load = Load(
        ledger, transport, options.sensors, options.stamps, options.mqtt_version, options.rate, options.window
    )
    load.start()
    for kill in range(options.kills):
        before = ledger.acknowledged
        host.start()
        load.set_host(host)
        time.sleep(pause_before_kill(options.seconds, rng))
        if options.progress:
            # A kill before any acknowledgement tests nothing.
            hosts.wait_for("an acknowledgement", 60, lambda seen=before: ledger.acknowledged > seen, 0.005)
        if kill % 2:
            load.ignore_acks()
            time.sleep(0.05)
        if options.terminate and kill % 4 >= 2:
            host.stop()
        else:
            host.kill()
        load.set_host(None)
    host.start()
    load.set_host(host)
    load.finish()
    lag = host.wait_settled(600)
    if lag:
        report(f"{transport}: {lag:.0f} bytes of the log were not processed")
    host.stop(within=600)
    count = ledger.compare(exported(host))
    anomalies = host.sql("SELECT count(*) AS found FROM anomalies")[0]["found"]
    report(f"{transport}: {anomalies} anomalies were found")
    return count, dead_letters(host), load, host


def main():
    """Runs the tests; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--kills", type=int, default=50, help="per transport (default: 50)")
    parser.add_argument("--seconds", type=float, default=1.5, help="maximum lifetime of a host before its kill")
    parser.add_argument("--transport", choices=[*TRANSPORTS, "all"], default="all")
    parser.add_argument("--sensors", type=int, default=1000)
    parser.add_argument("--partitions", type=int, default=0, help="0: one per core")
    parser.add_argument("--checkpoint", default="300ms")
    parser.add_argument("--stamps", choices=["both", "with", "without"], default="both")
    parser.add_argument("--mqtt-version", type=int, choices=[4, 5], default=4)
    parser.add_argument("--window", type=int, default=100, help="unacknowledged MQTT messages per connection")
    parser.add_argument("--rate", type=float, default=50_000, help="maximum readings/s (default: 50,000)")
    parser.add_argument("--terminate", action="store_true", help="half of the kills are SIGTERMs")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    parser.add_argument(
        "--no-progress", dest="progress", action="store_false", help="also kill before any acknowledgement"
    )
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    report(f"seed {seed}, binary {options.binary}")
    rng = random.Random(seed)
    rows = []
    correct = True
    for transport in TRANSPORTS if options.transport == "all" else [options.transport]:
        began = time.monotonic()
        count, dead_letter_counts, load, host = run_transport(options, transport, rng)
        duration = time.monotonic() - began
        row = [transport, options.kills, f"{duration:.0f} s", *count.row()]
        rows.append([*row, load.sessions_lost(), dead_letter_counts or "none"])
        report(f"{transport}: {load.outcomes()}")
        if options.keep:
            report(f"kept in {host.folder}")
        for example in count.examples:
            report(f"{transport}: {example}")
        if count.acknowledged == 0:
            report(f"{transport}: nothing was acknowledged, so nothing was tested")
        correct = correct and count.correct() and count.acknowledged > 0
    print()
    table(["transport", "kills", "duration", *Count.HEADS, "sessions lost", "dead letters"], rows)
    print("\nexactly once:", "yes" if correct else "NO")
    return 0 if correct else 1


if __name__ == "__main__":
    sys.exit(main())
