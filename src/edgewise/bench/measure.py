"""`edgewise.measure`: one latency from Python."""

from __future__ import annotations

import tempfile
from pathlib import Path

from torch import nn

from edgewise.bench.protocol import measure_file
from edgewise.deploy.export import export
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.records.artifact import Preprocessing
from edgewise.records.measurement import Measurement


def measure(
    what: nn.Module | str | Path,
    *,
    runtime: str | None = None,
    img_size: int | None = None,
    threads: int = 1,
    batch: int = 1,
) -> Measurement:
    """Measure the latency of a module or an exported file in a fresh pinned process.

    Args:
        what: an exported file, or a module, which is exported for ``runtime`` into a temporary folder first.
        runtime: as in ``onnxruntime``, ``openvino`` or ``litert``; the first for modules by default, what a file is for otherwise.
        img_size: side in pixels for a module; its own by default, else 224.
        threads: of one call.
        batch: images a call.

    Raises:
        InputError: the file or an argument cannot be used.
        ExportError: the module could not be exported.
        BenchError: the measurement failed.
    """
    if not isinstance(what, nn.Module):
        return measure_file(Path(what), runtime=runtime, threads=threads, batch=batch)
    spec = getattr(what, "spec", None)
    side: int = img_size if img_size is not None else getattr(spec, "img_size", 224)
    in_chans: int = getattr(spec, "in_chans", 3)
    recipe = Preprocessing(img_size=side, mean=(0.5,) * in_chans, std=(0.5,) * in_chans)
    runtime = runtime or "onnxruntime"
    name = getattr(spec, "name", type(what).__name__)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
        folder = Path(temporary) / "file"
        format_ = get_runtime(runtime).formats[0]
        artifact = export(what, folder, format=format_, preprocessing=recipe, model_name=name, batch=batch)
        return measure_file(
            folder / artifact.files[0],
            runtime=runtime,
            threads=threads,
            batch=batch,
            input_shape=(batch, *map(int, artifact.input.shape[1:])),
            name=name,
        )
