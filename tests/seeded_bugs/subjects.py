"""The networks that bugs are seeded into, and their right exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

import edgewise
from edgewise.blocks.state_hash import sha256_of_state
from edgewise.deploy.export import export
from edgewise.deploy.metadata import describe
from edgewise.records.artifact import Preprocessing
from tests.seeded_bugs import specimen
from tests.seeded_bugs.bug import Right, Subject

CATALOGUE_SIZE = 64
CATALOGUE_NAMES = ("mobilenetv2_035", "mobilenetv3_small_050", "tf_mobilenetv3_small_minimal_100", "repvit_m0_6")
"""Deep networks from the catalogue, where one wrong operator among fifty has to be seen."""


def catalogue_model(name: str) -> nn.Module:
    """Return a model of the catalogue with 10 classes, fresh weights and random statistics of its norms."""
    torch.manual_seed(0)
    model = edgewise.create_model(name, num_classes=10).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


def _specimen(name: str, build: Callable[[], nn.Module]) -> Subject:
    return Subject(name=name, build=build, preprocessing=specimen.PREPROCESSING, labels=specimen.LABELS)


def _from_catalogue(name: str) -> Subject:
    labels = tuple(f"class {index}" for index in range(10))
    recipe = Preprocessing(img_size=CATALOGUE_SIZE)
    return Subject(name=name, build=partial(catalogue_model, name), preprocessing=recipe, labels=labels)


_ALL = (
    _specimen("specimen", specimen.specimen),
    _specimen("wide_specimen", specimen.wide_specimen),
    *map(_from_catalogue, CATALOGUE_NAMES),
)
SUBJECTS: Mapping[str, Subject] = MappingProxyType({each.name: each for each in _ALL})


def right_export(subject: Subject, format_: str, folder: Path) -> Right:
    """Export ``subject`` rightly into ``folder/NAME-FORMAT``, by the road of every user.

    Raises:
        VerificationError: a false alarm.
        ExportError: the conversion failed.
    """
    model = subject.build()
    out = folder / f"{subject.name}-{format_}"
    artifact = export(
        model,
        out,
        format=format_,
        preprocessing=subject.preprocessing,
        labels=subject.labels,
        model_name=subject.name,
        layout="nchw",
    )
    metadata = describe(
        model_name=subject.name,
        precision="fp32",
        labels=subject.labels,
        preprocessing=subject.preprocessing,
        source_sha256=sha256_of_state(model.state_dict()),
    )
    return Right(subject=subject, model=model, path=out / artifact.files[0], metadata=metadata, artifact=artifact)
