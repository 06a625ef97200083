"""A few validation pictures with the model's answers, for the report."""

from __future__ import annotations

import base64
import io

import torch
from PIL import Image

from edgewise.data.dataset import Dataset
from edgewise.data.loader import EvalLoader
from edgewise.data.normalise import normalise
from edgewise.data.transforms import EvalTransform
from edgewise.pipeline.images import spread
from edgewise.pipeline.trained import Trained
from edgewise.records.run import SamplePrediction

NUM_SAMPLES = 24
LARGEST_PX = 160


@torch.inference_mode()
def sample_predictions(trained: Trained, dataset: Dataset) -> tuple[SamplePrediction, ...]:
    """Return pictures spread evenly over the validation set, as the network sees them, with its five best answers."""
    samples = spread(dataset.val, NUM_SAMPLES)
    recipe = trained.preprocessing
    found: list[SamplePrediction] = []
    for batch in EvalLoader(samples, EvalTransform(recipe), batch_size=NUM_SAMPLES):
        logits = trained.model(normalise(batch.images, recipe.mean, recipe.std))
        best = logits.softmax(dim=1).topk(min(5, len(trained.labels)), dim=1)
        for image, target, values, indices in zip(batch.images, batch.targets, best.values, best.indices, strict=True):
            answers = zip(indices.tolist(), values.tolist(), strict=True)
            found.append(
                SamplePrediction(
                    image_png_base64=_png_base64(image),
                    truth=trained.labels[int(target)],
                    top=tuple((trained.labels[index], value) for index, value in answers),
                )
            )
    return tuple(found)


def _png_base64(image: torch.Tensor) -> str:
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    picture.thumbnail((LARGEST_PX, LARGEST_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
