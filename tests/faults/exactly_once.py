#!/usr/bin/env python3
"""kill -9 under load: what was acknowledged is stored exactly once.

Senders over HTTP, MQTT QoS 1 or QoS 2 go on through every kill as a lawful client does; readings with and without
timestamps. After the last restart the store is exported and counted reading by reading.

    tests/faults/exactly_once.py --kills 50                      # all transports, 1,000 sensors
    tests/faults/exactly_once.py --transport http --sensors 2400 --partitions 1 --checkpoint 50ms --kills 16
"""

import argparse
import random
import sys
import time

import host as hosts
from host import Host, say, table
from ledger import Count, Ledger, dead_letters, exported
from load import Load, pause_before_kill

TRANSPORTS = ["http", "mqtt1", "mqtt2"]


def configuration(options):
    """The host's configuration."""
    partitions = f"partitions = {options.partitions}\n" if options.partitions else ""
    # Short windows, so that anomalies are found from early on: a commit of findings may race a checkpoint.
    windows = '[windows]\nsize = "4s"\nslide = "4s"\nlateness = "60s"\n[detect]\nwarmup_windows = 10\n'
    return f'{partitions}[line]\ncheckpoint = "{options.checkpoint}"\n{windows}'


def one(options, transport, noise):
    """One transport: (count, dead letters, load, kills that hit a running host)."""
    host = Host(options.binary, configuration(options), keep=options.keep)
    ledger = Ledger()
    load = Load(
        ledger, transport, options.sensors, options.stamps, options.mqtt_version, options.rate, options.window
    )
    load.start()
    for kill in range(options.kills):
        before = ledger.acknowledged
        host.start()
        load.to(host)
        time.sleep(pause_before_kill(options.seconds, noise))
        if options.progress:
            # A kill while nothing is acknowledged tests nothing.
            hosts.wait_for("an acknowledgement", 60, lambda seen=before: ledger.acknowledged > seen, 0.005)
        if kill % 2:
            load.deaf()
            time.sleep(0.05)
        if options.terminate and kill % 4 >= 2:
            host.stop()
        else:
            host.kill()
        load.to(None)
    host.start()
    load.to(host)
    load.finish()
    lag = host.wait_settled(600)
    if lag:
        say(f"{transport}: {lag:.0f} bytes of the log were still not gone through")
    host.stop(within=600)
    count = ledger.compare(exported(host))
    anomalies = host.sql("SELECT count(*) AS found FROM anomalies")[0]["found"]
    say(f"{transport}: {anomalies} anomalies were found meanwhile")
    return count, dead_letters(host), load, host


def main():
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=hosts.default_binary())
    parser.add_argument("--kills", type=int, default=50, help="per transport (default: 50)")
    parser.add_argument("--seconds", type=float, default=1.5, help="longest life of a host before its kill")
    parser.add_argument("--transport", choices=[*TRANSPORTS, "all"], default="all")
    parser.add_argument("--sensors", type=int, default=1000)
    parser.add_argument("--partitions", type=int, default=0, help="0 is one a core")
    parser.add_argument("--checkpoint", default="300ms")
    parser.add_argument("--stamps", choices=["both", "with", "without"], default="both")
    parser.add_argument("--mqtt-version", type=int, choices=[4, 5], default=4)
    parser.add_argument("--window", type=int, default=100, help="MQTT messages under way on a connection")
    parser.add_argument("--rate", type=float, default=50_000, help="most readings a second (default: 50,000)")
    parser.add_argument("--terminate", action="store_true", help="half of the kills are SIGTERMs")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", action="store_true", help="keep the host's folder")
    parser.add_argument("--no-progress", dest="progress", action="store_false", help="kill also before anything is taken")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    say(f"seed {seed}, binary {options.binary}")
    noise = random.Random(seed)
    rows = []
    sound = True
    for transport in TRANSPORTS if options.transport == "all" else [options.transport]:
        began = time.monotonic()
        count, letters, load, host = one(options, transport, noise)
        took = time.monotonic() - began
        rows.append([transport, options.kills, f"{took:.0f} s", *count.row(), load.sessions_lost(), letters or "none"])
        say(f"{transport}: {load.outcomes()}")
        if options.keep:
            say(f"kept in {host.folder}")
        for example in count.examples:
            say(f"{transport}: {example}")
        if count.acknowledged == 0:
            say(f"{transport}: nothing was acknowledged, so that nothing is tested")
        sound = sound and count.sound() and count.acknowledged > 0
    print()
    table(["transport", "kills", "took", *Count.HEADS, "sessions lost", "dead letters"], rows)
    print("\nexactly once:", "yes" if sound else "NO")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
