"""Which tensors of a model are its classifier's, and what happens to those of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from edgewise.models.state_candidates import is_plain

ASK = "ask for a new head (new_head=True, --new-head) to load everything else"


def head_prefix(model: nn.Module) -> str:
    """Return the path of the part that holds the classifier: a network's layout says it, elsewhere it is ``classifier``."""
    prefix: str = getattr(getattr(model, "layout", None), "classifier", "classifier")
    return prefix


def head_names(model: nn.Module) -> set[str]:
    """Return the names of the tensors of ``model`` that depend on the number of classes: the norms within the head do not."""
    prefix = head_prefix(model)
    return {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if f"{path}.".startswith(f"{prefix}.") and not isinstance(module, nn.modules.batchnorm._BatchNorm)
        for name, _ in module.named_parameters(recurse=False)
    }


def leave_head(model: nn.Module, entries: dict[str, Any], target: dict[str, Tensor]) -> str:
    """Take the classifier out of ``entries`` and ``target``, with what else the file has in its head and the model has not.

    Returns:
        What was done, for people.
    """
    kept = head_names(model)
    for name in kept:
        del target[name]
    left = [name for name in entries if name.startswith(f"{head_prefix(model)}.") and name not in target]
    for name in left:
        del entries[name]
    return f"new head: {len(left)} tensors of the file left out, {len(kept)} of the model keep their start"


def head_fault(model: nn.Module, entries: Mapping[str, Any], target: Mapping[str, Tensor]) -> str | None:
    """Return why the file's classifier does not fit: other classes, or a model without; None where it does."""
    names = head_names(model)
    for name in names:
        given, wanted = entries.get(name), target[name]
        if isinstance(given, Tensor) and is_plain(given) and _is_for_other_classes(given, wanted):
            classes = given.shape[0]
            return (
                f"has a head for {classes} classes, the model has {wanted.shape[0]}; build it for {classes}, or {ASK}"
            )
    given = next((value for name, value in entries.items() if name.startswith(f"{head_prefix(model)}.")), None)
    if not names and isinstance(given, Tensor) and given.dim() > 0 and _has_no_classes(model):
        return f"has a head, the model has none; {ASK}"
    return None


def _is_for_other_classes(given: Tensor, wanted: Tensor) -> bool:
    return given.dim() == wanted.dim() and given.shape[0] != wanted.shape[0] and given.shape[1:] == wanted.shape[1:]


def _has_no_classes(model: nn.Module) -> bool:
    return getattr(model, "num_classes", None) == 0
