"""What a file says of itself: compared entry by entry, and by the pixels that pictures become."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from export_nets import PREPROCESSING

from edgewise.deploy.description import check_description, check_input_name, text_difference
from edgewise.deploy.exporters.registry import get_exporter
from edgewise.deploy.pictures import picture_files, preparation_difference, prepared, prepared_plainly
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.verify import verify
from edgewise.errors import ExportError
from edgewise.records.artifact import Preprocessing

RECIPE = Preprocessing(img_size=24)


@pytest.mark.parametrize(
    ("carried", "difference"),
    [
        ({"names": '["a", "b"]', "model": "m"}, ""),
        ({"names": '["a", "b"]', "model": "m", "com.apple.note": "more"}, ""),
        ({"names": '["b", "a"]', "model": "m"}, "the file's own names[0] is 'b'; must be 'a'"),
        ({"names": '["a"]', "model": "m"}, "the file's own names[1] is absent; must be 'b'"),
        ({"names": '["a", "b", "c"]', "model": "m"}, "the file's own names[2] is 'c'; must be absent"),
        ({"names": "a, b", "model": "m"}, "the file's own names is 'a, b'; must be '[\"a\", \"b\"]'"),
        ({"names": '["a", "b"]'}, "the file's own model is absent; must be 'm'"),
        ({"names": '["a",  "b"]', "model": "m"}, 'the file\'s own names is \'["a",  "b"]\'; must be \'["a", "b"]\''),
    ],
)
def test_texts_are_compared_entry_by_entry(carried, difference) -> None:
    assert text_difference(carried, {"names": '["a", "b"]', "model": "m"}) == difference


def test_an_entry_of_a_recipe_is_named() -> None:
    given, wanted = ({"preprocessing": json.dumps({"crop_pct": share, "img_size": 8})} for share in (0.9, 0.875))
    assert text_difference(given, wanted) == "the file's own preprocessing[crop_pct] is '0.9'; must be '0.875'"


class Session:
    def __init__(self, *names: str):
        self.inputs = tuple(FileInput(name=name, shape=(1, 3, 8, 8), dtype="float32") for name in names)


def test_an_input_that_programs_cannot_feed_is_refused() -> None:
    check_input_name(Session("images"), get_exporter("onnx"))
    check_input_name(Session("args_0"), get_exporter("tflite"))
    with pytest.raises(ExportError, match=r"the file calls its inputs \['x'\]; must be \['images'\]"):
        check_input_name(Session("x"), get_exporter("openvino"))
    with pytest.raises(ExportError, match=r"the file calls its inputs \['images', 'mask'\]; must be \['images'\]"):
        check_input_name(Session("images", "mask"), get_exporter("onnx"))


def test_a_text_that_cannot_be_read_is_refused(tmp_path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"no zip at the end")
    with pytest.raises(ExportError, match="the file's own text cannot be read: File is not a zip file"):
        check_description(tmp_path / "m.tflite", get_exporter("tflite"), {"model": "m"}, PREPROCESSING)


def test_a_recipe_that_is_none_is_refused(tmp_path, monkeypatch) -> None:
    text = {"preprocessing": '{"img_size": 0}'}
    monkeypatch.setattr(type(get_exporter("onnx")), "metadata", lambda *_: text)
    with pytest.raises(ExportError, match="the file's own preprocessing cannot be read"):
        check_description(tmp_path / "m.onnx", get_exporter("onnx"), text, PREPROCESSING)


def test_verification_reads_the_text_back(fp32, trained, tmp_path) -> None:
    path: Path = tmp_path / "tiny.onnx"
    shutil.copy(fp32[1] / "tiny.onnx", path)
    text = get_exporter("onnx").metadata(path)
    options = {"runtime": "onnxruntime", "preprocessing": PREPROCESSING}
    assert verify(path, trained.model, metadata=text, **options).passed
    record = verify(path, trained.model, metadata=text | {"names": "[]"}, **options)
    assert record.reason == "the file's own names[0] is 'digit 0'; must be absent"
    assert verify(path, trained.model, **options).passed, "none is looked for"


@pytest.mark.parametrize("mean", [(0.485, 0.456, 0.406), (0.4,)])
def test_pictures_are_prepared_alike_by_both_ways(mean) -> None:
    for img_size, crop_pct, interpolation in [(16, 1.0, "bicubic"), (32, 0.875, "bilinear"), (33, 0.95, "bicubic")]:
        recipe = Preprocessing(
            img_size=img_size, crop_pct=crop_pct, interpolation=interpolation, mean=mean, std=(0.2,) * len(mean)
        )
        assert preparation_difference(recipe, recipe) == ""
        files = picture_files(img_size)
        assert prepared(files, recipe).shape == (len(files), len(mean), img_size, img_size)
        assert len(np.unique(prepared_plainly(files, recipe))) > 100


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"crop_pct": 0.8}, "pictures prepared by the file's own recipe are off by up to"),
        ({"interpolation": "bilinear"}, "pictures prepared by the file's own recipe are off by up to"),
        ({"mean": (0.406, 0.456, 0.485)}, "off by up to 20.1 grey levels (66.7% of the pixels differ)"),
        ({"std": (0.229, 0.224, 0.23)}, "pictures prepared by the file's own recipe are off by up to"),
        ({"img_size": 25}, "pictures become (3, 25, 25) by the file's own recipe; must be (3, 24, 24)"),
        ({"mean": (0.5,), "std": (0.5,)}, "pictures become (1, 24, 24) by the file's own recipe; must be (3, 24, 24)"),
    ],
)
def test_pictures_show_another_recipe(changed, difference) -> None:
    assert difference in preparation_difference(RECIPE.model_copy(update=changed), RECIPE)
