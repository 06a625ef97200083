"""Peak memory as counted, against planners that really run: two models here, the rest by the record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.planners import executorch_plan_bytes, litert_arena_bytes

import edgewise
from edgewise.graph.capture import capture

RECORD = Path(__file__).parents[2] / "results" / "peak_memory.json"


@pytest.mark.parametrize(
    ("name", "fusion", "plan"),
    [
        ("mobilenetv1_025", "litert", litert_arena_bytes),
        ("mobilenetv4_conv_small_035", "executorch-portable", executorch_plan_bytes),
    ],
)
def test_a_planner_allocates_what_was_counted(name, fusion, plan, tmp_path) -> None:
    model = edgewise.fuse(edgewise.create_model(name, num_classes=10))
    planned = plan(capture(model, torch.zeros(1, 3, 64, 64)), tmp_path)
    report = edgewise.count(model, 64, fusion=fusion)
    assert report.peak_activation_bytes <= report.arena_bytes
    assert report.arena_bytes == pytest.approx(planned, rel=0.05)
    # one kernel for everything between two convolutions, and nothing that LiteRT or ExecuTorch add: far off, thus worth a model each
    assert edgewise.count(model, 64).arena_bytes < 0.9 * planned


@pytest.mark.parametrize("planner", ["litert", "executorch-portable"])
def test_twenty_models_are_within_five_per_cent(planner: str) -> None:
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["rows"]
    near = [row["name"] for row in rows if row[planner]["planned"] and abs(row[planner]["difference"]) <= 0.05]
    assert len(set(near)) >= 20


def test_the_record_is_of_the_counter_as_it_is() -> None:
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["rows"]
    for row in rows[:3]:
        with torch.device("meta"):
            model = edgewise.create_model(row["name"])
        for planner in ("litert", "executorch-portable"):
            assert edgewise.count(edgewise.fuse(model), fusion=planner).arena_bytes == row[planner]["arena"]
