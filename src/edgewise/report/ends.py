"""What an exported file takes and gives, in a sentence."""

from __future__ import annotations

from edgewise.records.artifact import Artifact

TAKES = {"normalised": "normalised images", "0-255": "RGB pixels from 0 to 255"}


def ends_sentence(artifact: Artifact) -> str:
    """Return the sentence, as in ``takes normalised images (1, 3, 224, 224), nchw; gives logits; no transposes inside``."""
    sizes = ", ".join(map(str, artifact.input.shape))
    pixels = (
        TAKES[artifact.input.values]
        if len(artifact.preprocessing.mean) == 3
        else TAKES[artifact.input.values].removeprefix("RGB ")
    )
    text = f"takes {pixels} ({sizes}), {artifact.input.layout}; gives {artifact.output}"
    if artifact.transposes is None:
        return text
    return f"{text}; {artifact.transposes or 'no'} transpose{'' if artifact.transposes == 1 else 's'} inside"
