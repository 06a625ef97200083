"""Every error that Edgewise raises on purpose, in one tree.

EdgewiseError
├── InputError                 something a person gave: exit code 2, one line
│   ├── SpecError              an architecture that cannot be built
│   ├── UnknownNameError       a model, format, runtime or option that does not exist
│   ├── ConfigError            a setting out of range, or a config file that is not one
│   ├── DataError              a data set that cannot be used
│   │   └── ImageError         one file that cannot be read as an image
│   ├── WeightsError           a weights file that cannot be loaded
│   ├── CheckpointError        a run's checkpoint that is damaged or of another make
│   ├── ResumeMismatchError    resume asked for with another config, class list or data set
│   ├── OutputError            a folder that cannot or must not be written
│   ├── BudgetError            a latency or time budget that nothing meets
│   └── MissingExtraError      an optional dependency that is not installed
├── IncompleteCostError        a count with unknown operators used where a complete one is needed
├── ExportError                a conversion that failed
│   └── VerificationError      an exported file that does not answer like its model
├── BenchError                 a measurement that could not be made
└── TrainingError              a run that cannot go on
    ├── NonFiniteLossError     the loss became NaN or infinite
    └── Interrupted            a signal asked the run to stop; exit code 130 or 143
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EdgewiseError(Exception):
    """Base of all errors that Edgewise raises on purpose; its text is one line that a user can act on."""

    exit_code = 1


class InputError(EdgewiseError):
    """Something that a person gave cannot be used."""

    exit_code = 2


class SpecError(InputError, ValueError):
    """An architecture that cannot be built. A `ValueError` too, so that pydantic adds the place of a fault in a row."""


class UnknownNameError(InputError):
    """A name that is not in the table it should come from."""


class ConfigError(InputError):
    """A setting out of range, or a config file that is not one."""


class DataError(InputError):
    """A data set that cannot be used."""


class ImageError(DataError):
    """One file that cannot be read as an image."""


class WeightsError(InputError):
    """A weights file that cannot be loaded."""


class CheckpointError(InputError):
    """A run's checkpoint that is damaged or of another make."""


class ResumeMismatchError(InputError):
    """Resume was asked for with another config, class list or data set."""


class OutputError(InputError):
    """A folder that cannot or must not be written."""


class BudgetError(InputError):
    """A latency or time budget that nothing meets."""


class MissingExtraError(InputError):
    """An optional dependency that is not installed."""


class IncompleteCostError(EdgewiseError):
    """A count with unknown operators used where a complete one is needed."""


class ExportError(EdgewiseError):
    """A conversion that failed."""


class VerificationError(ExportError):
    """An exported file that does not answer like its model."""


class BenchError(EdgewiseError):
    """A measurement that could not be made."""


class TrainingError(EdgewiseError):
    """A run that cannot go on."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite."""


class Interrupted(TrainingError):  # noqa: N818 - it is no error, it is an end
    """A signal asked the run to stop; its state is saved."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def suggestion(given: str, accepted: Iterable[str]) -> str:
    """Return ``'; did you mean 'x'?'`` for a near miss, else an empty string."""
    near = difflib.get_close_matches(given, list(accepted), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown_name(kind: str, given: str, accepted: Iterable[str]) -> UnknownNameError:
    """Build the error for a name that is not in its table.

    Args:
        kind: what the name stands for, as in ``"model"``.
        given: what was given.
        accepted: the names of the table; at most eight are listed.
    """
    names = sorted(accepted)
    listed = ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")
    hint = suggestion(given, names) or ";"
    return UnknownNameError(f"unknown {kind} {shown(given)}{hint} accepted: {listed}")


def shown(text: object, limit: int = 120) -> str:
    """Return ``text`` quoted for a one-line message: control characters and bad bytes escaped, long texts cut."""
    raw = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in raw)
    if len(escaped) > limit:
        escaped = escaped[: limit - 1] + "…"
    return f"'{escaped}'"
