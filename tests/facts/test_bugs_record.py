"""What is said of verification's strength is what was measured: `results/seeded_bugs.json` holds every bug and every model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.seeded_bugs.registry import BUGS

import edgewise

RECORD = Path(__file__).parents[2] / "results" / "seeded_bugs.json"


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads(RECORD.read_text(encoding="utf-8"))


def test_every_registered_bug_was_caught(record) -> None:
    rows = {row["bug"]: row for row in record["bugs"]}
    assert rows.keys() == BUGS.keys()
    for name, row in rows.items():
        assert row["caught"], name
        assert "fails verification: " in row["reason"], name
        bug = BUGS[name]
        assert (row["format"], row["subject"], row["imitates"]) == (bug.format, bug.subject, bug.imitates)


def test_the_pages_count_them_rightly() -> None:
    assert len(BUGS) > 120
    for page in ("README.md", "docs/deploying.md"):
        assert " than 120 wrong files made on" in (RECORD.parents[1] / page).read_text(encoding="utf-8")


def test_no_right_file_of_the_catalogue_was_refused(record) -> None:
    rows = {row["name"]: row for row in record["catalogue"]}
    assert list(rows) == edgewise.list_models()
    for name, row in rows.items():
        assert row["ok"], (name, row["reason"])
        assert row["largest_difference"] is not None


def test_the_limits_are_those_of_the_contract(record) -> None:
    limits = [(check["limit"], check["at_least"], check["passed"]) for check in record["checks"]]
    assert limits == [(0, False, True), (40, True, True), (0, False, True)]


def test_the_record_names_no_folder_of_a_machine(record) -> None:
    text = json.dumps({key: value for key, value in record.items() if key != "environment"})
    for trace in ("/tmp/", "/home/", "/work/", "/root/", "\\\\"):
        assert trace not in text
