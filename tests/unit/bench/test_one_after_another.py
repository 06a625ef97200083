"""Many files in few processes: each gets its time, and one that cannot be run costs no other its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgewise.bench import worker_process
from edgewise.bench.one_after_another import File, time_files

FAKE = Path(__file__).parent / "fake_worker.py"


def test_files_are_timed_in_one_process(tiny_onnx, tmp_path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x07 no graph")
    good = File(path=tiny_onnx, input_shape=(1, 8))
    broken = File(path=tmp_path / "broken.onnx", input_shape=(1, 8))
    first, none, last = time_files([good, broken, good], "onnxruntime", 1)
    assert none is None
    for each in (first, last):
        assert each is not None
        assert 0 < each.latency_ms < 100
        assert 0 < each.reference_ms < 100


@pytest.mark.parametrize(("mode", "timed"), [("good", True), ("die", False)])
def test_a_process_that_dies_is_replaced(tiny_onnx, tmp_path, monkeypatch, mode, timed) -> None:
    log = tmp_path / "log"
    monkeypatch.setattr(worker_process, "COMMAND", (sys.executable, str(FAKE), str(log), mode))
    found = list(time_files([File(path=tiny_onnx, input_shape=(1, 8))] * 3, "onnxruntime", 1))
    assert [each is not None for each in found] == [timed] * 3
    if timed:
        assert all(10 <= each.latency_ms <= 10.01 for each in found)
        assert all(0.2 <= each.reference_ms <= 0.2002 for each in found)
