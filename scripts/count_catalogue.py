"""Count every model of the catalogue and write `src/edgewise/models/facts/costs.py`, from which `edgewise list --json` answers.

Run after a change of a family or of the counting: python scripts/count_catalogue.py. `tests/facts/test_counts.py` counts all again.
"""

from __future__ import annotations

from pathlib import Path

import torch

import edgewise
from edgewise.models.catalogue import CATALOGUE
from edgewise.records.cost import CostReport

TARGET = Path(__file__).parents[1] / "src" / "edgewise" / "models" / "facts" / "costs.py"
HEAD = '''"""Counts of every model; written by scripts/count_catalogue.py."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewise.models.facts.cost import Cost

COSTS: Mapping[str, Cost] = MappingProxyType(
    {
'''
TAIL = """    }
)
"""


def main() -> None:
    """Count and write."""
    rows = []
    for name, entry in CATALOGUE.items():
        with torch.device("meta"):
            model = edgewise.create_model(name)
        report = edgewise.count(edgewise.fuse(model), entry.img_size)
        if not report.complete:
            raise SystemExit(f"{name}: no rule for {', '.join(report.unknown)}")
        rows.append(f'        "{name}": Cost({", ".join(f"{each:_}" for each in fields_of(report))}),\n')
        print(rows[-1].strip(), flush=True)
    TARGET.write_text(HEAD + "".join(rows) + TAIL, encoding="utf-8")


def fields_of(report: CostReport) -> tuple[int, ...]:
    """Return the values of `Cost`, in its order."""
    moved = report.read_bytes + report.written_bytes
    return report.activations, report.weight_bytes, moved, report.accesses, report.peak_activation_bytes


if __name__ == "__main__":
    main()
