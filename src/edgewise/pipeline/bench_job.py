"""`bench`: latencies of models, runs and files, side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewise.bench.protocol import Case, measure_cases
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.export import export
from edgewise.deploy.runtimes.formats import format_of
from edgewise.deploy.runtimes.registry import get_runtime, runtime_for
from edgewise.errors import ConfigError, InputError, shown
from edgewise.models.resolve import is_model_name, resolve
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.settings import check_img_size
from edgewise.pipeline.trained import load_trained
from edgewise.records.artifact import Preprocessing
from edgewise.records.environment import usable_cores
from edgewise.records.measurement import Measurement


@dataclass(frozen=True, kw_only=True)
class How:
    """The settings that all cases share."""

    runtime: str | None
    threads: int
    batch: int
    img_size: int | None


def bench_all(
    what: Sequence[str],
    *,
    runtime: str | None = None,
    threads: int = 1,
    batch: int = 1,
    img_size: int | None = None,
    listener: JobListener,
) -> list[Measurement]:
    """Measure everything in ``what``, interleaved: models (random weights), runs, exported files and folders.

    Args:
        what: paths, and what `models.resolve` takes: names, spec files, ``timm:NAME``.
        runtime: where models and runs are exported for; files run where their format does.
        threads: of one call.
        batch: images a call.
        img_size: side in pixels for models; the model's own by default.
        listener: hears of it.

    Raises:
        InputError: a name or path cannot be used.
        BenchError: a measurement failed.
    """
    if not 1 <= threads <= usable_cores():
        raise ConfigError(f"threads is {threads}; accepted: 1 to {usable_cores()}, the cores of this machine")
    if batch < 1:
        raise ConfigError(f"batch is {batch}; must be 1 or more")
    if img_size is not None:
        check_img_size(img_size)
    if runtime is not None:
        get_runtime(runtime)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
        how = How(runtime=runtime, threads=threads, batch=batch, img_size=img_size)
        cases = [_case(each, Path(temporary) / str(number), how, listener) for number, each in enumerate(what)]
        listener.on_stage(f"Timing {len(cases)} file{'s' if len(cases) > 1 else ''}, threads {threads}, batch {batch}")
        return measure_cases(cases, progress=listener.on_progress)


def _case(what: str, folder: Path, how: How, listener: JobListener) -> Case:
    path = Path(what)
    if not is_model_name(what) and not path.exists():
        if path.suffix or len(path.parts) > 1:
            raise InputError(
                f"{shown(what)} does not exist; give a model's name, a spec file, a run's folder or an exported file"
            )
        resolve(what)
    if is_model_name(what) or (path / "config.yaml").is_file():
        return _exported_case(what, folder, how, listener)
    if (path / "artifact.json").is_file() or (path.parent / "artifact.json").is_file():
        artifact, file = load_artifact(path)
        shape = (how.batch, *(int(side) for side in artifact.input.shape[1:]))
        name, precision = f"{artifact.model} {artifact.format} {artifact.precision}", artifact.precision
    else:
        file, shape, name, precision = path, None, path.name, "fp32"
    return Case(
        name=name,
        path=file,
        runtime=how.runtime or runtime_for(file).name,
        format=format_of(file),
        precision=precision,
        threads=how.threads,
        batch=how.batch,
        input_shape=shape,
    )


def _exported_case(what: str, folder: Path, how: How, listener: JobListener) -> Case:
    listener.on_stage(f"Exporting {what}")
    runtime = how.runtime or "onnxruntime"
    format_ = get_runtime(runtime).formats[0]
    if is_model_name(what):
        source = resolve(what)
        side = how.img_size or source.img_size
        model, name = source.build(side), source.name
        preprocessing = Preprocessing.for_chans(getattr(model, "in_chans", 3), side)
    else:
        trained = load_trained(what)
        model, preprocessing, name = trained.model, trained.preprocessing, trained.name
    artifact = export(model, folder, format=format_, preprocessing=preprocessing, model_name=name)
    side = preprocessing.img_size
    return Case(
        name=what,
        path=folder / artifact.files[0],
        runtime=runtime,
        format=format_,
        precision="fp32",
        threads=how.threads,
        batch=how.batch,
        input_shape=(how.batch, len(preprocessing.mean), side, side),
    )
