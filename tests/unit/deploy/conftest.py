"""One trained network and its exports, shared by the tests of deploy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from export_nets import LABELS, PREPROCESSING, Images, TinyNet, digit_pictures, in_batches, train
from numpy.typing import NDArray

from edgewise.deploy import convert as convert_module
from edgewise.deploy import export as export_module
from edgewise.deploy.export import export
from edgewise.deploy.workshop import Workshop
from edgewise.records.artifact import Artifact


@dataclass(frozen=True)
class Trained:
    model: TinyNet
    calibration: Images
    real: Images
    labelled: Callable[[], Iterator[tuple[Images, NDArray[np.int64]]]]
    targets: NDArray[np.int64]


@pytest.fixture(scope="session", autouse=True)
def _one_workshop() -> Iterator[None]:
    """All exports share their processes: importing SDKs is what would take the time."""
    with Workshop() as shared, pytest.MonkeyPatch.context() as patched:
        for module in (convert_module, export_module):
            patched.setattr(module, "Workshop", lambda: nullcontext(shared))
        yield


@pytest.fixture(scope="session")
def trained() -> Trained:
    images, targets = digit_pictures()
    torch.manual_seed(0)
    model = TinyNet()
    train(model, images[:1400], targets[:1400])
    return Trained(
        model=model.eval(),
        calibration=images[:64],
        real=images[1400:1496],
        labelled=partial(in_batches, images[1400:], targets[1400:]),
        targets=targets[1400:],
    )


@pytest.fixture(scope="session")
def fp32(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    folder = tmp_path_factory.mktemp("fp32") / "out"
    artifact = export(
        trained.model,
        folder,
        preprocessing=PREPROCESSING,
        labels=LABELS,
        model_name="tiny",
        real=trained.real,
        credits_={"author": "A. Person"},
    )
    return artifact, folder


@pytest.fixture(scope="session")
def int8(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    folder = tmp_path_factory.mktemp("int8") / "out"
    artifact = export(
        trained.model,
        folder,
        precision="int8",
        preprocessing=PREPROCESSING,
        labels=LABELS,
        model_name="tiny",
        real=trained.real,
        labelled=trained.labelled,
        calibration=trained.calibration,
    )
    return artifact, folder
