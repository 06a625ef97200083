"""Comparing a file that gives probabilities with a model that gives logits."""

from __future__ import annotations

import numpy as np

from edgewise.deploy.answers import Logits
from edgewise.errors import ExportError

LEAST = 1e-30
"""Probabilities below count as this: towards the smallest float32 kernels cut exp() off at different places."""
SUM_SHARE = 2.0
"""By how much more a logarithm of a probability may be off than a logit: the sum that it is divided by moves with all logits."""
PROBABILITY_ROUNDING = 1e-5
"""What the softmax itself rounds in float32, in the logarithm of a probability: a sum of a thousand terms, and engines' own exp()."""
MAX_SUM_ERROR = 0.01
"""Accepted distance of a sum of probabilities from 1, in any precision."""


def as_logits(probabilities: Logits, expected: Logits, *, kind: str) -> Logits:
    """Return the logits that ``probabilities`` are the softmax of, on the scale of ``expected``.

    A softmax forgets what is common to all logits of an image; that is taken from ``expected``, the model's logits, both (N, num_classes).
    So the two can be compared as logits are, which sees errors that leave all probabilities small. Where both sides are below `LEAST`,
    nothing differs.

    Raises:
        ExportError: they are no probabilities; the message begins with ``kind``.
    """
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if not (np.abs(sums - 1) <= MAX_SUM_ERROR).all() or probabilities.min() < 0:
        worst = sums[np.argmax(np.abs(sums - 1))]
        raise ExportError(
            f"{kind}: the file must give probabilities; they sum to {worst:.3g}, the least is {probabilities.min():.3g}"
        )
    exact = expected.astype(np.float64)
    largest = exact.max(axis=1, keepdims=True)
    wanted = exact - largest - np.log(np.exp(exact - largest).sum(axis=1, keepdims=True))
    floor = np.log(LEAST)
    found = np.log(np.maximum(probabilities.astype(np.float64), LEAST))
    logits: Logits = (exact + found - np.maximum(wanted, floor)).astype(np.float32)
    return logits
