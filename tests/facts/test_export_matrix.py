"""The support matrix says what was tried: `results/export_matrix.json` holds every family in every format."""

from __future__ import annotations

import json
from pathlib import Path

from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.deploy.support import EXCEPTIONS
from edgewise.models.catalogue import FAMILIES

RECORD = Path(__file__).parents[2] / "results" / "export_matrix.json"


def test_every_pair_was_tried_and_works_or_is_an_exception() -> None:
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["rows"]
    tried: dict[tuple[str, str], bool] = {}
    for row in rows:
        pair = row["family"], row["format"]
        tried[pair] = tried.get(pair, True) and row["ok"]
    assert tried.keys() == {(family, format_) for family in FAMILIES for format_ in EXPORTERS}
    assert {pair for pair, works in tried.items() if not works} == set(EXCEPTIONS)


def test_what_works_was_compared_with_its_model() -> None:
    for row in json.loads(RECORD.read_text(encoding="utf-8"))["rows"]:
        if row["ok"]:
            assert row["proof"] == ("structure" if row["format"] == "mlpackage" else "answers")
            assert row["proof"] == "structure" or row["largest_difference"] < 5e-4
