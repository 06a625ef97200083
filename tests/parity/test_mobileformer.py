"""Mobile-Former against what its authors released: names, totals, and what each part holds and costs.

Their code has no licence, so it is not among the test requirements. `tests/unit/blocks/test_former.py` holds each part against
numpy; run side by side with random weights, all seven networks gave the same logits in float64 to 1e-12 of the largest.
"""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from tests.conftest import randomise, settled

import edgewise
from edgewise.blocks.former import BneckLite, FormerBlock, FormerDown
from edgewise.models.families.mobileformer import SPECS
from edgewise.spec.rows import BneckLiteSpec, FormerDownSpec, FormerSpec
from edgewise.spec.walk import walk

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
LAYER = ("weight", "bias")

# Parameters and MACs (millions at 224 px) of each part, from `shared/facts/hybrid_and_reparam.yaml` of this project: counted by
# formulas, and on the authors' modules.
SPLITS = {
    "mobileformer_26m": {
        "tokens": (384, 0.0),
        "mobile_and_stem": (95_748, 16.03),
        "hyper": (303_648, 0.30),
        "local_global": (167_120, 1.41),
        "global_block": (795_648, 2.38),
        "global_local": (106_296, 1.01),
        "classifier": (1_763_944, 2.42),
    },
    "mobileformer_294m": {
        "tokens": (1_152, 0.0),
        "mobile_and_stem": (1_777_968, 237.96),
        "hyper": (1_318_656, 1.29),
        "local_global": (691_264, 10.60),
        "global_block": (2_452_032, 14.75),
        "global_local": (450_848, 6.79),
        "classifier": (4_730_728, 15.34),
    },
}


def _images(num: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def _of(prefix: str, parts: dict[str, tuple[str, ...]]) -> set[str]:
    return {f"{prefix}.{part}.{name}" for part, names in parts.items() for name in names}


def _authors_keys(name: str) -> set[str]:
    """Return the names in a checkpoint of the authors, row by row."""
    to_tokens = {"alpha.0": LAYER, "q": LAYER, "proj": LAYER, "layer_norm": LAYER}
    bridge = {
        **{f"local_global.{part}": names for part, names in to_tokens.items()},
        **{f"global_block.{part}": LAYER for part in ("q", "channel_mlp", "layer_norm", "ffn.0", "ffn.2", "ffn_norm")},
        **{f"global_local.{part}": LAYER for part in ("k", "proj")},
    }
    keys = {"tokens.weight"} | _of("stem", {"0": ("weight",), "1": NORM}) | _of("local_global", to_tokens)
    head = {"conv.1": ("weight",), "conv.2": NORM, "fc.0": LAYER, "fc.1": NORM, "classifier.1": LAYER}
    keys |= _of("classifier", head)
    for index, step in enumerate(walk(SPECS[name])):
        if isinstance(step.row, BneckLiteSpec):
            parts = {"conv.0": ("weight",), "conv.1": NORM, "conv.4": ("weight",), "conv.5": NORM}
        else:
            convs, hypers = (3, (1, 2)) if isinstance(step.row, FormerSpec) else (4, (1, 3))
            parts = dict(bridge)
            for number in range(1, convs + 1):
                parts |= {f"conv{number}.0": ("weight",), f"conv{number}.1": NORM}
            parts |= {f"hyper{number}.hyper.{layer}": LAYER for number in hypers for layer in (0, 2)}
        keys |= _of(f"features.{index}", parts)
    return keys


@pytest.mark.parametrize("name", SPECS)
def test_names_are_the_authors(name: str) -> None:
    with torch.device("meta"):
        keys = edgewise.create_model(name).state_dict().keys()
    assert set(keys) == _authors_keys(name)


@pytest.mark.parametrize(("name", "entries"), [("mobileformer_26m", 460), ("mobileformer_294m", 616)])
def test_number_of_names(name: str, entries: int) -> None:
    assert len(_authors_keys(name)) == entries


def _part(name: str) -> str:
    names = name.split(".")
    if names[0] in ("classifier", "tokens"):
        return names[0]
    for part in ("local_global", "global_block", "global_local"):
        if part in names:
            return part
    return "hyper" if "hyper" in names else "mobile_and_stem"


@pytest.mark.parametrize("name", SPLITS)
def test_each_part_holds_and_costs_what_theirs_does(name: str) -> None:
    with torch.device("meta"):
        model = edgewise.create_model(name)
    params: Counter[str] = Counter()
    macs: Counter[str] = Counter()
    for key, parameter in model.named_parameters():
        params[_part(key)] += parameter.numel()
    report = edgewise.count(model, 224)
    assert report.complete
    for op in report.ops:
        macs[_part(op.module)] += op.macs
    assert dict(params) == {part: wanted for part, (wanted, _) in SPLITS[name].items()}
    # the file's last part is what is left of the total, so it carries the others' rounding
    wanted_macs = {part: pytest.approx(wanted, abs=0.011) for part, (_, wanted) in SPLITS[name].items()}
    assert {part: macs[part] / 1e6 for part in params} == wanted_macs


def test_the_26m_is_the_52m_with_groups_and_shuffles() -> None:
    pairs = zip(walk(SPECS["mobileformer_26m"]), walk(SPECS["mobileformer_52m"]), strict=True)
    for grouped, plain in pairs:
        assert grouped.row == plain.row.model_copy(update={"groups": 4})
    model = edgewise.create_model("mobileformer_26m")
    shuffles = {
        name: module.groups for name, module in model.named_modules() if type(module).__name__ == "ChannelShuffle"
    }
    assert shuffles.pop("classifier.conv.0") == 4
    wanted = {}
    for index, step in enumerate(walk(SPECS["mobileformer_26m"])):
        if isinstance(step.row, BneckLiteSpec):
            wanted[f"features.{index}.conv.3"] = step.in_chs
        elif isinstance(step.row, FormerDownSpec):
            wanted |= {f"features.{index}.conv1.2": step.in_chs, f"features.{index}.conv3.2": step.out_chs}
        else:
            wanted |= {f"features.{index}.conv1.2": 4, f"features.{index}.conv3.2": 4}
    assert shuffles == wanted


@pytest.mark.parametrize("name", SPECS)
def test_blocks_residuals_and_widths(name: str) -> None:
    """A block keeps a residual where its width stays, and no projection stands in for one where it does not."""
    model = edgewise.create_model(name)
    for block, step in zip(model.features, walk(SPECS[name]), strict=True):
        if isinstance(block, FormerBlock | BneckLite):
            assert block.has_skip == step.keeps_shape
        else:
            assert isinstance(block, FormerDown)
            assert step.row.second_mid_chs == 4 * step.out_chs


@pytest.mark.parametrize("name", ["mobileformer_26m", "mobileformer_294m"])
def test_answers_hang_on_every_token_and_on_every_row(name: str) -> None:
    """Former mixes the tokens, so each of them reaches the logits; so does what any row adds."""
    x = _images(2).double()
    model = settled(randomise(edgewise.create_model(name, num_classes=3)), _images(4, seed=1)).double()
    model(x).square().sum().backward()
    grads = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert all(bool((row != 0).any()) for row in grads.pop("tokens.weight"))
    # a bias of the keys adds the same to the scores of all tokens, which the softmax over them takes out again
    without_effect = {key for key in grads if key.endswith("global_local.k.bias")}
    for key, grad in grads.items():
        assert (float(grad.abs().max()) > 1e-12) == (key not in without_effect), key


@pytest.mark.parametrize("name", SPECS)
def test_folding_changes_nothing(name: str) -> None:
    model = settled(randomise(edgewise.create_model(name, num_classes=37)), _images(4, seed=1)).double()
    x = _images(2).double()
    with torch.inference_mode():
        wanted, fused = model(x), model.fuse()
        assert (fused(x) - wanted).abs().max() <= 1e-10 * wanted.abs().max()
    assert not [m for m in fused.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
