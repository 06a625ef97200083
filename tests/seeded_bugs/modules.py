"""Files of a wrong model, rightly converted."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from edgewise.blocks.fuse import fuse
from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.exporters.registry import get_exporter
from edgewise.graph.capture import capture
from tests.seeded_bugs.bug import Right, Seed


def write(
    model: nn.Module,
    right: Right,
    path: Path,
    *,
    shape: tuple[int | str, ...] | None = None,
    precision: str = "fp32",
    metadata: dict[str, str] | None = None,
) -> None:
    """Write ``model`` in the format of ``right``, with its input's shape and its text unless others are given."""
    batch, *sides = shape or right.artifact.input.shape
    is_dynamic = isinstance(batch, str)
    program = capture(fuse(model), torch.zeros(2 if is_dynamic else batch, *sides), dynamic_batch=is_dynamic)
    options = ExportOptions(precision=precision, metadata=right.metadata if metadata is None else metadata)
    get_exporter(right.format).export(program, path, options)


def of_wrong_model(change: Callable[[nn.Module], nn.Module | None]) -> Seed:
    """Return a seed that exports a copy of the model after ``change``, which alters it or gives another back."""

    def seed(right: Right, path: Path) -> None:
        changed = copy.deepcopy(right.model)
        with torch.no_grad():
            write((change(changed) or changed).eval(), right, path)

    return seed


def norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Return the batch norms of a network, in order."""
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
