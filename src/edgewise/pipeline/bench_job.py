"""`bench`: latencies of models, runs and files in several runtimes, precisions and thread counts, side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgewise.bench.protocol import Case, measure_cases
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.deploy.runtimes.formats import format_of
from edgewise.deploy.runtimes.registry import RUNTIMES, get_runtime, runtime_for
from edgewise.errors import ConfigError, ExportError, InputError, MissingExtraError, shown, unknown_name
from edgewise.models.resolve import is_model_name, resolve
from edgewise.pipeline.export_job import Exporting, ExportRequest
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.settings import check_img_size
from edgewise.records.environment import usable_cores
from edgewise.records.measurement import Measurement

ALL = "all"
DEFAULT_RUNTIME = "onnxruntime"


@dataclass(frozen=True, kw_only=True)
class How:
    """In what ways everything is measured."""

    runtimes: tuple[str, ...] = ()
    """Where models and runs are exported for, ``all`` = those that are here; files run where their format does. Empty: ONNX Runtime."""
    precisions: tuple[str, ...] = ("fp32",)
    """``all`` = those that each format has."""
    threads: tuple[int, ...] = (1,)
    """Of one call; every count is measured."""
    batch: int = 1
    """Images a call."""
    img_size: int | None = None
    """Side in pixels for models; the model's own by default."""
    data: str | None = None
    """Real images, which int8 needs; of a run, its own by default."""

    def check(self) -> None:
        """Refuse what cannot be measured here.

        Raises:
            ConfigError: a number is out of range.
            UnknownNameError: no such runtime or precision.
        MissingExtraError: a runtime is not installed, or does not exist for this platform.
        """
        for threads in self.threads:
            if not 1 <= threads <= usable_cores():
                raise ConfigError(f"threads is {threads}; accepted: 1 to {usable_cores()}, the cores of this machine")
        if self.batch < 1:
            raise ConfigError(f"batch is {self.batch}; must be 1 or more")
        if self.img_size is not None:
            check_img_size(self.img_size)
        for runtime in self.runtimes:
            available = get_runtime(runtime).availability() if runtime != ALL else None
            if available is not None and not available.ok:
                raise MissingExtraError(f"{runtime} cannot be used here: {available.reason}")
        known = {each for exporter in EXPORTERS.values() for each in exporter.precisions}
        for precision in self.precisions:
            if precision not in known | {ALL}:
                raise unknown_name("precision", precision, known | {ALL})

    def formats(self) -> list[str]:
        """Return the formats that models and runs are exported to."""
        if ALL not in self.runtimes:
            return [get_runtime(name).formats[0] for name in self.runtimes or (DEFAULT_RUNTIME,)]
        return [runtime.formats[0] for runtime in RUNTIMES.values() if runtime.availability().ok]

    def precisions_of(self, format_: str) -> list[str]:
        """Return those that are asked for and that ``format_`` has."""
        offered = EXPORTERS[format_].precisions
        return [each for each in offered if each in self.precisions or ALL in self.precisions]


def bench_all(
    what: Sequence[str], how: How, *, listener: JobListener, num_cases: int | None = None
) -> list[Measurement]:
    """Measure everything in ``what``, interleaved: models (random weights), runs, exported files and folders.

    A file that cannot be made is told of and left out, unless nothing else is left.

    Args:
        what: paths, and what `models.resolve` takes: names, spec files, ``timm:NAME``.
        how: in what ways.
        listener: hears of it.
        num_cases: refuse to measure another number of cases.

    Raises:
        ConfigError: there are not ``num_cases``.
        InputError: a name or path cannot be used.
        ExportError: no file could be made.
        BenchError: a measurement failed.
    """
    how.check()
    with tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
        files = [
            file
            for number, each in enumerate(what)
            for file in _files(each, Path(temporary) / str(number), how, listener)
        ]
        if not files:
            raise ExportError("nothing could be exported, so nothing was measured; the reasons stand above")
        cases = [replace(file, threads=threads) for file in files for threads in how.threads]
        if num_cases is not None and len(cases) != num_cases:
            listed = ", ".join(f"{case.name} ({case.runtime}, {case.threads})" for case in cases)
            raise ConfigError(f"{num_cases} cases are needed, these are {len(cases)}: {listed}")
        counts = ", ".join(map(str, how.threads))
        listener.on_stage(
            f"Timing {len(cases)} case{'s' if len(cases) > 1 else ''}, threads {counts}, batch {how.batch}"
        )
        return measure_cases(cases, progress=listener.on_progress)


def _files(what: str, folder: Path, how: How, listener: JobListener) -> Iterator[Case]:
    """Yield a case of one thread for each file that ``what`` is, or is exported to."""
    path = Path(what)
    if not is_model_name(what) and not path.exists():
        if path.suffix or len(path.parts) > 1:
            raise InputError(
                f"{shown(what)} does not exist; give a model's name, a spec file, a run's folder or an exported file"
            )
        resolve(what)
    if is_model_name(what) or (path / "config.yaml").is_file():
        yield from _exported(what, folder, how, listener)
        return
    if len(how.runtimes) > 1 or ALL in how.runtimes:
        listener.on_message(f"{what} is a file: it runs in the runtime of its format alone")
    given = how.runtimes[0] if len(how.runtimes) == 1 and ALL not in how.runtimes else None
    if (path / "artifact.json").is_file() or (path.parent / "artifact.json").is_file():
        artifact, file = load_artifact(path)
        shape = (how.batch, *(int(side) for side in artifact.input.shape[1:]))
        fixed = artifact.input.shape[0]
        if fixed not in ("batch", how.batch):
            raise InputError(
                f"{shown(what)} takes {fixed} images a call, not {how.batch}; export it again for that batch"
            )
        if artifact.verification is not None and not artifact.verification.passed:
            listener.on_message(f"{what} was kept on demand although it failed: {artifact.verification.reason}")
        name, precision = f"{artifact.model} {artifact.format} {artifact.precision}", artifact.precision
    else:
        file, shape, name, precision = path, None, path.name, "fp32"
    yield Case(
        name=name,
        path=file,
        runtime=given or runtime_for(file).name,
        format=format_of(file),
        precision=precision,
        batch=how.batch,
        input_shape=shape,
    )


def _exported(what: str, folder: Path, how: How, listener: JobListener) -> Iterator[Case]:
    exporting = Exporting.prepared(ExportRequest(source=what, data=how.data, img_size=how.img_size), listener)
    folder.mkdir()
    for format_, precision in [(each, precision) for each in how.formats() for precision in how.precisions_of(each)]:
        listener.on_stage(f"Exporting {what} to {format_} {precision}")
        out_dir = folder / f"{format_}-{precision}"
        try:
            artifact = exporting.write(out_dir, format_, precision, batch=how.batch, judge=False)
        except (ExportError, InputError) as error:
            if precision == "fp32" and not isinstance(error, ExportError | MissingExtraError):
                raise  # it is the model that cannot be used
            listener.on_message(f"{what} {format_} {precision} is left out: {error}")
            continue
        yield Case(
            name=f"{what} {precision}" if len(how.precisions) > 1 or ALL in how.precisions else what,
            path=out_dir / artifact.files[0],
            runtime=EXPORTERS[format_].runtime,
            format=format_,
            precision=precision,
            batch=how.batch,
            input_shape=(how.batch, *(int(side) for side in artifact.input.shape[1:])),
        )
