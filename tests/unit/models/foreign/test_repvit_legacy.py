import pytest
import torch
from tests.conftest import randomise
from tests.unit.models.tiny_specs import repvit

from edgewise.models.build import build
from edgewise.models.foreign.repvit_legacy import convert_legacy_mixers

MIXER = "stages.0.blocks.0.token_mixer."
PARTS = ("weight", "bias", "running_mean", "running_var")


def by_hand():
    entries = {f"{MIXER}conv1.c.weight": torch.tensor([3.0]).view(1, 1, 1, 1)}
    values = (2.0, 0.5, 4.0, 3.75)
    entries |= {f"{MIXER}conv1.bn.{part}": torch.tensor([value]) for part, value in zip(PARTS, values, strict=True)}
    return entries | {f"{MIXER}conv1.bn.num_batches_tracked": torch.tensor(7)}


TARGET = {
    f"{MIXER}conv1.weight": torch.zeros(1),
    f"{MIXER}conv1.bias": torch.zeros(1),
    f"{MIXER}bn.weight": torch.ones(1),
}


def test_one_mixer_by_hand():
    entries = by_hand()
    assert convert_legacy_mixers(entries, TARGET, eps=0.25) == 1
    # 2 / sqrt(3.75 + 0.25) = 1; 3 * 1 = 3; 0.5 - 4 * 1 = -3.5
    expected = {"conv1.weight": 3.0, "conv1.bias": -3.5, "bn.weight": 1.0, "bn.bias": 0.0}
    expected |= {"bn.running_mean": 0.0, "bn.running_var": 0.75}
    assert {name.removeprefix(MIXER): value.item() for name, value in entries.items()} == expected
    assert entries[f"{MIXER}conv1.weight"].shape == (1, 1, 1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"conv1.c.weight": None},
        {"conv1.bn.running_var": None},
        {"conv1.bn.running_var": torch.ones(2)},
        {"conv1.bn.bias": torch.ones(1, dtype=torch.int64)},
        {"conv1.c.weight": [3.0]},
    ],
)
def test_an_unsound_mixer_is_left_to_the_other_checks(change):
    entries = by_hand() | {f"{MIXER}{name}": value for name, value in change.items()}
    before = dict(entries)
    assert convert_legacy_mixers(entries, TARGET, eps=0.25) == 0
    assert entries == before


def test_a_legacy_model_keeps_its_mixers():
    entries = by_hand()
    before = dict(entries)
    assert convert_legacy_mixers(entries, before, eps=0.25) == 0
    assert entries == before


def test_a_whole_network_answers_as_before():
    legacy = randomise(build(repvit(legacy=True)).double()).eval()
    new = build(repvit()).double().eval()
    entries = dict(legacy.state_dict())
    assert convert_legacy_mixers(entries, new.state_dict(), new.spec.norm.eps) == 4
    new.load_state_dict(entries, strict=False)
    assert entries.keys() <= new.state_dict().keys()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.inference_mode():
        assert (new(x) - legacy(x)).abs().max() <= 1e-12 * legacy(x).abs().max()
