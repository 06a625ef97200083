"""ncnn on the CPU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewise.deploy.runtimes.formats import check_format, companion
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.loading import loading
from edgewise.deploy.runtimes.protocol import Array, Availability, RuntimeOptions
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.errors import InputError, shown

INPUT_SIZE = re.compile(r"^Input\s.*\s0=(\d+) 1=(\d+) 2=(\d+)", re.MULTILINE)
"""Width, height and channels of the input layer. pnnx leaves them out, our exporter writes them."""
FP16_OPTIONS = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")


class NcnnSession:
    """A loaded network; images go through it one by one."""

    def __init__(self, net: Any, shape: tuple[int | None, ...]) -> None:
        self._net = net
        self._input, self._output = net.input_names()[0], net.output_names()[0]
        self.inputs = (FileInput(name=self._input, shape=shape, dtype="float32"),)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run one forward pass; (N, C, H, W) to (N, num_classes)."""
        return [np.stack([self._answer(image) for image in arrays[0]])]

    def _answer(self, image: Array) -> Array:
        import ncnn

        extractor = self._net.create_extractor()
        extractor.input(self._input, ncnn.Mat(np.ascontiguousarray(image)))
        code, output = extractor.extract(self._output)
        if code != 0:
            raise RuntimeError(f"ncnn could not compute {self._output} (code {code})")
        return np.array(output)

    def close(self) -> None:
        """Free the network."""
        self._net.clear()
        self._net = None


class Ncnn:
    """Runs `.param` files (their weights in the `.bin` beside them) in float32 with a fixed number of threads."""

    name = "ncnn"
    formats = ("ncnn",)
    sdk = Sdk(package="ncnn", module="ncnn", install="'edgewise[ncnn]'")

    def availability(self) -> Availability:
        """Say whether ncnn is installed."""
        return self.sdk.availability()

    def load(self, path: Path, options: RuntimeOptions) -> NcnnSession:
        """Load the `.param` file at ``path``.

        It computes in float32: left alone, ncnn stores and computes in half precision, and answers differ by 5e-4.

        Raises:
            InputError: the file is missing, is no ncnn file, is damaged, or its weights are missing.
            MissingExtraError: ncnn is not installed.
        """
        check_format(path, self)
        weights = companion(path)
        self.sdk.require()
        import ncnn

        net = ncnn.Net()
        net.opt.num_threads = options.threads
        net.opt.use_vulkan_compute = False
        for option in FP16_OPTIONS:
            setattr(net.opt, option, False)
        with loading(path, "ncnn"):
            failed = net.load_param(str(path)) or net.load_model(str(weights))
        if failed:
            raise InputError(f"{shown(path)} cannot be loaded by ncnn: it or {weights.name} is damaged")
        return NcnnSession(net, _stated_shape(path))


def _stated_shape(path: Path) -> tuple[int | None, ...]:
    found = INPUT_SIZE.search(path.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        return (None, None, None, None)
    width, height, chans = map(int, found.groups())
    return (None, chans, height, width)
