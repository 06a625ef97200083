"""What quantisation-aware training brings back where int8 collapses: five small networks on scikit-learn's digits.

python benchmarks/qat.py [--names v1,v2,v3,repvgg,mobileone] [--out results/qat.json]

Each network has the rows of its family, few and narrow, for 16 px. It is trained in float, then damaged: every second channel between two
convolutions is made 64 times quieter and the next kernels 64 times louder for it. In float the answers stay (ReLU6 clips a little less);
int8, which has one range for a whole map, loses the quiet channels. Trained MobileNets and re-parameterised networks are uneven in this
way by themselves (Nagel et al. 2019, arXiv 1906.04721, figure 2; Chu et al. 2022, arXiv 2212.01593), these short runs are not. Then
`edgewise train --qat` trains it on with its default recipe, and both are exported as int8 and answer the validation images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from result_file import RESULTS, check, save_result, this_command

from edgewise.blocks.state_hash import sha256_of_state
from edgewise.data.dataset import Dataset
from edgewise.models.families import mobileone
from edgewise.models.families.mobilenetv1 import alike, wider
from edgewise.models.weight_files import read_weight_file
from edgewise.models.weights import FINGERPRINT
from edgewise.pipeline.datasets import DIGITS, open_named
from edgewise.pipeline.export_job import ExportRequest, export_run
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.train_job import TrainRequest, run_training
from edgewise.pipeline.training import start
from edgewise.records.run import Job
from edgewise.spec.heads import ConvHeadSpec, PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import SESpec
from edgewise.spec.rows import ConvSpec, DepthwiseSeparableSpec, InvertedResidualSpec, MobileOneSpec, RepVGGSpec
from edgewise.spec.text import dump_spec
from edgewise.train.checkpoint import save_weights
from edgewise.train.recipes.from_scratch import digits
from edgewise.train.run_folder import RunFolder

State = dict[str, torch.Tensor]
QUIET = 1 / 64
IMG_SIZE = 16
EPOCHS = 12
FORMATS = ("onnx", "openvino")
SE = SESpec()

V1 = ModelSpec(
    name="qat_v1",
    act="relu6",
    stem=ConvSpec(out_chs=16),
    stages=((wider(32),), (wider(64, stride=2), alike(64))),
    head=PoolHeadSpec(),
)
V2 = ModelSpec(
    name="qat_v2",
    act="relu6",
    stem=ConvSpec(out_chs=16),
    stages=(
        (DepthwiseSeparableSpec(out_chs=16),),
        (InvertedResidualSpec(out_chs=24, stride=2, expand_ratio=3), InvertedResidualSpec(out_chs=24, expand_ratio=3)),
    ),
    head=ConvHeadSpec(hidden_chs=64, pool="after"),
)
V3 = ModelSpec(
    name="qat_v3",
    act="hard_swish",
    stem=ConvSpec(out_chs=16),
    stages=(
        (DepthwiseSeparableSpec(out_chs=16, act="relu", se=SE),),
        (
            InvertedResidualSpec(out_chs=24, stride=2, expand_ratio=3, act="relu"),
            InvertedResidualSpec(out_chs=24, expand_ratio=3, act="relu"),
            InvertedResidualSpec(out_chs=24, expand_ratio=3, se=SE),
        ),
    ),
    head=ConvHeadSpec(hidden_chs=64, norm=False, bias=True),
)
REPVGG = ModelSpec(
    name="qat_repvgg",
    stem=RepVGGSpec(out_chs=16),
    stages=((RepVGGSpec(out_chs=16),), (RepVGGSpec(out_chs=32, stride=2), RepVGGSpec(out_chs=32))),
    head=PoolHeadSpec(),
)
MOBILEONE = ModelSpec(
    name="qat_mobileone",
    stem=MobileOneSpec(out_chs=16),
    stages=(
        mobileone.stage(16, 32, depth=1, branches=2, se_blocks=0),
        mobileone.stage(32, 64, depth=1, branches=2, se_blocks=0),
    ),
    head=PoolHeadSpec(),
)


def quieten_depthwise(state: State, block: str, norm: str, kernel: str) -> None:
    """Make every second channel behind the depthwise convolution of ``block`` quieter, and the 1x1 convolution behind it louder."""
    scale = _scale(state[f"{block}.{norm}.weight"])
    state[f"{block}.{norm}.weight"] *= scale
    state[f"{block}.{norm}.bias"] *= scale
    state[f"{block}.{kernel}.weight"] /= scale.view(1, -1, 1, 1)


def quieten_unit(state: State, unit: str, after: str) -> None:
    """Make every second channel of a re-parameterisable ``unit`` quieter, and the branches of the unit ``after`` it louder."""
    norms = {key.rpartition(".")[0] for key in state if key.startswith(f"{unit}.") and key.endswith("running_var")}
    scale = _scale(state[f"{next(iter(norms))}.weight"])
    for norm in norms:
        state[f"{norm}.weight"] *= scale
        state[f"{norm}.bias"] *= scale
    for key in state:
        if key.startswith(f"{after}.") and key.endswith("conv.weight"):
            state[key] /= scale.view(1, -1, 1, 1)
    if f"{after}.identity.weight" in state:
        state[f"{after}.identity.running_mean"] *= scale
        state[f"{after}.identity.running_var"] *= scale**2


def _scale(like: torch.Tensor) -> torch.Tensor:
    scale = torch.ones_like(like)
    scale[::2] = QUIET
    return scale


def damage_v1(state: State) -> None:
    for block in ("blocks.0.0", "blocks.1.0", "blocks.1.1"):
        quieten_depthwise(state, block, "bn1", "conv_pw")


def damage_v2(state: State) -> None:
    quieten_depthwise(state, "blocks.0.0", "bn1", "conv_pw")
    damage_v3(state)


def damage_v3(state: State) -> None:
    for block in ("blocks.1.0", "blocks.1.1"):
        quieten_depthwise(state, block, "bn2", "conv_pwl")


def damage_repvgg(state: State) -> None:
    quieten_unit(state, "stem", "stages.0.0")
    quieten_unit(state, "stages.1.0", "stages.1.1")


def damage_mobileone(state: State) -> None:
    quieten_unit(state, "stages.0.0", "stages.0.1")
    quieten_unit(state, "stages.1.0", "stages.1.1")


NETWORKS: Mapping[str, tuple[ModelSpec, Callable[[State], None]]] = {
    "v1": (V1, damage_v1),
    "v2": (V2, damage_v2),
    "v3": (V3, damage_v3),
    "repvgg": (REPVGG, damage_repvgg),
    "mobileone": (MOBILEONE, damage_mobileone),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=",".join(NETWORKS))
    parser.add_argument("--out", type=Path, default=RESULTS / "qat.json")
    given = parser.parse_args()
    dataset, rows = open_named(DIGITS), []
    checks: list[dict[str, Any]] = []
    for name in given.names.split(","):
        with tempfile.TemporaryDirectory() as temporary:
            rows.append(_row(name, dataset, Path(temporary)))
        checks += [_check(rows[-1], format_) for format_ in FORMATS]
        save_result(given.out, command=this_command(), epochs=EPOCHS, quiet=QUIET, checks=checks, rows=rows)
    raise SystemExit(not all(each["passed"] for each in checks))


def _check(row: dict[str, Any], format_: str) -> dict[str, Any]:
    fall = 100 * (row["float_top1"] - row["qat"][format_])
    return check(f"{row['name']} after qat, {format_} int8 below the float network", fall, 1, "points")


def _row(name: str, dataset: Dataset, root: Path) -> dict[str, Any]:
    spec, damage = NETWORKS[name]
    begun = time.perf_counter()
    run, float_top1 = _train(spec, dataset, root)
    trained_s = time.perf_counter() - begun
    _damage(run, damage)
    damaged_float, onnx = _int8(run, root, "onnx")
    _, openvino = _int8(run, root, "openvino")
    begun = time.perf_counter()
    again, record = run_training(
        TrainRequest(data=DIGITS, qat=str(run.path), project=root, name="qat", overrides={"workers": 0}), JobListener()
    )
    qat_s = time.perf_counter() - begun
    after = {format_: _int8(again, root, format_) for format_ in FORMATS}
    row = {
        "name": name,
        "float_top1": float_top1,
        "damaged_float_top1": damaged_float,
        "ptq": {"onnx": onnx, "openvino": openvino},
        "qat": {format_: int8 for format_, (_, int8) in after.items()},
        "qat_float_top1": after["onnx"][0],
        "qat_simulated_top1": record.best_top1,
        "qat_epochs": record.epochs[-1].epoch,
        "train_s": round(trained_s, 1),
        "qat_s": round(qat_s, 1),
    }
    print(row, flush=True)
    return row


def _train(spec: ModelSpec, dataset: Dataset, root: Path) -> tuple[RunFolder, float]:
    rows = root / "rows.yaml"
    rows.write_text(dump_spec(spec))
    config = digits(IMG_SIZE).model_copy(
        update={"model": str(rows), "width_mult": 1.0, "threads": 1, "epochs": EPOCHS, "lr": 5e-3}
    )
    job = Job(kind="train", data=DIGITS, val_share=0.2, split_seed=0, command=this_command(), created_at="")
    folder = RunFolder(root / "float")
    record = start(folder, job, config, dataset, JobListener())
    return folder, record.best_top1


def _damage(run: RunFolder, damage: Callable[[State], None]) -> None:
    file = read_weight_file(run.best)
    state = dict(file.content)
    damage(state)
    result = save_weights(run.best, state, file.metadata | {FINGERPRINT: sha256_of_state(state)})
    assert result.ok, result.reason


def _int8(run: RunFolder, root: Path, format_: str) -> tuple[float, float]:
    """Return top-1 of a run's network, and of its int8 file."""
    request = ExportRequest(source=str(run.path), precision="int8", data=DIGITS, allow_drop=True, force=True)
    record = export_run(request, root / f"{run.path.name}-{format_}", format_).verification
    assert record is not None
    assert record.top1_model is not None
    assert record.top1_file is not None
    return record.top1_model, record.top1_file


if __name__ == "__main__":
    main()
