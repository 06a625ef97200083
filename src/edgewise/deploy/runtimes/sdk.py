"""The Python package that a runtime stands on: whether it is installed, and how to get it."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from importlib import metadata

from edgewise.deploy.runtimes.protocol import Availability
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.errors import MissingExtraError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdk:
    """One package of the Python index.

    Attributes:
        package: its name on the index, as in ``onnxruntime``.
        module: the module that it is imported by.
        install: what to type after ``pip install``.
    """

    package: str
    module: str
    install: str

    def availability(self) -> Availability:
        """Say whether the package is installed, without importing it."""
        try:
            return Availability(ok=True, version=metadata.version(self.package))
        except metadata.PackageNotFoundError:
            return Availability(ok=False, reason=f"{self.package} is not installed: pip install {self.install}")

    def require(self) -> None:
        """Import the package, so that what follows may use it and times no import.

        Raises:
            MissingExtraError: it is not installed, or its import fails.
        """
        try:
            with quiet():
                importlib.import_module(self.module)
        except ImportError as error:
            raise MissingExtraError(
                f"{self.package} cannot be imported ({one_line(error)}): pip install {self.install}"
            ) from error


def one_line(error: BaseException, limit: int = 200) -> str:
    """Return what an SDK says in ``error`` as one line of at most ``limit`` characters."""
    text = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
