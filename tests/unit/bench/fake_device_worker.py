"""A device worker without a clock: ``fake_device_worker.py MODE`` answers with times that its kernels' names say.

MODE is ``good``, ``crash`` (onnxruntime dies), ``busy`` (half of each core is somebody else's, always) or ``shared`` (in every third
block, which then takes twice as long).
"""

import json
import sys

mode = sys.argv[1]
threads = 1
KERNELS = {
    # name: (precision, ms of one call on one thread, MACs)
    "numpy": {"numpy slow": ("fp32", 4.0, 100_000_000), "numpy fast": ("fp32", 2.0, 100_000_000)},
    "onnxruntime": {"ort float": ("fp32", 2.5, 100_000_000), "ort whole": ("int8", 0.5, 100_000_000)},
    "openvino": {"ov half": ("bf16", 1.0, 100_000_000)},
}
WALK_MS = {"numpy dot": 1.0, "numpy negative": 2.0, "memcpy": 1.6}


def timed(call_ms, units, num_blocks):
    call_s, lost, occupancies = [], [], []
    for number in range(num_blocks):
        disturbed = mode == "busy" or (mode == "shared" and number % 3 == 0)
        lost.append(0.5 if disturbed else 0.01)
        call_s.append((2 if disturbed else 1) * call_ms / 1e3 / threads * (1 + number / 1000))
        occupancies.append(
            {
                "wall_s": 0.01,
                "process_s": 0.01 * threads * (0.5 if disturbed else 1),
                "cores_busy_s": 0.01 * threads,
                "machine_busy_s": 0.01 * threads,
                "num_watched": threads,
                "num_cores": threads,
            }
        )
    times = {"units": units, "call_s": call_s, "reference_ms": [0.2] * num_blocks}
    return {**times, "lost": lost, "occupancies": occupancies}


for line in sys.stdin:
    order = json.loads(line)
    answer = {}
    if order["do"] == "start":
        threads = order["threads"]
        sizes = {"L1": 1 << 15, "L2": 1 << 19, "L3": 1 << 24}
        answer["caches"] = [{"level": name, "size_bytes": size, "num_sharing": 1} for name, size in sizes.items()]
    elif order["do"] == "names":
        if order["library"] == "torch":
            answer = {"error": "torch is not installed: pip install torch", "is_input": True}
        else:
            of_library = KERNELS[order["library"]]
            answer["kernels"] = [name for name, found in of_library.items() if found[0] == order["precision"]]
    elif order["do"] == "peak":
        if mode == "crash" and order["library"] == "onnxruntime" and order["precision"] == "int8":
            sys.stderr.write("illegal instruction\n")
            sys.exit(3)
        if order["library"] == "openvino":
            answer["skipped"] = "OpenVINO computes bf16 in f32 here"
        else:
            _, call_ms, macs = KERNELS[order["library"]][order["kernel"]]
            answer = timed(call_ms, macs, order["num_blocks"])
    elif order["do"] == "walk":
        answer = timed(WALK_MS[order["walk"]], 10_000_000, order["num_blocks"])
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
