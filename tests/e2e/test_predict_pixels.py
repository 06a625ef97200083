"""A picture file through `edgewise predict` on an exported file, against the model behind timm's own preparation."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import timm.data
import torch
from PIL import Image
from tests.seeded_bugs.registry import BUGS
from tests.seeded_bugs.subjects import SUBJECTS, right_export

from edgewise.deploy.pictures import picture_files
from edgewise.pipeline.predict import open_predictor

SUBJECT = SUBJECTS["specimen"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, torch.nn.Module]:
    right = right_export(SUBJECT, "onnx", tmp_path_factory.mktemp("exported"))
    return right.path.parent, right.model


def largest_difference(folder: Path, model: torch.nn.Module, during: AbstractContextManager[object]) -> float:
    """Return that of the probabilities of all classes, over the pictures."""
    recipe = SUBJECT.preprocessing
    theirs = timm.data.create_transform(
        input_size=(3, recipe.img_size, recipe.img_size),
        crop_pct=recipe.crop_pct,
        interpolation=recipe.interpolation,
        mean=recipe.mean,
        std=recipe.std,
        is_training=False,
    )
    predictor = open_predictor(str(folder))
    largest = 0.0
    for content in picture_files(recipe.img_size):
        with during:
            answer = dict(predictor.answer(content, top=len(SUBJECT.labels)))
        with torch.no_grad():
            wanted = model(theirs(Image.open(io.BytesIO(content)))[None]).softmax(1)[0]
        pairs = zip(SUBJECT.labels, wanted.tolist(), strict=True)
        largest = max(largest, *(abs(answer[label] - value) for label, value in pairs))
    return largest


def test_answers_are_those_of_timms_pixels(exported) -> None:
    assert largest_difference(*exported, nullcontext()) < 1e-4


@pytest.mark.parametrize("name", [name for name in BUGS if name.startswith("pictures ")])
def test_other_pixels_are_other_answers(exported, name) -> None:
    assert largest_difference(*exported, BUGS[name].during()) > 1e-3
