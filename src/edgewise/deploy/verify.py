"""The proof that an exported file answers like its model; part of every export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgewise.deploy.answers import Answer, Images, Logits, fixed_batch, module_answer, session_answer
from edgewise.deploy.description import check_description, check_input_name
from edgewise.deploy.exporters.registry import get_exporter
from edgewise.deploy.inputs import edge_inputs
from edgewise.deploy.interface import PLAIN, Interface
from edgewise.deploy.probabilities import PROBABILITY_ROUNDING, SUM_SHARE, as_logits
from edgewise.deploy.runtimes.protocol import RuntimeOptions
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.deploy.runtimes.sdk import one_line
from edgewise.errors import EdgewiseError, ExportError, InputError
from edgewise.records.artifact import InputCheck, Preprocessing, VerificationRecord
from edgewise.records.paired import PairedTop1
from edgewise.report.fall import unsettled

Labelled = Callable[[], Iterator[tuple[Images, NDArray[np.int64]]]]

TOLERANCE = 1e-4
"""Accepted difference of fp32 logits, as a share of the largest of its kind of input."""
ROUNDING = 4.0
"""Accepted difference as a multiple of the model's own, between float32 and float64: some networks, fresh or badly scaled, magnify
the last bit to more than `TOLERANCE`, and each side rounds in its own order."""
LOGIT_FLOOR = 1e-6
"""Absolute difference below which fp32 logits count as equal: the rounding of a network whose logits are all near 0."""
MIN_AGREEMENT = 0.98
"""Accepted share of equal top-1 answers where no labels are at hand, for reduced precisions."""
BATCH_SIZES = (1, 2, 7)
MAX_REAL = 256


def verify(
    path: Path,
    model: nn.Module,
    *,
    runtime: str,
    preprocessing: Preprocessing,
    interface: Interface = PLAIN,
    precision: str = "fp32",
    real: Images | None = None,
    labelled: Labelled | None = None,
    max_drop: float = 0.01,
    dynamic_batch: bool = True,
    batch: int | None = None,
    metadata: Mapping[str, str] | None = None,
    threads: int = 1,
    reference: Answer | None = None,
) -> VerificationRecord:
    """Reload the file at ``path`` in its runtime and compare it with ``model``.

    fp32 passes when each logit is within 1e-4 of the model's (as a share of the largest of its kind of input; more where
    the model itself rounds more) and top-1 is equal outside ties. Reduced precisions pass when top-1 on labelled images
    falls by at most `max_drop`; without labels, when 98 % of the real images keep their top-1. NaN or infinity on either
    side fails always, and so does a file that says other things of itself than it was told to, or prepares pictures otherwise.

    ``model`` is asked as it is, on normalised images, whatever ``interface`` adds around it in the file: what was added is under test too.
    Probabilities are brought back to logits, see `probabilities.as_logits`.

    Args:
        path: the exported file.
        model: what it was made from; not fused, so that fusing is under test too.
        runtime: name of the runtime that reloads the file.
        preprocessing: of the model's input; tells its channels, size and what a white pixel is.
        interface: what the file takes and gives instead.
        precision: ``fp32``, or a reduced one.
        real: normalised real images (N, C, S, S); the first 256 are used.
        labelled: gives batches (images, labels) afresh at each call; used for reduced precisions.
        max_drop: accepted fall of top-1, as a fraction.
        dynamic_batch: whether the file takes any batch size; sizes 1, 2 and 7 are then tried.
        batch: images that a file takes at once whose batch is not dynamic; None = whatever it says.
        metadata: the text that was to travel inside the file, as of `metadata.describe`; None = none is looked for.
        threads: threads of the runtime.
        reference: what gives the answers of ``model``; it is asked itself by default.

    Returns:
        The record, with `passed` and, where it failed, the `reason` with the numbers.

    Raises:
        InputError: a reduced precision has nothing to be judged on, or `real` has another shape than `preprocessing`.
    """
    reduced = precision != "fp32"
    if reduced:
        check_judges(precision, real, labelled)
    kinds = edge_inputs(preprocessing)
    if real is not None and len(real):
        if real.shape[1:] != kinds["ones"].shape[1:]:
            raise InputError(f"real images are {real.shape[1:]} each; preprocessing makes {kinds['ones'].shape[1:]}")
        kinds = {"real": np.array(real[:MAX_REAL], np.float32), **kinds}
    batch_sizes = BATCH_SIZES if dynamic_batch else (1,)
    checks: tuple[InputCheck, ...] = ()
    paired: PairedTop1 | None = None
    reason = ""
    try:
        session = get_runtime(runtime).load(path, RuntimeOptions(threads=threads))
        try:
            _check_batch(fixed_batch(session), "any number" if dynamic_batch else batch)
            if metadata is not None:
                check_input_name(session, get_exporter(runtime))
                check_description(path, get_exporter(runtime), metadata, interface.recipe(preprocessing))
            given = session_answer(session, batch_sizes)
            reference = reference or module_answer(model)

            def answer(images: Images) -> Logits:
                return given(interface.given(images, preprocessing))

            checks, reason = compare(
                kinds, reference, answer, model if not reduced else None, gives_probabilities=interface.softmax
            )
            if reduced and labelled is not None:
                paired = _paired(labelled, reference, answer)
        finally:
            session.close()
    except EdgewiseError as error:
        reason = reason or str(error)
    except Exception as error:  # noqa: BLE001  whatever an engine raises on this file means that the file does not work
        reason = reason or f"{runtime} cannot run the file: {one_line(error)}"
    if reduced:
        reason = reason or _judge_reduced(checks, paired, max_drop, precision)
    return VerificationRecord(
        runtime=runtime,
        passed=not reason,
        tolerance=0.0 if reduced else TOLERANCE,
        checks=checks,
        batch_sizes=batch_sizes,
        top1_model=(paired.num_both + paired.num_model_only) / paired.num_images if paired else None,
        top1_file=(paired.num_both + paired.num_file_only) / paired.num_images if paired else None,
        max_drop=max_drop if reduced and labelled is not None else None,
        paired=paired,
        reason=reason,
    )


def _check_batch(fixed: int | None, wanted: int | str | None) -> None:
    if fixed is not None and wanted is not None and fixed != wanted:
        raise ExportError(f"the file takes {fixed} images a call; it must take {wanted}")


def check_judges(precision: str, real: Images | None, labelled: Labelled | None) -> None:
    """Refuse to judge a reduced precision on nothing.

    Raises:
        InputError: there are neither labelled nor real images.
    """
    if labelled is None and (real is None or len(real) == 0):
        raise InputError(f"{precision} is judged on labelled images, or else on real ones; give one of the two")


def compare(
    kinds: Mapping[str, Images],
    reference: Answer,
    answer: Answer,
    exact: nn.Module | None,
    *,
    gives_probabilities: bool = False,
) -> tuple[tuple[InputCheck, ...], str]:
    """Return one check per kind of input, and why the first bad one is bad (empty when all are good).

    Args:
        kinds: of input, by name.
        reference: the model's logits.
        answer: the file's, for the same images.
        exact: the model, where the logits decide; its own rounding is looked at where the file is off.
        gives_probabilities: whether the file gives probabilities, not logits.

    Raises:
        ExportError: the numbers of classes differ, one side answers NaN or infinity, or probabilities are none.
    """
    checks, reasons = [], []
    for name, images in kinds.items():
        expected, given = reference(images), answer(images)
        if gives_probabilities and expected.shape == given.shape:
            given = as_logits(given, expected, kind=name)
        check = _check(name, expected, given)
        checks.append(check)
        if exact is not None:
            accepted = _accepted(check, exact, expected, images, gives_probabilities=gives_probabilities)
            reasons.append(_judge_exact(check, expected, given, accepted))
    return tuple(checks), next(filter(None, reasons), "")


def _check(name: str, expected: Logits, given: Logits) -> InputCheck:
    if expected.shape != given.shape:
        raise ExportError(f"{name}: the file gives {given.shape[1]} classes, the model {expected.shape[1]}")
    for side, logits in (("model", expected), ("file", given)):
        if not np.isfinite(logits).all():
            raise ExportError(f"{name}: the {side} answers NaN or infinity")
    return InputCheck(
        name=name,
        num_inputs=len(given),
        max_abs_diff=float(np.abs(given - expected).max()),
        max_abs_logit=float(np.abs(expected).max()),
        top1_agreement=float((given.argmax(1) == expected.argmax(1)).mean()),
    )


def _accepted(
    check: InputCheck, model: nn.Module, expected: Logits, images: Images, *, gives_probabilities: bool
) -> float:
    """Return the difference of logits that is accepted."""

    def of_answers(logits: float) -> float:
        return SUM_SHARE * logits + PROBABILITY_ROUNDING if gives_probabilities else logits

    accepted = max(TOLERANCE * check.max_abs_logit, LOGIT_FLOOR)
    if check.max_abs_diff <= of_answers(accepted):
        return of_answers(accepted)
    own = float(np.abs(module_answer(model, torch.float64)(images) - expected).max())
    return of_answers(max(accepted, ROUNDING * own))


def _judge_exact(check: InputCheck, expected: Logits, given: Logits, accepted: float) -> str:
    if check.max_abs_diff > accepted:
        return (
            f"{check.name}: logits differ by up to {check.max_abs_diff:.3g}, accepted {accepted:.3g} "
            f"(largest logit {check.max_abs_logit:.3g}, top-1 equal on {check.top1_agreement:.1%})"
        )
    same = given.argmax(1) == expected.argmax(1)
    ordered = np.sort(expected, axis=1)
    tied = ordered[:, -1] - ordered[:, -2] <= 2 * accepted if expected.shape[1] > 1 else np.ones(len(same), bool)
    if not (same | tied).all():
        return f"{check.name}: top-1 differs on {int((~(same | tied)).sum())} of {check.num_inputs} inputs"
    return ""


def _paired(labelled: Labelled, reference: Answer, answer: Answer) -> PairedTop1:
    """Count on how many labelled images the model and the file are right, alone and together."""
    both = model_only = file_only = neither = 0
    for images, targets in labelled():
        plain = np.array(images, np.float32)
        expected, given = reference(plain), answer(plain)
        if not (np.isfinite(expected).all() and np.isfinite(given).all()):
            raise ExportError("labelled: the model or the file answers NaN or infinity")
        model, file = expected.argmax(1) == targets, given.argmax(1) == targets
        both += int((model & file).sum())
        model_only += int((model & ~file).sum())
        file_only += int((file & ~model).sum())
        neither += int((~model & ~file).sum())
    if both + model_only + file_only + neither == 0:
        raise InputError("labelled images are needed to judge the file; the set is empty")
    return PairedTop1.counted(both=both, model_only=model_only, file_only=file_only, neither=neither)


def _judge_reduced(checks: Sequence[InputCheck], paired: PairedTop1 | None, max_drop: float, precision: str) -> str:
    if paired is not None:
        if paired.within(max_drop):
            return ""
        right = paired.num_both + paired.num_model_only, paired.num_both + paired.num_file_only
        before, after = (number / paired.num_images for number in right)
        fall = f"top-1 falls from {before:.2%} to {after:.2%} on the labelled images; accepted fall {max_drop:.2%}"
        return "; ".join(filter(None, (fall, unsettled(paired, max_drop))))
    agreement = next(check.top1_agreement for check in checks if check.name == "real")
    if agreement < MIN_AGREEMENT:
        return (
            f"real: top-1 equal on {agreement:.2%} of the images; {precision} without labels needs {MIN_AGREEMENT:.0%}"
        )
    return ""
