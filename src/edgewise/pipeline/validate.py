"""A model's or an exported file's accuracy on a labelled data set."""

from __future__ import annotations

from pathlib import Path

import torch

from edgewise.data.dataset import Dataset
from edgewise.data.loader import EvalLoader
from edgewise.data.transforms import EvalTransform
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.evaluate import evaluate_file
from edgewise.deploy.runtimes.registry import runtime_for
from edgewise.errors import InputError, shown
from edgewise.pipeline.classes import check_classes
from edgewise.pipeline.images import array_batches
from edgewise.pipeline.predict import is_exported
from edgewise.pipeline.trained import load_trained
from edgewise.records.environment import usable_cores
from edgewise.records.training import EvalRecord
from edgewise.train.evaluate import evaluate, summarise


def validate(source: str, dataset: Dataset) -> EvalRecord:
    """Let a run's model, or an exported file, answer the validation set.

    Raises:
        InputError: ``source`` cannot be used, or knows other classes than the data set has.
    """
    path = Path(source)
    if is_exported(path):
        return _validate_file(path, dataset)
    trained = load_trained(source)
    check_classes(source, trained.labels, dataset.labels, todo="validate")
    torch.set_num_threads(usable_cores())
    batches = EvalLoader(dataset.val, EvalTransform(trained.preprocessing), batch_size=64)
    return evaluate(trained.model, batches, trained.preprocessing, dataset.labels)


def _validate_file(path: Path, dataset: Dataset) -> EvalRecord:
    artifact, file = load_artifact(path)
    check_classes(str(path), artifact.labels, dataset.labels, todo="validate")
    answers = evaluate_file(
        file,
        array_batches(dataset.val, artifact.preprocessing)(),
        artifact=artifact,
        runtime=runtime_for(file).name,
        threads=usable_cores(),
        keep_logits=True,
    )
    if answers.logits is None:
        raise InputError(f"{shown(path)} gave no logits")
    logits, targets = torch.from_numpy(answers.logits), torch.from_numpy(answers.targets)
    num_classes = len(dataset.labels)
    pairs = targets * num_classes + torch.from_numpy(answers.predicted)
    confusion = torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)
    best = logits.topk(min(5, num_classes), dim=1).indices
    return summarise(
        confusion,
        dataset.labels,
        loss_sum=float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum")),
        top5_hits=int((best == targets[:, None]).any(dim=1).sum()),
    )
