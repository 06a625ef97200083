"""A worker without a clock: ``fake_worker.py LOG MODE`` answers at once, and logs who was busy when.

MODE is ``good``, ``die``, ``hang``, ``changing`` (its output), ``disturbed`` (for 30 blocks), ``busy``, ``stepping`` (the machine is
twice as fast from the 16th block on), ``slow`` (to load), ``moody`` (each process has a speed of its own) or ``scattered`` (two
processes are 6 % slower, the next two are not). A file named ``late`` warms up slowly. Blocks and processes are counted over all that
wrote into LOG.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

log, mode = Path(sys.argv[1]), sys.argv[2]
blocks = processes = 0
name = ""


def blocks_before():
    """Return how many blocks earlier processes of this file have done."""
    lines = log.read_text().splitlines() if log.exists() else []
    return lines.count(f"start {name}")


def note(text):
    with log.open("a") as file:
        file.write(text + "\n")


def block(order):
    global blocks  # noqa: PLW0603
    blocks += 1
    note(f"start {name}")
    if mode == "die":
        sys.stderr.write("first words\nthe roof is on fire\n")
        sys.exit(3)
    if mode == "hang":
        sys.stderr.write("thinking\n")
        sys.stderr.flush()
        time.sleep(60)
    rng = random.Random(f"{name} {blocks}")
    wall_s = 0.02
    share = 0.5 if mode == "busy" or (mode == "disturbed" and blocks <= 30) else 1.0
    occupancy = {
        "wall_s": wall_s,
        "process_s": wall_s * share,
        "cores_busy_s": wall_s,
        "machine_busy_s": wall_s,
        "num_watched": 1,
        "num_cores": 2,
    }
    note(f"end {name}")
    slow = 0.5 if mode == "stepping" and blocks > 15 else 1.0
    own = 1 + 0.02 * random.Random(os.getpid()).random() if mode == "moody" else 1.0
    if mode == "scattered" and processes % 4 in (1, 2):
        own = 1.06
    return {
        "samples_ms": [own * slow * (10 + 0.01 * rng.random()) for _ in range(order["num_calls"])],
        "reference_ms": slow * (0.2 + 0.0002 * rng.random()),
        "occupancy": occupancy,
        "checksum": str(blocks if mode == "changing" else 0),
    }


for line in sys.stdin:
    order = json.loads(line)
    answer = {}
    if order["do"] == "load":
        name = Path(order["path"]).name
        blocks = blocks_before()
        note(f"pid {os.getpid()}")
        processes = log.read_text().count("pid ")
        time.sleep(0.4 if mode == "slow" else 0.0)
        answer = {"load_ms": 1.0, "input_shape": [order["batch"], 8]}
    elif order["do"] == "warm_up":
        answer = {"call_ms": 40.0 if name == "late" else 4.0, "stable": True}
    elif order["do"] == "block":
        answer = block(order)
    elif order["do"] == "operator_times":
        answer = {
            "ops": [{"op": "Conv", "numel": 8, "us": 9e3}, {"op": "Gemm", "numel": order["num_calls"], "us": 1e3}]
        }
    elif order["do"] == "footprint":
        answer = {"peak_rss_bytes": 1 << 20, "placement": {"CPU": 2}}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
