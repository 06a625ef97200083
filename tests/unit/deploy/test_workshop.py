"""What exports share: nothing is captured, asked or started twice, nothing stays of another model, nothing outlives the workshop."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
import torch
from export_nets import SIZE, TinyNet

from edgewise.deploy import workshop as module
from edgewise.deploy.answers import remembered
from edgewise.deploy.converter import Converter
from edgewise.deploy.workshop import BYTES_PER_WEIGHT, CONVERTER_BYTES, Workshop, conversions_at_once
from edgewise.errors import ExportError
from edgewise.graph.capture import capture

SLEEPER = "import sys, time\nfor line in sys.stdin:\n    time.sleep(60)\n"


def test_a_model_is_captured_once_for_each_form() -> None:
    model, captured = TinyNet(), []

    def make():
        captured.append(1)
        return capture(model, torch.zeros(1, 3, SIZE, SIZE))

    with Workshop() as shop:
        first = shop.captured(model, "a", "nchw", make)
        assert shop.captured(model, "a", "nchw", make) is first
        assert shop.captured(model, "a", "nhwc", make) is not first
        assert len(captured) == 2
        with shop.saved(first) as path, shop.saved(first) as again:
            assert path == again
            assert torch.export.load(path).graph_signature == first.graph_signature
            # other weights: the program is another one, and the file stays as long as someone reads it
            assert shop.captured(model, "b", "nchw", make) is not first
            assert path.exists()
        shop.captured(TinyNet(), "b", "nchw", make)
        assert not path.exists()
        assert len(captured) == 4


def test_a_model_is_asked_once_for_the_same_images() -> None:
    asked = []

    def answer(images):
        asked.append(len(images))
        return images.mean((1, 2, 3), keepdims=True)[:, 0, 0]

    recall = remembered(answer)
    images = np.arange(24, dtype=np.float32).reshape(2, 1, 3, 4)
    assert np.array_equal(recall(images), recall(images.copy()))
    recall(images[:1])
    recall(images + 1)
    assert asked == [2, 1, 2]
    with Workshop() as shop:
        model = TinyNet().eval()
        mine = shop.answers(model, "a")
        assert shop.answers(model, "a") is mine
        assert shop.answers(model, "b") is not mine


def test_what_takes_longest_begins_first() -> None:
    begun = []
    with Workshop() as shop:
        tasks = [partial(begun.append, name) for name in ("onnx", "pte", "ncnn", "tflite")]
        done = list(shop.beside_each_other(tasks, 1, ["onnx", "pte", "ncnn", "tflite"]))
    assert begun == ["pte", "tflite", "onnx", "ncnn"]
    assert sorted(place for place, _ in done) == [0, 1, 2, 3]


def test_tasks_run_beside_each_other_and_say_which_they_are() -> None:
    meeting = threading.Barrier(2, timeout=20)

    def task(number):
        meeting.wait()
        return number * 10

    with Workshop() as shop:
        done = dict(shop.beside_each_other([lambda: task(0), lambda: task(1)], 2))
    assert done == {0: 0, 1: 10}


def test_one_that_raises_ends_the_others(monkeypatch, tmp_path) -> None:
    """As Ctrl-C does: nobody waits for a conversion that takes a minute."""
    monkeypatch.setattr(module, "Converter", lambda: Converter([sys.executable, "-S", "-c", SLEEPER]))
    ended = []

    def long() -> None:
        try:
            shop.run(tmp_path / "job", format="onnx", task="the task", timeout_s=60)
        except ExportError as error:
            ended.append(str(error))
            raise

    def bad() -> None:
        time.sleep(0.5)
        raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Workshop() as shop:
        list(shop.beside_each_other([long, bad, long], 2))
    assert time.monotonic() - begun < 30
    assert ended[0] == "the task was stopped"
    with pytest.raises(ExportError, match="the workshop is closed"):
        shop.run(tmp_path / "job", format="onnx", task="the task", timeout_s=60)


def test_there_is_room_for_one_conversion_at_least(monkeypatch) -> None:
    monkeypatch.setattr(module, "usable_cores", lambda: 4)
    free = type("Memory", (), {"available": 0})
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: free)
    assert conversions_at_once(10**6) == 1
    free.available = 2 * (CONVERTER_BYTES + BYTES_PER_WEIGHT * 10**6)
    assert conversions_at_once(10**6) == 2
    free.available = 2**45
    assert conversions_at_once(10**6) == 4


SERVER = "import os, sys\nfor line in sys.stdin:\n    print('done', flush=True)\n"


@pytest.mark.parametrize(("free", "kept"), [(2**40, True), (2**30, False)])
def test_processes_are_kept_where_memory_allows(monkeypatch, tmp_path, free, kept) -> None:
    made = []

    def converter() -> Converter:
        made.append(Converter([sys.executable, "-S", "-c", SERVER]))
        return made[-1]

    monkeypatch.setattr(module, "Converter", converter)
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: type("Memory", (), {"available": free}))
    with Workshop() as shop:
        for _ in range(2):
            shop.run(tmp_path / "job", format="onnx", task="the task", timeout_s=30)
            assert (made[0]._process is not None) == kept
    assert len(made) == 1
