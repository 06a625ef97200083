"""A sample of the seeded bugs, as `export` meets them; `benchmarks/seeded_bugs.py` makes all of them, in every format."""

from __future__ import annotations

import re

import pytest
from tests.seeded_bugs.bug import Bug, Right
from tests.seeded_bugs.judge import refusal
from tests.seeded_bugs.preprocessing import same_file
from tests.seeded_bugs.registry import BUGS
from tests.seeded_bugs.subjects import SUBJECTS, right_export

SAMPLE = {
    "classifier bias dropped": "logits differ",
    "bias of one channel zero": "logits differ",
    "red and blue swapped": "logits differ",
    "square head transposed": "logits differ",
    "kernel transposed": "logits differ",
    "weights through half precision": "logits differ",
    "padding on the wrong side": "logits differ",
    "swish for hard-swish": "logits differ",
    "ReLU for ReLU6": "logits differ",
    "GELU by tanh": "logits differ",
    "padding counted in the average": "logits differ",
    "dropout left on": "logits differ",
    "NaN on zeros": "zeros: the file answers NaN or infinity",
    "NaN on saturated images": "saturated: the file answers NaN or infinity",
    "last row and column lost": "logits differ",
    "answers of a batch mixed": "logits differ",
    "frozen batch": "the file takes 1 images a call; it must take any number",
    "input under another name": r"the file calls its inputs \['input.1'\]; must be \['images'\]",
    "labels sorted as text": r"the file's own names\[2\] is 'class 10'; must be 'class 2'",
    "other share of the crop": r"the file's own preprocessing\[crop_pct\] is '0.95'; must be '0.875'",
    "pictures cropped one pixel off": "pictures prepared by the file's own recipe are off by up to",
    "pictures resized one pixel larger": "pictures prepared by the file's own recipe are off by up to",
    "file cut short": "is no model file by its content",
}
"""Bugs of the small specimen in ONNX, and what the refusal says."""


@pytest.fixture(scope="module")
def right(tmp_path_factory) -> Right:
    return right_export(SUBJECTS["specimen"], "onnx", tmp_path_factory.mktemp("right"))


@pytest.mark.parametrize("name", SAMPLE)
def test_a_seeded_bug_is_refused(right, name) -> None:
    assert re.search(SAMPLE[name], refusal(BUGS[name], right))


def test_the_right_file_is_not_refused(right) -> None:
    assert refusal(Bug(name="none", imitates="nothing", seed=same_file), right) == ""


def test_a_bug_that_cannot_be_made_is_not_taken_for_caught(right) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such node")

    with pytest.raises(RuntimeError, match="broken could not be seeded"):
        refusal(Bug(name="broken", imitates="nothing", seed=fail), right)


def test_there_are_bugs_of_every_format_and_each_says_what_it_imitates() -> None:
    assert len(BUGS) >= 44
    assert {bug.format for bug in BUGS.values()} >= {"onnx", "openvino", "tflite", "pte", "ncnn", "mlpackage", "pt2"}
    assert len({bug.imitates for bug in BUGS.values()}) > len(BUGS) * 0.8
    assert all(bug.subject in SUBJECTS for bug in BUGS.values())
