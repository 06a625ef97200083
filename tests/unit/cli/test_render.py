"""Names that people give are shown as they are."""

from __future__ import annotations

import json

from edgewise.cli.render import render_evaluation
from edgewise.records.training import ClassResult, EvalRecord

LABELS = ("[/]", "[red]apple", "plain")
RECORD = EvalRecord(
    num_images=3,
    loss=0.5,
    top1=1.0,
    top5=1.0,
    confusion=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    labels=LABELS,
    classes=tuple(ClassResult(label=label, num_images=1, recall=1.0, precision=1.0) for label in LABELS),
)


def test_labels_with_brackets(capsys) -> None:
    render_evaluation(RECORD, as_json=False)
    out = capsys.readouterr().out
    assert all(label in out for label in LABELS)


def test_json_is_the_record(capsys) -> None:
    render_evaluation(RECORD, as_json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == RECORD.model_dump(mode="json")
    assert captured.err == ""
