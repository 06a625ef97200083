"""Making a file's tensors fit a model exactly, or saying all the reasons why they do not; nothing is loaded here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgewise.errors import WeightsError, shown
from edgewise.models.state_candidates import is_plain

HEAD_PREFIX = "classifier."
RGB = 3
MAX_LISTED = 10


@dataclass
class Fitting:
    """Tensors under way from a file into a model.

    Attributes:
        entries: what is still to be loaded, by the model's names.
        target: the model's state that must be covered.
        notes: what was changed, for people.
    """

    entries: dict[str, Any]
    target: dict[str, Tensor]
    notes: list[str] = field(default_factory=list)


def fit_state(
    model: nn.Module, entries: Mapping[str, Any], *, new_head: bool, allow_nonfinite: bool
) -> tuple[dict[str, Tensor], list[str]]:
    """Return tensors with the names, shapes and dtypes of ``model`` (without its head if ``new_head``), and notes.

    Raises:
        WeightsError: names or shapes differ, an integer would become a fraction or the other way round, or a value is
            NaN or infinite and ``allow_nonfinite`` is not set.
    """
    target = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    fitting = Fitting(dict(entries), target)
    if new_head:
        _leave_head(fitting)
    else:
        _check_head(fitting)
    _adapt_first_conv(fitting, model)
    _check_names_and_shapes(fitting)
    _cast(fitting)
    _check_finite(fitting, allow_nonfinite=allow_nonfinite)
    return fitting.entries, fitting.notes


def _leave_head(fitting: Fitting) -> None:
    left = [name for name in fitting.entries if name.startswith(HEAD_PREFIX)]
    kept = [name for name in fitting.target if name.startswith(HEAD_PREFIX)]
    for name in left:
        del fitting.entries[name]
    for name in kept:
        del fitting.target[name]
    fitting.notes.append(
        f"new head: {len(left)} tensors of the file left out, {len(kept)} of the model keep their start"
    )


def _check_head(fitting: Fitting) -> None:
    for name, wanted in fitting.target.items():
        given = fitting.entries.get(name)
        if not name.startswith(HEAD_PREFIX) or not isinstance(given, Tensor) or not is_plain(given):
            continue
        if given.shape[:1] != wanted.shape[:1] and given.shape[1:] == wanted.shape[1:]:
            raise WeightsError(
                f"has a head for {given.shape[0]} classes, the model has {wanted.shape[0]}; ask for a new head "
                f"(new_head=True, --new-head) to load everything else"
            )


def _adapt_first_conv(fitting: Fitting, model: nn.Module) -> None:
    """Turn a first convolution for RGB into one for another number of channels, with the same response to grey.

    Source: timm/models/_manipulate.py:adapt_input_conv (1.0.31), 3 → 1 by summing, 3 → n by repeating times 3 / n.
    """
    name = next((f"{path}.weight" for path, module in model.named_modules() if isinstance(module, nn.Conv2d)), "")
    given, wanted = fitting.entries.get(name), fitting.target.get(name)
    if (
        not isinstance(given, Tensor)
        or not is_plain(given)
        or wanted is None
        or given.dim() != 4
        or not given.is_floating_point()
    ):
        return
    in_chs = wanted.shape[1]
    same_otherwise = given.shape[0] == wanted.shape[0] and given.shape[2:] == wanted.shape[2:]
    if given.shape[1] != RGB or in_chs == RGB or not same_otherwise:
        return
    full = given.float()
    if in_chs == 1:
        adapted, how = full.sum(dim=1, keepdim=True), "summed"
    else:
        repeated = full.repeat(1, math.ceil(in_chs / RGB), 1, 1)[:, :in_chs]
        adapted, how = repeated * (RGB / in_chs), f"repeated, times {RGB}/{in_chs}"
    fitting.entries[name] = adapted.to(given.dtype)
    fitting.notes.append(f"{shown(name)} adapted from {RGB} to {in_chs} input channels ({how})")


def _check_names_and_shapes(fitting: Fitting) -> None:
    problems = [f"{shown(name)} is missing" for name in fitting.target if name not in fitting.entries]
    for name, given in fitting.entries.items():
        if name not in fitting.target:
            problems.append(f"{shown(name)} is not in the model")
        elif not is_plain(given):
            problems.append(f"{shown(name)} is no plain tensor ({type(given).__name__})")
        elif given.shape != fitting.target[name].shape:
            problems.append(
                f"{shown(name)} has shape {tuple(given.shape)}, the model needs {tuple(fitting.target[name].shape)}"
            )
        elif given.is_floating_point() != fitting.target[name].is_floating_point() or given.is_complex():
            problems.append(f"{shown(name)} is {given.dtype}, the model needs {fitting.target[name].dtype}")
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
    listed = ", ".join(shown(name) for name in bad[:MAX_LISTED])
    more = f", … ({len(bad)} in all)" if len(bad) > MAX_LISTED else ""
    if not allow_nonfinite:
        raise WeightsError(
            f"holds NaN or infinite values in {listed}{more}; "
            f"to load it all the same give allow_nonfinite=True (--allow-nonfinite)"
        )
    fitting.notes.append(f"NaN or infinite values in {listed}{more}")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
