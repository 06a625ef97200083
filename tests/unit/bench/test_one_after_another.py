"""Many files in few processes: each gets its time, and one that cannot be run costs no other its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgewise.bench import worker_process
from edgewise.bench.case import Case
from edgewise.bench.one_after_another import time_files
from edgewise.records.op_time import OpTime

FAKE = Path(__file__).parent / "fake_worker.py"


def case_of(path: Path) -> Case:
    return Case(name=path.name, path=path, runtime="onnxruntime", format="onnx", precision="fp32", input_shape=(1, 8))


def test_files_are_timed_in_one_process(tiny_onnx, tmp_path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x07 no graph")
    good, broken = case_of(tiny_onnx), case_of(tmp_path / "broken.onnx")
    first, none, last = time_files([good, broken, good], with_operators=True)
    assert none is None
    for each in (first, last):
        assert each is not None
        assert 0 < each.latency_ms < 100
        assert 0 < each.reference_ms < 100
        assert each.ops
        assert sum(op.us for op in each.ops) < 100e3


@pytest.mark.parametrize(("mode", "timed"), [("good", True), ("die", False)])
def test_a_process_that_dies_is_replaced(tiny_onnx, tmp_path, monkeypatch, mode, timed) -> None:
    log = tmp_path / "log"
    monkeypatch.setattr(worker_process, "COMMAND", (sys.executable, str(FAKE), str(log), mode))
    found = list(time_files([case_of(tiny_onnx)] * 3, with_operators=True))
    assert [each is not None for each in found] == [timed] * 3
    if timed:
        assert all(10 <= each.latency_ms <= 10.01 for each in found)
        assert all(0.2 <= each.reference_ms <= 0.2002 for each in found)
        # 0.1 s of calls of 4 ms
        profile = (OpTime(op="Conv", numel=8, us=9e3), OpTime(op="Gemm", numel=25, us=1e3))
        assert all(each.ops == profile for each in found)


def test_operators_are_timed_where_they_are_asked_for(tiny_onnx) -> None:
    (timed,) = time_files([case_of(tiny_onnx)])
    assert timed is not None
    assert timed.ops == ()
