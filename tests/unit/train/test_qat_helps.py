"""A network whose channels differ so much that int8 fails, before and after quantisation-aware training, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgewise.data.digits import open_digits
from edgewise.deploy.evaluate import evaluate_file
from edgewise.deploy.exporters.onnx import OnnxExporter
from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.graph.capture import capture
from edgewise.models.families.mobilenetv1 import alike, wider
from edgewise.pipeline.images import array_batches, images_of, spread
from edgewise.pipeline.trained import load_weights_file
from edgewise.records.training import InitialWeights
from edgewise.spec.heads import PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec
from edgewise.train.initial_weights import LoadedStart
from edgewise.train.loop import TrainJob, train
from edgewise.train.recipes.from_scratch import digits, quantisation_aware
from edgewise.train.run_folder import RunFolder

SIZE = 8
SPEC = ModelSpec(
    name="v1",
    stem=ConvSpec(out_chs=16, stride=2),
    stages=((wider(32), alike(32)),),
    head=PoolHeadSpec(),
    num_classes=10,
    img_size=SIZE,
)
FLOAT = digits(SIZE).model_copy(update={"model": "v1", "width_mult": 1.0, "epochs": 8, "lr": 1e-2, "ema_decay": None})


@pytest.fixture(scope="module")
def dataset():
    return open_digits()


def int8_top1(network, dataset, folder: Path) -> float:
    """Return top-1 of the file that ONNX Runtime's quantiser makes."""
    recipe = FLOAT.preprocessing
    np.save(folder / "images.npy", images_of(spread(dataset.train, 256), recipe))
    program = capture(network.fuse(), torch.zeros(2, 3, SIZE, SIZE), dynamic_batch=True)
    OnnxExporter().export(
        program, folder / "int8.onnx", ExportOptions(precision="int8", calibration=folder / "images.npy")
    )
    answers = evaluate_file(
        folder / "int8.onnx", array_batches(dataset.val, recipe)(), runtime="onnxruntime", threads=1
    )
    return answers.top1


@torch.no_grad()
def quieten(network) -> None:
    """Make every second channel behind a depthwise convolution 64 times quieter, and what reads it as much louder: a ReLU lets it pass."""
    for block in network.blocks[0]:
        scale = torch.ones(len(block.bn1.weight))
        scale[::2] = 1 / 64
        block.bn1.weight *= scale
        block.bn1.bias *= scale
        block.conv_pw.weight /= scale.view(1, -1, 1, 1)


def test_int8_falls_and_part_of_it_comes_back(dataset, tmp_path):
    torch.set_num_threads(1)
    folder = RunFolder(tmp_path / "float")
    folder.create()
    exact = train(TrainJob(config=FLOAT, spec=SPEC, dataset=dataset, folder=folder)).best_top1
    network = load_weights_file(folder.best).model
    quieten(network)
    collapsed = int8_top1(network, dataset, tmp_path)
    config = quantisation_aware(FLOAT, 8).model_copy(update={"weights": "float", "epochs": 5, "eval_every": 5})
    after = RunFolder(tmp_path / "qat")
    after.create()
    LoadedStart(network.fuse(), InitialWeights(source="float", sha256="0" * 64)).keep(after.initial)
    simulated = train(TrainJob(config=config, spec=SPEC, dataset=dataset, folder=after)).best_top1
    back = int8_top1(load_weights_file(after.best).model, dataset, tmp_path)
    shown = f"float {exact:.3f}, int8 {collapsed:.3f}, after training {back:.3f} ({simulated:.3f} simulated)"
    assert collapsed < exact - 0.05, shown
    assert back > collapsed + 0.02, shown
    assert abs(simulated - back) < 0.05, shown
