"""The files of a bench: what was given as one, and what is exported for a model or a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from edgewise.bench.case import Case
from edgewise.cost.limit import Work
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.workshop import Workshop
from edgewise.errors import EdgewiseError, ExportError, InputError, MissingExtraError, shown
from edgewise.models.catalogue import CATALOGUE
from edgewise.pipeline.bench_limit import Counts, work_of
from edgewise.pipeline.bench_plan import Slot, has_artifact
from edgewise.pipeline.bench_ways import ALL
from edgewise.pipeline.export_job import Exporting, ExportRequest
from edgewise.pipeline.listener import JobListener
from edgewise.records.artifact import Artifact
from edgewise.records.bench import Accuracy, BenchRequest
from edgewise.records.training import TrainRecord
from edgewise.train.run_folder import RunFolder


class LeftOutError(Exception):
    """A file cannot be made, for a reason that is the format's and not the model's."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A slot with its file.

    Attributes:
        slot: as planned.
        case: for the clock.
        model: the network's name.
        accuracy: what is known of the file's.
        work: of one call, where it is known of the model.
    """

    slot: Slot
    case: Case
    model: str
    accuracy: Accuracy | None
    work: Work | None = None


class Files:
    """Makes the file of each slot; a model is loaded once for all of its slots that follow each other.

    It is counted then, where ``counts`` are wanted. A context manager, on whose exit no process of a converter is left.
    """

    def __init__(self, request: BenchRequest, listener: JobListener, counts: Counts | None = None) -> None:
        self._request, self._listener, self._counts = request, listener, counts
        self._loaded: tuple[str, Exporting] | None = None
        self._workshop = Workshop()
        self._exports: dict[Path, Artifact | EdgewiseError] = {}
        self._names_precision = len(request.precisions) > 1 or ALL in request.precisions

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._workshop.close()

    def export(self, slots: Sequence[Slot], folder: Path) -> None:
        """Export what ``slots`` need into ``folder``, the files of one model beside each other; `made` tells what came of it.

        Raises:
            InputError: a model cannot be used.
        """
        to_make = [slot for slot in slots if not slot.is_file]
        for owner in dict.fromkeys(slot.owner for slot in to_make):
            own = {_out_dir(slot, folder): slot for slot in to_make if slot.owner == owner}
            exporting = self._exporting(next(iter(own.values())).what)
            ways = ", ".join(f"{slot.format} {slot.precision}" for slot in own.values())
            self._listener.on_stage(f"Exporting {exporting.trained.name} to {ways}")
            tasks = [partial(self._export, exporting, slot, out_dir) for out_dir, slot in own.items()]
            self._listener.on_progress(0, len(tasks))
            done = self._workshop.beside_each_other(tasks, exporting.at_once, [slot.format for slot in own.values()])
            for num_done, (place, outcome) in enumerate(done, 1):
                self._exports[list(own)[place]] = outcome
                self._listener.on_progress(num_done, len(tasks))

    def made(self, slot: Slot, folder: Path) -> Made:
        """Return ``slot`` with its file, which `export` has made in ``folder`` where none was given.

        Raises:
            LeftOutError: the file cannot be made in this format and precision.
            InputError: what was given cannot be used.
        """
        return self._given(slot) if slot.is_file else self._exported(slot, folder)

    def _given(self, slot: Slot) -> Made:
        path = Path(slot.what)
        if not has_artifact(path):
            return Made(slot=slot, case=self._case(slot, path.name, path), model=path.stem, accuracy=None)
        artifact, file = load_artifact(path)
        fixed = artifact.input.shape[0]
        if fixed not in ("batch", self._request.batch):
            raise InputError(
                f"{shown(slot.what)} takes {fixed} images a call, not {self._request.batch}; export it again for that batch"
            )
        if artifact.verification is not None and not artifact.verification.passed:
            self._listener.on_message(
                f"{slot.what} was kept on demand although it failed: {artifact.verification.reason}"
            )
        name = f"{artifact.model} {artifact.format} {artifact.precision}"
        case = self._case(slot, name, file, artifact)
        return Made(slot=slot, case=case, model=artifact.model, accuracy=_judged(artifact))

    def _exported(self, slot: Slot, folder: Path) -> Made:
        out_dir = _out_dir(slot, folder)
        artifact = self._exports[out_dir]
        if isinstance(artifact, EdgewiseError):
            if slot.precision == "fp32" and not isinstance(artifact, ExportError | MissingExtraError):
                raise artifact  # it is the model that cannot be used
            raise LeftOutError(str(artifact)) from artifact
        name = f"{slot.what} {slot.precision}" if self._names_precision else slot.what
        case = self._case(slot, name, out_dir / artifact.files[0], artifact)
        accuracy = _judged(artifact) or _known(slot, self._request.img_size)
        known = self._counts.get(slot.what) if self._counts is not None else None
        work = work_of(known, artifact, self._request.batch) if known is not None else None
        return Made(slot=slot, case=case, model=artifact.model, accuracy=accuracy, work=work)

    def _exporting(self, what: str) -> Exporting:
        if self._loaded is None or self._loaded[0] != what:
            request = ExportRequest(source=what, data=self._request.data, img_size=self._request.img_size)
            self._loaded = what, Exporting.prepared(request, self._listener)
            if self._counts is not None:
                trained = self._loaded[1].trained
                self._counts.remember(what, trained.model, trained.preprocessing.img_size)
        return self._loaded[1]

    def _export(self, exporting: Exporting, slot: Slot, out_dir: Path) -> Artifact | EdgewiseError:
        batch = self._request.batch
        try:
            return exporting.write(
                out_dir,
                slot.format,
                slot.precision,
                batch=batch,
                dynamic_batch=False,  # as it is measured; a dynamic one takes an exporter three times as long
                judge=False,
                workshop=self._workshop,
            )
        except (ExportError, InputError) as error:
            return error

    def _case(self, slot: Slot, name: str, file: Path, artifact: Artifact | None = None) -> Case:
        batch = self._request.batch
        sides = artifact.input.shape[1:] if artifact is not None else ()
        return Case(
            name=name,
            path=file,
            runtime=slot.runtime,
            format=slot.format,
            precision=slot.precision,
            threads=slot.threads,
            batch=batch,
            input_shape=(batch, *map(int, sides)) if sides else None,
        )


def _out_dir(slot: Slot, folder: Path) -> Path:
    return folder / f"{slot.owner:04d}-{slot.format}-{slot.precision}"


def _judged(artifact: Artifact) -> Accuracy | None:
    """Return what the file itself answered on labelled images, where its verification had some."""
    proof = artifact.verification
    if proof is None or proof.top1_file is None or proof.top1_model is None:
        return None
    return Accuracy(
        top1=proof.top1_file,
        source="labelled",
        of_this_file=True,
        drop=proof.top1_model - proof.top1_file,
        max_drop=proof.max_drop,
    )


def _known(slot: Slot, img_size: int | None) -> Accuracy | None:
    """Return what is known of the float32 model: a run's validation, or what was published for the size measured."""
    exact = slot.precision == "fp32"
    record = RunFolder(Path(slot.what)).train_record
    if record.is_file():
        return Accuracy(top1=TrainRecord.load(record).best_top1, source="validation", of_this_file=exact)
    entry = CATALOGUE.get(slot.what.partition(".")[0])
    if entry is None or entry.top1 is None or img_size not in (None, entry.img_size):
        return None
    return Accuracy(top1=entry.top1, source="published", of_this_file=exact)
