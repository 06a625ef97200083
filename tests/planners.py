"""What memory planners that really run allocate for activations, without a delegate.

LiteRT's planner runs in `allocate_tensors`; how large its arena is shows in the addresses of the tensors. ExecuTorch's runs when a
program is made and writes the size into it; that is done in a process of its own, `python -m tests.planners PROGRAM`, with constants
folded as a deployed file has them (else the transposed classifier is planned as an activation).
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import torch
from torch.export import ExportedProgram

from edgewise.deploy.convert import convert


def litert_arena_bytes(program: ExportedProgram, folder: Path) -> int:
    """Return the size of the arena in which LiteRT runs ``program`` on one thread with its own kernels."""
    path = folder / "plain.tflite"
    convert(program, path, format="tflite")
    return arena_of(path)


def arena_of(path: Path) -> int:
    """Return the span of addresses of all tensors that the ``.tflite`` file's operators write, its input and scratch."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    planned = {each["index"] for each in interpreter.get_input_details()}
    for op in interpreter._get_ops_details():
        planned.update(int(index) for index in op["outputs"])
    # scratch has no name
    planned.update(each["index"] for each in interpreter.get_tensor_details() if not each["name"])
    spans = []
    for index in planned:
        try:
            tensor = interpreter.tensor(index)()
        except ValueError:  # never allocated: a constant that was folded
            continue
        start = tensor.__array_interface__["data"][0]
        spans.append((start, start + tensor.nbytes))
    return max(end for _, end in spans) - min(start for start, _ in spans)


def executorch_plan_bytes(program: ExportedProgram, folder: Path) -> int:
    """Return the memory that ExecuTorch plans for ``program`` with its portable kernels."""
    path = folder / "program.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path)
    command = [sys.executable, "-m", "tests.planners", str(path)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return int(done.stdout.split()[-1])


def _plan(path: Path) -> int:
    from executorch.exir import ExecutorchBackendConfig, to_edge

    edge = to_edge(torch.export.load(path))
    made = edge.to_executorch(ExecutorchBackendConfig(do_quant_fusion_and_const_prop=True))
    return sum(made.executorch_program.execution_plan[0].non_const_buffer_sizes)


if __name__ == "__main__":
    sys.stdout.write(f"{_plan(Path(sys.argv[1]))}\n")
