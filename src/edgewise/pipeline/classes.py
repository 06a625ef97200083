"""Whether a model knows the classes of a data set."""

from __future__ import annotations

from collections.abc import Sequence

from edgewise.errors import ResumeMismatchError, shown


def check_classes(source: str, known: Sequence[str], given: Sequence[str], *, todo: str) -> None:
    """Refuse a data set with other classes than a model has.

    Args:
        source: what a person called the model.
        known: its classes; empty where nobody knows their names.
        given: those of the data set.
        todo: what to do with the right data set, as in ``validate``.

    Raises:
        ResumeMismatchError: they differ, be it in their order.
    """
    if not known or tuple(known) == tuple(given):
        return
    missing, new = sorted(set(known) - set(given)), sorted(set(given) - set(known))
    raise ResumeMismatchError(
        f"{shown(source)} knows other classes than the data set: missing {missing[:5]}, new {new[:5]}; "
        f"{todo} on a data set with the classes of its labels.txt"
    )
