"""Networks exported beside each other and timed one after the other: many, quickly, for fits over all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch import nn

from edgewise.bench.case import Case
from edgewise.bench.one_after_another import time_files
from edgewise.bench.schedule import alternated
from edgewise.deploy.export import export
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.deploy.workshop import Workshop
from edgewise.errors import EdgewiseError
from edgewise.pipeline.listener import JobListener
from edgewise.records.artifact import Preprocessing
from edgewise.records.environment import usable_cores
from edgewise.records.timed import Timed

Make = Callable[[], tuple[nn.Module, int]]
"""Makes a network, in eval mode, and says the side of its input in pixels."""


class NetworkTimer:
    """Times batches of networks in one runtime; files live no longer than their batch."""

    def __init__(
        self, runtime: str, threads: int, workshop: Workshop, listener: JobListener, *, with_operators: bool = False
    ) -> None:
        self._runtime, self._threads, self._workshop, self._listener = runtime, threads, workshop, listener
        self._with_operators = with_operators

    def times(self, networks: Sequence[tuple[str, Make]]) -> list[Timed | None]:
        """Return the time of each named network, in order; None for one that cannot be exported or run, which is told."""
        (once,) = self.repeated(networks, 1)
        return once

    def repeated(self, networks: Sequence[tuple[str, Make]], num_processes: int) -> list[list[Timed | None]]:
        """Return what `times` does, once for each of several fresh processes; they take the files in opposite orders in turn."""
        with tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
            tasks = [partial(self._exported, name, make, Path(temporary)) for name, make in networks]
            cases = dict(self._workshop.beside_each_other(tasks, usable_cores() + 1))
            made = [(place, case) for place in range(len(networks)) if (case := cases[place]) is not None]
            rounds = []
            for number in range(num_processes):
                order = alternated(made, number)
                timed = time_files([case for _, case in order], with_operators=self._with_operators)
                times = dict(zip((place for place, _ in order), timed, strict=True))
                rounds.append([times.get(place) for place in range(len(networks))])
        return rounds

    def _exported(self, name: str, make: Make, folder: Path) -> Case | None:
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
                dynamic_batch=False,  # three times as fast to export
                verify=False,
                workshop=self._workshop,
            )
        except EdgewiseError as error:
            self._listener.on_message(f"{name} is left out: {error}")
            return None
        return Case(
            name=name,
            path=out_dir / artifact.files[0],
            runtime=self._runtime,
            format=artifact.format,
            precision=artifact.precision,
            threads=self._threads,
            input_shape=(1, *map(int, artifact.input.shape[1:])),
        )
