"""Which fusion model says what a runtime runs on this machine."""

from __future__ import annotations

from edgewise.cost.fusion import FUSIONS
from edgewise.deploy.runtimes.onnxruntime import channel_block


def fusion_here(runtime: str) -> str:
    """Return the name of the fusion model of ``runtime``; ONNX Runtime's layouts depend on the processor.

    Raises:
        MissingExtraError: the runtime is not installed.
    """
    if runtime != "onnxruntime":
        return runtime
    blocked = f"onnxruntime-nchw{channel_block()}c"
    return blocked if blocked in FUSIONS else runtime
