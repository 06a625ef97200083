"""The first job: everything, on scikit-learn's digits, without a download."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edgewise.pipeline.datasets import DIGITS, open_named
from edgewise.pipeline.fit import deploy_run
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.training import start
from edgewise.records.environment import usable_cores
from edgewise.records.run import Job, RunRecord
from edgewise.train.recipes.from_scratch import digits
from edgewise.train.run_folder import RunFolder, new_run_folder

IMG_SIZE = 32


def quickstart(project: Path, listener: JobListener) -> tuple[RunFolder, RunRecord]:
    """Train a small MobileNetV4 on 1,797 handwritten digits, export, verify, measure and report it.

    The network is MNv4-Conv-S with its early strides dropped for 32 px (`spec.scale.fit_resolution`).
    """
    folder = new_run_folder(project, "quickstart")
    listener.on_stage("Reading the data set")
    dataset = open_named(DIGITS)
    listener.on_result(f"{len(dataset.train)} training and {len(dataset.val)} validation images of 10 classes")
    config = digits(IMG_SIZE).model_copy(update={"threads": usable_cores()})
    job = Job(
        kind="quickstart",
        data=DIGITS,
        val_share=0.2,
        split_seed=0,
        command="edgewise quickstart",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    start(folder, job, config, dataset, listener)
    return folder, deploy_run(folder, job, dataset, listener)
