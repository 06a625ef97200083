"""ncnn's files: a `.param` with the graph, a `.bin` with the weights, made by pnnx."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch.export import ExportedProgram

from edgewise.deploy.exporters.protocol import ExportOptions, input_shape
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.errors import ExportError
from edgewise.records.artifact import Layout

NO_SUCH_LAYER = re.compile(r"^(?:aten|prim|torch|F|Tensor|nn)[.:]\S+", re.MULTILINE)
"""An operator that pnnx left as it was, since ncnn has no layer for it."""


PERMUTE = re.compile(r"^Permute\s", re.MULTILINE)


class NcnnExporter:
    """Writer of `.param` and `.bin` with one input `in0` and one output `out0`; the format holds no metadata."""

    format = "ncnn"
    suffix = ".param"
    precisions = ("fp32", "fp16")
    layouts: tuple[Layout, ...] = ("nchw",)
    runtime = "ncnn"
    sdks = (
        Sdk(package="pnnx", module="pnnx", install="'edgewise[ncnn]'"),
        Sdk(package="ncnn", module="ncnn", install="'edgewise[ncnn]'"),
    )
    can_batch = batches_by_default = names_input = False

    def export(self, program: ExportedProgram, path: Path, options: ExportOptions) -> None:
        """Write ``program`` to ``path``, its weights to the `.bin` beside it, for fp16 in half the bytes.

        Raises:
            ExportError: pnnx failed, or ncnn has no layer for an operator.
        """
        _, chans, height, width = input_shape(program)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            example = torch.zeros(1, chans or 3, height or 1, width or 1)
            torch.jit.trace(program.module(), example).save(str(folder / "net.pt"))  # type: ignore[no-untyped-call]
            command = [
                str(_pnnx()),
                "net.pt",
                f"inputshape=[1,{chans},{height},{width}]",
                f"fp16={int(options.precision == 'fp16')}",
            ]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            graph, weights = folder / "net.ncnn.param", folder / "net.ncnn.bin"
            if done.returncode != 0 or not graph.is_file():
                raise ExportError(f"pnnx failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
            text = graph.read_text(encoding="utf-8")
            if foreign := NO_SUCH_LAYER.findall(text):
                raise ExportError(f"ncnn has no layer for {', '.join(sorted(set(foreign)))}")
            sized, count = re.subn(
                r"^(Input\s+in0\s+0 1 in0)\s*$", rf"\1 0={width} 1={height} 2={chans}", text, flags=re.MULTILINE
            )
            if count != 1:
                raise ExportError("pnnx wrote no input layer in0")
            path.write_text(sized, encoding="utf-8")
            path.with_suffix(".bin").write_bytes(weights.read_bytes())

    def transposes(self, path: Path) -> int:
        """Count the layers that permute."""
        return len(PERMUTE.findall(path.read_text(encoding="utf-8")))

    def metadata(self, path: Path) -> None:  # noqa: ARG002
        """Say that the format holds none."""
        return


def _pnnx() -> Path:
    """Return the converter that the package pnnx installs beside this Python."""
    found = Path(sys.executable).with_name("pnnx.exe" if sys.platform == "win32" else "pnnx")
    if not found.is_file():
        raise ExportError(f"pnnx is installed without its program {found.name}; install edgewise[ncnn] again")
    return found
