"""Joining a run's records into one, and its report."""

from __future__ import annotations

from collections.abc import Sequence

from edgewise.cost.count import count
from edgewise.data.dataset import Dataset
from edgewise.pipeline.samples import sample_predictions
from edgewise.pipeline.trained import Trained, load_run
from edgewise.records.data import DataSummary
from edgewise.records.environment import capture_environment
from edgewise.records.run import FileResult, Job, RunRecord
from edgewise.records.training import EvalRecord, TrainRecord
from edgewise.report.html import write_report
from edgewise.train.config import load_config
from edgewise.train.run_folder import RunFolder, open_run_folder


def write_run_report(
    folder: RunFolder, dataset: Dataset, trained: Trained | None = None, files: Sequence[FileResult] = ()
) -> RunRecord:
    """Join everything that a run has left in its folder, store it as `run.json` and write `report.html`."""
    trained = trained or load_run(folder)
    job = Job.load(folder.job)
    run = RunRecord(
        name=folder.path.name,
        model=trained.name,
        created_at=job.created_at,
        command=job.command,
        config=load_config(folder.config).model_dump(mode="json"),
        data=DataSummary.load(folder.data_summary),
        choice=job.choice,
        initial_weights=job.initial_weights,
        cost=count(trained.model, trained.preprocessing.img_size).without_ops(),
        training=TrainRecord.load(folder.train_record),
        evaluation=EvalRecord.load(folder.eval_record),
        files=tuple(files),
        samples=sample_predictions(trained, dataset),
        environment=capture_environment(),
    )
    run.save(folder.run_record)
    write_report(run, folder.report)
    return run


def render_again(folder: RunFolder) -> RunRecord:
    """Write `report.html` anew from `run.json`.

    Raises:
        OutputError: there is no run.
        InputError: the run has no `run.json` yet, or it is damaged.
    """
    run = RunRecord.load(open_run_folder(folder.path).run_record)
    write_report(run, folder.report)
    return run
