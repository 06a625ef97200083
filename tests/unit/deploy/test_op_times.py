"""Runtimes that have a profiler tell what each operator takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgewise.deploy.export import export
from edgewise.deploy.runtimes.op_times import TimesOperators, undisturbed
from edgewise.deploy.runtimes.protocol import RuntimeOptions
from edgewise.deploy.runtimes.registry import RUNTIMES, get_runtime
from edgewise.errors import InputError
from edgewise.records.artifact import Preprocessing
from edgewise.records.op_time import OpTime

OPTIONS = RuntimeOptions(threads=1)
PROFILERS = sorted(name for name, runtime in RUNTIMES.items() if isinstance(runtime, TimesOperators))


def test_who_has_a_profiler() -> None:
    assert PROFILERS == ["onnxruntime", "openvino"]


@pytest.fixture(scope="module", params=PROFILERS)
def profiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[OpTime]:
    torch.manual_seed(0)
    dear = nn.Conv2d(16, 64, 5, padding=2)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 1), nn.ReLU(), dear, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
    )
    runtime = get_runtime(request.param)
    folder = tmp_path_factory.mktemp("profiled") / "out"
    artifact = export(
        model.eval(),
        folder,
        format=runtime.formats[0],
        preprocessing=Preprocessing(img_size=32),
        model_name="net",
        verify=False,
    )
    assert isinstance(runtime, TimesOperators)
    return runtime.operator_times(
        folder / artifact.files[0], OPTIONS, [np.zeros((1, 3, 32, 32), np.float32)], num_calls=20
    )


def test_operators_come_in_order_with_sizes_and_times(profiled: list[OpTime]) -> None:
    convs = [each for each in profiled if each.op in ("Conv", "Convolution")]
    assert [each.numel for each in convs] == [16 * 32 * 32, 64 * 32 * 32]
    assert [each.numel for each in profiled if each.op in ("Gemm", "FullyConnected")] == [10]
    assert all(each.us > 0 for each in profiled)
    # 84 times the MACs
    assert convs[1].us > 2 * convs[0].us
    assert convs[1].us > 0.3 * sum(each.us for each in profiled)


@pytest.mark.parametrize("name", PROFILERS)
def test_a_missing_file_is_said(name: str, tmp_path: Path) -> None:
    runtime = get_runtime(name)
    assert isinstance(runtime, TimesOperators)
    with pytest.raises(InputError, match="missing"):
        runtime.operator_times(tmp_path / "missing.onnx", OPTIONS, [], 1)


def test_disturbed_calls_do_not_count() -> None:
    times = np.array([[1.0, 10.0], [3.0, 99.0], [2.0, 12.0], [50.0, 14.0]])
    assert undisturbed(times).tolist() == [1.5, 11.0]
    assert undisturbed(times[:1]).tolist() == [1.0, 10.0]
