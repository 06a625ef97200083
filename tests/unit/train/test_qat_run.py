"""A run with simulated int8: it keeps the fused network's weights, and resumes bit for bit after SIGKILL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tiny_run import LABELS, config, job, outcome

from edgewise.blocks.rounding import RoundedMap
from edgewise.models.families.mobilenetv1 import wider
from edgewise.models.weights import load_weights
from edgewise.records.training import InitialWeights
from edgewise.spec.heads import PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec
from edgewise.train import loop
from edgewise.train.checkpoint import CheckpointStore
from edgewise.train.initial_weights import LoadedStart, fresh_network
from edgewise.train.learner import Learner

HERE = Path(__file__).parent
CHANGED = {
    "qat": True,
    "weights": "runs/before",
    "drop_rate": 0.0,
    "drop_path_rate": 0.0,
    "lr": 1e-3,
    "warmup_epochs": 0,
}
NUM_STEPS = 9
SPEC = ModelSpec(
    name="tiny_v1",
    stem=ConvSpec(out_chs=8, stride=2),
    stages=((wider(16), wider(16, stride=2)),),
    head=PoolHeadSpec(),
    num_classes=len(LABELS),
)
SERVER = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import torch
import test_qat_run
import tiny_run
from edgewise.train.listener import Listener
from edgewise.train.loop import train

torch.set_num_threads(1)


class Killer(Listener):
    def __init__(self, step):
        self.step = step

    def on_step(self, view):
        if view.step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


for line in sys.stdin:
    path, step = line.split()
    child = os.fork()
    if child == 0:
        try:
            train(test_qat_run.qat_job(Path(path), listener=Killer(int(step))))
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def qat_job(path: Path, **changed):
    """Return a job that goes on with the weights in its folder, which are made where there are none."""
    made = job(path, spec=SPEC, **(CHANGED | changed))
    if not made.folder.initial.exists():
        network = fresh_network(SPEC, config()).fuse()
        LoadedStart(network, InitialWeights(source="before", sha256="0" * 64)).keep(made.folder.initial)
    return made


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run that nobody stopped, and one that was killed after its fifth step, behind which the ranges stay."""
    folder = tmp_path_factory.mktemp("qat")
    done = subprocess.run(
        [sys.executable, "-c", SERVER, str(HERE)],
        input="".join(f"{folder / name} {step}\n" for name, step in (("whole", 0), ("killed", 5), ("killed", 0))),
        capture_output=True,
        text=True,
        check=True,
        timeout=250,
    )
    assert done.stdout.split() == ["0", "-9", "0"], done.stderr
    return folder / "whole", folder / "killed"


def test_a_killed_run_ends_in_the_same_bits(runs):
    whole, killed = runs
    expected = outcome(whole)
    assert expected["step"] == f"step-{NUM_STEPS:06d}"
    assert {"model", "ema", "optimizer"} <= expected.keys()
    assert outcome(killed) == expected


def test_the_ranges_are_in_the_checkpoint_and_not_in_the_weights(runs):
    whole, _ = runs
    found = CheckpointStore(whole / "weights/last").load_latest()
    ranges = [name for name in found.tensors if name.startswith("model.") and name.endswith(".high")]
    assert len(ranges) == 8, "the image, five convolutions, the pooled map, the logits"
    assert all(found.tensors[name] > 0 for name in ranges)
    with safe_open(whole / "weights/best.safetensors", "pt") as file:
        assert file.metadata()["edgewise.form"] == "fused"
        names = set(file.keys())
    fused = fresh_network(SPEC, config()).fuse()
    assert names == fused.state_dict().keys()
    load_weights(fused, whole / "weights/best.safetensors")
    assert not torch.equal(fused.conv_stem.weight, fresh_network(SPEC, config()).fuse().conv_stem.weight)


def test_ranges_follow_in_the_first_half_and_stay_in_the_second(tmp_path, monkeypatch):
    seen: list[set[bool]] = []

    class Watched(Learner):
        def finish_step(self, num_updates):
            maps = [module for module in self.model.modules() if isinstance(module, RoundedMap)]
            seen.append({module.is_observing for module in maps})
            super().finish_step(num_updates)

    monkeypatch.setattr(loop, "Learner", Watched)
    loop.train(qat_job(tmp_path / "run", epochs=2))
    assert seen == [{True}] * 3 + [{False}] * 3


def test_what_is_validated_is_the_int8_form(tmp_path, monkeypatch):

    answered = []

    def evaluate(self, model, batches):
        answered.append(type(model).__name__)
        return original(self, model, batches)

    original = loop.Classification.evaluate
    monkeypatch.setattr(loop.Classification, "evaluate", evaluate)
    loop.train(qat_job(tmp_path / "run", epochs=1, ema_decay=None))
    assert answered == ["SimulatedInt8"]
