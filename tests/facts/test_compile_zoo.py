"""`results/compile_zoo.json` holds every model: compiled whole, and strictly exported for any batch size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgewise

RECORD = Path(__file__).parents[2] / "results" / "compile_zoo.json"


@pytest.mark.parametrize("way", ["compile", "export"])
def test_every_model_went_through_whole(way: str) -> None:
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["rows"]
    assert sorted(row["name"] for row in rows) == sorted(edgewise.list_models())
    assert [row["name"] for row in rows if row[way]["reason"]] == []
    assert max(row[way]["largest_difference"] for row in rows) <= 1e-5
