"""Networks exported beside each other and timed one after the other: many, quickly, for fits over all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch import nn

from edgewise.bench.one_after_another import File, QuickTime, time_files
from edgewise.deploy.export import export
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.deploy.workshop import Workshop
from edgewise.errors import EdgewiseError
from edgewise.pipeline.listener import JobListener
from edgewise.records.artifact import Preprocessing
from edgewise.records.environment import usable_cores

Make = Callable[[], tuple[nn.Module, int]]
"""Makes a network, in eval mode, and says the side of its input in pixels."""


class NetworkTimer:
    """Times batches of networks in one runtime; files live no longer than their batch."""

    def __init__(self, runtime: str, threads: int, workshop: Workshop, listener: JobListener) -> None:
        self._runtime, self._threads, self._workshop, self._listener = runtime, threads, workshop, listener

    def times(self, networks: Sequence[tuple[str, Make]]) -> list[QuickTime | None]:
        """Return the time of each named network, in order; None for one that cannot be exported or run, which is told."""
        with tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
            tasks = [partial(self._exported, name, make, Path(temporary)) for name, make in networks]
            files = dict(self._workshop.beside_each_other(tasks, usable_cores() + 1))
            made = [place for place in range(len(networks)) if files[place] is not None]
            to_time = [file for place in made if (file := files[place]) is not None]
            times = dict(zip(made, time_files(to_time, self._runtime, self._threads), strict=True))
        return [times.get(place) for place in range(len(networks))]

    def _exported(self, name: str, make: Make, folder: Path) -> File | None:
        with self._workshop.lock:  # drawing weights sets torch's generator
            model, side = make()
        out_dir = folder / name
        try:
            artifact = export(
                model,
                out_dir,
                format=get_runtime(self._runtime).formats[0],
                preprocessing=Preprocessing(img_size=side),
                model_name=name,
                verify=False,
                workshop=self._workshop,
            )
        except EdgewiseError as error:
            self._listener.on_message(f"{name} is left out: {error}")
            return None
        return File(path=out_dir / artifact.files[0], input_shape=(1, *map(int, artifact.input.shape[1:])))
