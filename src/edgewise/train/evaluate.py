"""A model's answers on a labelled set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from edgewise.data.loader import Batch
from edgewise.data.normalise import normalise
from edgewise.records.artifact import Preprocessing
from edgewise.records.training import ClassResult, EvalRecord


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    preprocessing: Preprocessing,
    labels: Sequence[str],
    *,
    device: str = "cpu",
    channels_last: bool = True,
) -> EvalRecord:
    """Run ``model`` in eval mode over labelled batches; its mode is restored.

    Raises:
        DataError: an image cannot be read.
    """
    was_training = model.training
    model.eval()
    loss_sum, top5_hits = 0.0, 0
    num_classes = len(labels)
    confusion = torch.zeros(num_classes * num_classes, dtype=torch.int64)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for batch in batches:
        images = normalise(batch.images.to(device), preprocessing.mean, preprocessing.std)
        logits = model(images.contiguous(memory_format=layout)).float().cpu()
        targets = batch.targets
        loss_sum += float(F.cross_entropy(logits, targets, reduction="sum"))
        best = logits.topk(min(5, num_classes), dim=1).indices
        top5_hits += int((best == targets[:, None]).any(dim=1).sum())
        confusion += torch.bincount(targets * num_classes + best[:, 0], minlength=num_classes * num_classes)
    model.train(was_training)
    return summarise(confusion.view(num_classes, num_classes), labels, loss_sum=loss_sum, top5_hits=top5_hits)


def summarise(confusion: torch.Tensor, labels: Sequence[str], *, loss_sum: float, top5_hits: int) -> EvalRecord:
    """Build the record from counts.

    Args:
        confusion: (classes, classes), rows are true classes.
        labels: names of the classes.
        loss_sum: summed over images.
        top5_hits: images whose class is among the five best.
    """
    hits, truths, answers = confusion.diagonal(), confusion.sum(dim=1), confusion.sum(dim=0)
    num_images = int(truths.sum())
    rows = zip(labels, truths.tolist(), hits.tolist(), answers.tolist(), strict=True)
    return EvalRecord(
        num_images=num_images,
        loss=loss_sum / max(1, num_images),
        top1=int(hits.sum()) / max(1, num_images),
        top5=top5_hits / max(1, num_images),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        labels=tuple(labels),
        classes=tuple(
            ClassResult(label=label, num_images=truth, recall=hit / max(1, truth), precision=hit / max(1, answer))
            for label, truth, hit, answer in rows
        ),
    )
