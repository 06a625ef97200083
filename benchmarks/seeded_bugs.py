"""How strong verification is: wrong files made on purpose must all be refused, right files of the whole catalogue never.

Each bug of `tests/seeded_bugs` leaves a real file of its format in place of the converter's, and `export` judges it, without real
images. Every model of the catalogue is exported to ONNX at a small size, with fresh weights and random statistics: what is refused there
is a false alarm. These are converted in this process, without the child that `export` starts otherwise, which would import torch again for
each. An interrupted run goes on where it stopped, unless the code changed.

    python benchmarks/seeded_bugs.py [--bugs a,b] [--names a,b] [--img-size 64] [--out results/seeded_bugs.json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from result_file import RESULTS, check, save_result, this_command
from torch.export import ExportedProgram

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.seeded_bugs.bug import Right  # noqa: E402
from tests.seeded_bugs.judge import refusal  # noqa: E402
from tests.seeded_bugs.registry import BUGS  # noqa: E402
from tests.seeded_bugs.subjects import SUBJECTS, catalogue_model, right_export  # noqa: E402

import edgewise  # noqa: E402
from edgewise.deploy import export as export_module  # noqa: E402
from edgewise.deploy.export import export  # noqa: E402
from edgewise.deploy.exporters.protocol import ExportOptions  # noqa: E402
from edgewise.deploy.exporters.registry import get_exporter  # noqa: E402
from edgewise.errors import EdgewiseError  # noqa: E402
from edgewise.records.artifact import Preprocessing  # noqa: E402

MIN_BUGS = 40
NOT_ONNX = ("mil_program.py", "structure.py")
JUDGING = tuple(f"src/edgewise/{part}" for part in ("blocks", "data", "deploy", "graph", "models", "records", "spec"))
"""The code that makes and judges right files, but for what is of Core ML; rows of an interrupted run are kept while it stays as it is."""
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bugs", default=",".join(BUGS))
    parser.add_argument("--names", default=",".join(edgewise.list_models()))
    parser.add_argument("--img-size", type=int, default=64)
    parser.add_argument("--out", type=Path, default=RESULTS / "seeded_bugs.json")
    given = parser.parse_args()
    bugs, names = _listed(given.bugs), _listed(given.names)
    done = _Done(given.out.with_suffix(".partial.jsonl"), total=len(bugs) + len(names))
    code = _sha256_of_code(*JUDGING, leave_out=NOT_ONNX)
    exported = [
        done.row(f"right {name}", f"{given.img_size} {code}", partial(_exported, name, given.img_size))
        for name in names
    ]
    code = _sha256_of_code(*JUDGING, "tests/seeded_bugs")
    with tempfile.TemporaryDirectory() as folder:
        rights = _Rights(Path(folder))
        judged = [done.row(f"bug {name}", code, partial(_judged, name, rights)) for name in bugs]
    missed = [row["bug"] for row in judged if not row["caught"]]
    alarms = [row["name"] for row in exported if not row["ok"]]
    checks = [
        check("bugs that were missed", len(missed), 0, ""),
        check("bugs", len(judged), MIN_BUGS, "", at_least=True),
        check("right files of the catalogue that were refused", len(alarms), 0, ""),
    ]
    settings = {"img_size": given.img_size, "format_of_the_catalogue": "onnx", "missed": missed, "refused": alarms}
    save_result(given.out, command=this_command(), settings=settings, checks=checks, bugs=judged, catalogue=exported)
    done.path.unlink()
    raise SystemExit(not all(each["passed"] for each in checks))


def _listed(text: str) -> list[str]:
    return [each for each in text.split(",") if each]


class _Rights:
    """The right exports that bugs are made from, each made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, str], Right] = {}

    def get(self, subject: str, format_: str) -> Right:
        key = subject, format_
        if key not in self._made:
            self._made[key] = right_export(SUBJECTS[subject], format_, self._folder)
        return self._made[key]


class _Done:
    """Rows of this run and of an interrupted one before, in a file that is kept until the record is written."""

    def __init__(self, path: Path, *, total: int) -> None:
        self.path = path
        self._total, self._count = total, 0
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self._rows = {(row["key"], row["stamp"]): row["row"] for row in map(json.loads, lines)}

    def row(self, key: str, stamp: str, make: Callable[[], Row]) -> Row:
        """Return the row called ``key``, made now unless it was already, by the code that ``stamp`` stands for."""
        self._count += 1
        if (key, stamp) not in self._rows:
            started = time.perf_counter()
            row = make() | {"seconds": round(time.perf_counter() - started, 1)}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "stamp": stamp, "row": row}) + "\n")
            self._rows[key, stamp] = row
        row = self._rows[key, stamp]
        right = row.get("caught", row.get("ok"))
        print(
            f"[{self._count}/{self._total}] {'    ' if right else 'MISS'} {key}: {row['reason'] or 'passes'}",
            flush=True,
        )
        return row


def _sha256_of_code(*folders: str, leave_out: Sequence[str] = ()) -> str:
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py")) if file.name not in leave_out]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _judged(name: str, rights: _Rights) -> Row:
    bug = BUGS[name]
    reason = refusal(bug, rights.get(bug.subject, bug.format))
    return {
        "bug": name,
        "imitates": bug.imitates,
        "format": bug.format,
        "subject": bug.subject,
        "caught": bool(reason),
        "reason": _without_folders(reason),
    }


def _without_folders(text: str) -> str:
    return re.sub(r"(?<=')/[^']*/", "", text)


def _converted_here(program: ExportedProgram, path: Path, *, metadata: dict[str, str], **_: object) -> None:
    get_exporter("onnx").export(program, path, ExportOptions(metadata=metadata))


def _exported(name: str, img_size: int) -> Row:
    row: Row = {"name": name, "ok": True, "reason": "", "largest_difference": None}
    labels = [f"class {index}" for index in range(10)]
    recipe = Preprocessing(img_size=img_size)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(export_module, "convert", _converted_here):
        try:
            artifact = export(catalogue_model(name), Path(folder) / "out", preprocessing=recipe, labels=labels)
        except EdgewiseError as error:
            return row | {"ok": False, "reason": _without_folders(str(error))}
    proof = artifact.verification
    assert proof is not None
    return row | {"largest_difference": proof.relative_diff}


if __name__ == "__main__":
    main()
