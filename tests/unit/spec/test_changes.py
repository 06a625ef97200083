"""Changing a network by path."""

from __future__ import annotations

import pytest

from edgewise.errors import SpecError
from edgewise.models.families.mobilenetv4 import CONV_SMALL
from edgewise.spec.changes import with_changes


def test_a_field_a_row_and_a_stage() -> None:
    row = {"kind": "conv", "out_chs": 8}
    before = CONV_SMALL.model_dump(mode="json")
    after = with_changes(
        CONV_SMALL,
        {"num_classes": 5, "stages[2][3].expand_ratio": 6, "stages.3.0": row, "stages[0]": [row], "norm.eps": 1e-3},
    )
    assert after["num_classes"] == 5
    assert after["norm"] == {**before["norm"], "eps": 1e-3}
    assert after["stages"][2][3] == {**before["stages"][2][3], "expand_ratio": 6}
    assert after["stages"][3][0] == row
    assert after["stages"][0] == [row]
    assert after["stages"][1] == before["stages"][1]
    assert CONV_SMALL.model_dump(mode="json") == before


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("stages[9][0].stride", "changes: stages[9] does not exist; stages has [0] to [4]"),
        ("stages[2][6]", "changes: stages[2][6] does not exist; stages[2] has [0] to [5]"),
        ("stages[2][3].se.ratio", "changes: stages[2][3].se has no fields to change; set it as a whole"),
        ("act[2]", "changes: act is no list; [2] has no meaning there"),
        ("stages[2", "changes: 'stages[2' is no place in a spec; accepted: as in stages[2][3].expand_ratio"),
        ("", "changes: '' is no place in a spec; accepted: as in stages[2][3].expand_ratio"),
        ("stages[-1]", "changes: 'stages[-1]' is no place in a spec; accepted: as in stages[2][3].expand_ratio"),
    ],
)
def test_paths_that_lead_nowhere(path: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        with_changes(CONV_SMALL, {path: 1})
    assert str(caught.value) == says
