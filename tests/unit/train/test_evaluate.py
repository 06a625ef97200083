import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassPrecision

from edgewise.data.loader import Batch
from edgewise.records.artifact import Preprocessing
from edgewise.train.evaluate import evaluate


class Answers(nn.Module):
    """Gives out prepared logits, in order, and says in which mode it was asked."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits
        self.given = 0
        self.modes: list[bool] = []

    def forward(self, images):
        self.modes.append(self.training)
        start, self.given = self.given, self.given + len(images)
        return self.logits[start : self.given]


def run(logits, targets, batch=7):
    labels = [str(index) for index in range(logits.shape[1])]
    batches = [
        Batch(torch.zeros(len(part), 3, 4, 4, dtype=torch.uint8), part, torch.arange(len(part)))
        for part in targets.split(batch)
    ]
    model = Answers(logits).train()
    record = evaluate(model, batches, Preprocessing(img_size=4), labels)
    assert not any(model.modes)
    assert model.training
    return record


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_all_figures_equal_those_of_torchmetrics(num_classes):
    generator = torch.Generator().manual_seed(num_classes)
    logits = torch.randn(100, num_classes, generator=generator)
    targets = torch.randint(0, num_classes, (100,), generator=generator)
    record = run(logits, targets)
    assert record.num_images == 100
    assert record.loss == pytest.approx(F.cross_entropy(logits, targets).item(), rel=1e-6)
    for k, value in ((1, record.top1), (min(5, num_classes), record.top5)):
        metric = MulticlassAccuracy(num_classes, top_k=k, average="micro")
        assert value == pytest.approx(metric(logits, targets).item(), abs=1e-6)
    matrix = MulticlassConfusionMatrix(num_classes)(logits, targets)
    assert torch.equal(torch.tensor(record.confusion), matrix)
    recall = MulticlassAccuracy(num_classes, average=None)(logits, targets)
    precision = MulticlassPrecision(num_classes, average=None)(logits, targets)
    assert [each.recall for each in record.classes] == pytest.approx(recall.tolist(), abs=1e-6)
    assert [each.precision for each in record.classes] == pytest.approx(precision.tolist(), abs=1e-6)
    assert [each.num_images for each in record.classes] == matrix.sum(1).tolist()


def test_a_class_that_never_occurs_or_is_never_answered_counts_nothing():
    record = run(torch.tensor([[9.0, 0, 0], [9, 0, 0]]), torch.tensor([0, 1]))
    assert [(each.num_images, each.recall, each.precision) for each in record.classes] == [
        (1, 1.0, 0.5),
        (1, 0.0, 0.0),
        (0, 0.0, 0.0),
    ]
    assert record.top1 == 0.5


def test_the_images_are_normalised_as_the_network_expects():
    class Mean(nn.Module):
        def forward(self, images):
            seen.append(images.mean().item())
            return torch.zeros(len(images), 2)

    seen: list[float] = []
    batch = Batch(torch.full((1, 3, 4, 4), 255, dtype=torch.uint8), torch.tensor([0]), torch.tensor([0]))
    recipe = Preprocessing(img_size=4, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    evaluate(Mean(), [batch], recipe, ["a", "b"])
    assert seen == pytest.approx([2.0])
