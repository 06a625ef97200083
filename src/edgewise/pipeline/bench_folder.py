"""The folder of a bench: finished cases are kept one by one, so that nothing measured is lost and a bench can go on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgewise.errors import InputError, OutputError, shown
from edgewise.records.bench import BenchCase, BenchRequest
from edgewise.train.run_folder import new_run_folder

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class BenchFolder:
    """``bench.json`` says what was asked for; ``cases/`` has a file for each case that is done."""

    path: Path
    asked: BenchRequest | None = None
    """Of a new bench: written with its first case, so that a request that is refused leaves nothing behind."""

    @classmethod
    def create(cls, request: BenchRequest, path: Path | None = None) -> BenchFolder:
        """Return the folder of a new bench: ``path``, or the first free one of ``runs/bench``, ``runs/bench2``, ….

        It is made with the first case that is kept.

        Raises:
            OutputError: ``path`` holds something.
        """
        folder = cls(path if path is not None else new_run_folder(Path("runs"), "bench").path, request)
        if folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
            raise OutputError(
                f"{shown(folder.path)} holds something already; give a new folder with --out, or go on with a bench: --resume"
            )
        return folder

    @classmethod
    def open(cls, path: Path) -> BenchFolder:
        """Open the folder of an earlier bench.

        Raises:
            InputError: it holds none.
        """
        folder = cls(path)
        if not folder._request.is_file():
            raise InputError(f"{shown(path)} holds no bench (bench.json is missing); give the folder of one")
        return folder

    @property
    def request(self) -> BenchRequest:
        """Return what was asked for."""
        return self.asked if self.asked is not None else BenchRequest.load(self._request)

    def cases(self) -> list[BenchCase]:
        """Return the finished cases in the order in which they were planned.

        Raises:
            InputError: a record is damaged.
        """
        return [BenchCase.load(path) for path in sorted(self._cases.glob("*.json"))]

    def done(self, number: int) -> BenchCase | None:
        """Return the case with this place in the plan, if it is done; a damaged record counts as not done."""
        for path in self._cases.glob(f"{number:04d}-*.json"):
            try:
                return BenchCase.load(path)
            except InputError:
                path.unlink()
        return None

    def keep(self, number: int, case: BenchCase) -> None:
        """Write a finished case, whole or not at all.

        Raises:
            OutputError: the disk refuses it.
        """
        name = UNSAFE.sub("-", f"{case.model}-{case.runtime}-{case.precision}-{case.threads}")
        path = self._cases / f"{number:04d}-{name[:100]}.json"
        try:
            self._cases.mkdir(parents=True, exist_ok=True)
            if self.asked is not None:
                self.asked.save(self._request)
            case.save(path)
        except OSError as error:
            raise OutputError(f"{shown(path)} was not written: {error.strerror}; finished cases are kept") from error

    @property
    def _request(self) -> Path:
        return self.path / "bench.json"

    @property
    def _cases(self) -> Path:
        return self.path / "cases"
