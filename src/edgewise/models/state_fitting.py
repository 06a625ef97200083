"""Making a file's tensors fit a model exactly, or saying all the reasons why they do not; nothing is loaded here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgewise.errors import WeightsError, shown
from edgewise.models.deployed_form import deployed_form, training_form
from edgewise.models.first_convs import adapt_first_convs
from edgewise.models.foreign.repvit_legacy import convert_legacy_mixers
from edgewise.models.network import FeatureNetwork, Network
from edgewise.models.state_candidates import Candidate, is_plain
from edgewise.models.state_head import head_fault, leave_head
from edgewise.models.state_naming import BATCH_COUNT

MAX_LISTED = 10


@dataclass
class Fitting:
    """Tensors under way from a file into a model.

    Attributes:
        entries: what is still to be loaded, by the model's names.
        target: the model's state that must be covered.
        given_names: names in the file, by the model's, where they differ.
        notes: what was changed, for people.
    """

    entries: dict[str, Any]
    target: dict[str, Tensor]
    given_names: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def shown(self, name: str) -> str:
        """Return the name under which a person finds the model's ``name`` in the file."""
        return shown(self.given_names.get(name, name))


def fit_state(
    model: nn.Module, candidate: Candidate, *, new_head: bool | None, allow_nonfinite: bool
) -> tuple[dict[str, Tensor], list[str]]:
    """Return tensors with the names, shapes and dtypes of ``model`` (without its head if ``new_head``), and notes.

    With ``new_head`` None the head is left out where it does not fit.

    Raises:
        WeightsError: names or shapes differ, an integer would become a fraction or the other way round, or a value is
            NaN or infinite and ``allow_nonfinite`` is not set.
    """
    target = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    fitting = Fitting(dict(candidate.entries), target, candidate.given_names)
    if isinstance(model, FeatureNetwork):
        _leave_what_features_lack(fitting, model)
    fault = head_fault(model, fitting.entries, fitting.target)
    if new_head or (new_head is None and fault):
        fitting.notes.append(leave_head(model, fitting.entries, fitting.target))
    elif fault:
        raise WeightsError(fault)
    if isinstance(model, Network | FeatureNetwork):
        _convert_legacy(fitting, model.spec.norm.eps)
    fitting.notes += adapt_first_convs(model, fitting.entries, fitting.target)
    _excuse_batch_counts(fitting)
    _check_names_and_shapes(fitting)
    _cast(fitting)
    _check_finite(fitting, allow_nonfinite=allow_nonfinite)
    return fitting.entries, fitting.notes


def _leave_what_features_lack(fitting: Fitting, model: FeatureNetwork) -> None:
    """Take out of the entries what the whole network has and its pyramid of features has not: the head, late stages."""
    left: set[str] = set()
    for form in (training_form, deployed_form):
        if fitting.entries.keys() - fitting.target.keys() - left:
            left |= form(model.spec).keys() & (fitting.entries.keys() - fitting.target.keys())
    for name in left:
        del fitting.entries[name]
    if left:
        fitting.notes.append(f"features only: {len(left)} tensors of the head and of later stages left out")


def _convert_legacy(fitting: Fitting, eps: float) -> None:
    count = convert_legacy_mixers(fitting.entries, fitting.target, eps)
    if count:
        fitting.notes.append(f"{count} token mixers of RepViT's first generation converted; exact in eval mode")


def _excuse_batch_counts(fitting: Fitting) -> None:
    missing = [name for name in fitting.target if name.endswith(f".{BATCH_COUNT}") and name not in fitting.entries]
    for name in missing:
        del fitting.target[name]
    if missing:
        fitting.notes.append(f"{BATCH_COUNT} is missing {len(missing)} times; the model's own are kept")


def _check_names_and_shapes(fitting: Fitting) -> None:
    problems = [f"{fitting.shown(name)} is missing" for name in fitting.target if name not in fitting.entries]
    for name, given in fitting.entries.items():
        if name not in fitting.target:
            problems.append(f"{fitting.shown(name)} is not in the model")
        elif not is_plain(given):
            problems.append(f"{fitting.shown(name)} is no plain tensor ({type(given).__name__})")
        elif given.shape != fitting.target[name].shape:
            problems.append(
                f"{fitting.shown(name)} has shape {tuple(given.shape)}, "
                f"the model needs {tuple(fitting.target[name].shape)}"
            )
        elif given.is_floating_point() != fitting.target[name].is_floating_point() or given.is_complex():
            problems.append(f"{fitting.shown(name)} is {given.dtype}, the model needs {fitting.target[name].dtype}")
    if problems:
        more = f"; … ({len(problems)} in all)" if len(problems) > MAX_LISTED else ""
        raise WeightsError(f"does not fit the model, nothing was loaded: {'; '.join(problems[:MAX_LISTED])}{more}")


def _cast(fitting: Fitting) -> None:
    counts: dict[tuple[str, str], int] = {}
    for name, given in fitting.entries.items():
        wanted = fitting.target[name].dtype
        if given.dtype != wanted:
            pair = (_short(given.dtype), _short(wanted))
            counts[pair] = counts.get(pair, 0) + 1
            fitting.entries[name] = given.to(wanted)
    fitting.notes.extend(f"{count} tensors cast from {given} to {wanted}" for (given, wanted), count in counts.items())


def _check_finite(fitting: Fitting, *, allow_nonfinite: bool) -> None:
    bad = [name for name, value in fitting.entries.items() if value.is_floating_point() and not value.isfinite().all()]
    if not bad:
        return
    listed = ", ".join(fitting.shown(name) for name in bad[:MAX_LISTED])
    more = f", … ({len(bad)} in all)" if len(bad) > MAX_LISTED else ""
    if not allow_nonfinite:
        raise WeightsError(
            f"holds NaN or infinite values in {listed}{more}; "
            f"to load it all the same give allow_nonfinite=True (--allow-nonfinite)"
        )
    fitting.notes.append(f"NaN or infinite values in {listed}{more}")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
