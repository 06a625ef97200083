"""Random micro-networks: the same again, of every sort of block, small enough to time, and counted whole."""

from __future__ import annotations

import random

import pytest
import torch

from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.cost.micro_networks import BLOCKS, MACS, _Place, micro_network

SEEDS = range(24)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_runs_and_is_counted_whole(seed: int) -> None:
    network = micro_network(seed)
    with torch.inference_mode():
        logits = network.model(torch.zeros(1, 3, network.img_size, network.img_size))
        fused = fuse(network.model)
        torch.testing.assert_close(fused(torch.zeros(1, 3, network.img_size, network.img_size)), logits)
    report = count(fused, network.img_size, fusion="onnxruntime")
    assert report.complete, report.unknown
    # what is drawn by is close to what is counted: no network is a surprise to the clock
    assert MACS[0] / 2 <= report.macs <= MACS[1] * 2


def test_the_seed_decides_all() -> None:
    one, again, other = micro_network(3), micro_network(3), micro_network(4)
    first, second = one.model.state_dict(), again.model.state_dict()
    assert (one.img_size, first.keys()) == (again.img_size, second.keys())
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert first.keys() != other.model.state_dict().keys()


def test_torch_s_own_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    micro_network(0)
    assert torch.equal(torch.rand(1), wanted)


@pytest.mark.parametrize("side", [5, 7, 14, 15, 28, 56])
@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_leaves_the_map_that_it_says(name: str, side: int) -> None:
    for seed in range(4):
        place = _Place(random.Random(seed), 24, side, "relu")
        block = BLOCKS[name][0](place).eval()
        with torch.inference_mode():
            assert block(torch.zeros(1, 24, side, side)).shape == (1, place.out_chs, place.out_side, place.out_side)
