"""Search spaces: choices by path around a network that is built as it stands."""

from __future__ import annotations

import random

import pytest

from edgewise.errors import SpecError, UnknownNameError
from edgewise.models.catalogue import CATALOGUE
from edgewise.models.spaces import find_space, uib_space
from edgewise.spec.space import SearchSpace

BASE = CATALOGUE["mobilenetv4_conv_small"].spec()


FIELDS = {"stages[2][1].mid_kernel": (3, 5), "stages[2][1].expand_ratio": (2, 4, 6)}


def test_a_genotype_is_an_ordinary_network() -> None:
    found = SearchSpace(name="mine", base=BASE, choices=FIELDS)
    assert (found.num_networks, found.paths) == (6, tuple(FIELDS))
    spec = found.spec((1, 2))
    assert (spec.name, spec.stages[2][1].mid_kernel, spec.stages[2][1].expand_ratio) == ("mine", 5, 6)
    assert spec.stages[2][2] == BASE.stages[2][2]
    assert found.spec({}).stages == BASE.stages
    drawn = {found.sample(random.Random(seed)) for seed in range(60)}
    assert drawn == {(one, other) for one in range(2) for other in range(3)}


def test_a_row_may_be_replaced_or_left_out() -> None:
    row = BASE.stages[2][1].model_dump(mode="json")
    found = SearchSpace(name="mine", base=BASE, choices={"stages[2][1]": (row, row | {"mid_kernel": 5}, "remove")})
    lengths = [len(found.spec((option,)).stages[2]) for option in range(3)]
    assert lengths == [len(BASE.stages[2])] * 2 + [len(BASE.stages[2]) - 1]
    assert found.spec((0,)).stages == BASE.stages


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({}, "search space 'mine' has no choices"),
        ({"stages[2][1].mid_kernel": (3,)}, r"'stages\[2\]\[1\]\.mid_kernel' has 1 option"),
        ({"stages[2][1].mid_kernel": (3, 5, 3)}, "has an option twice"),
        ({"stages[2][1].mid_kernel": (3, 4)}, r"choices: 'stages\[2\]\[1\]\.mid_kernel', option 1: .*mid_kernel"),
        ({"stages[9][1].mid_kernel": (3, 5)}, r"stages\[9\] does not exist"),
        ({"stages[2][1].mid_kernle": (3, 5)}, "mid_kernle"),
    ],
)
def test_what_cannot_be_built_is_said_at_once(choices, text) -> None:
    with pytest.raises(SpecError, match=text):
        SearchSpace(name="mine", base=BASE, choices=choices)


def test_genotypes_that_are_none() -> None:
    found = SearchSpace(name="mine", base=BASE, choices=FIELDS)
    with pytest.raises(SpecError, match="genotype: 1 decisions; the space has 2"):
        found.spec((1,))
    with pytest.raises(SpecError, match=r"'stages\[2\]\[1\]\.mid_kernel' has options 0 to 1, not 2"):
        found.spec((2, 0))


def test_mobilenetv4s_choices_around_a_model() -> None:
    found = uib_space(BASE)
    blocks = [
        (stage, place) for stage, rows in enumerate(BASE.stages) for place, row in enumerate(rows) if row.kind == "uib"
    ]
    assert found.paths == tuple(f"stages[{stage}][{place}]" for stage, place in blocks)
    sizes = [len(options) for options in found.choices.values()]
    strides = [BASE.stages[stage][place].stride for stage, place in blocks]
    assert sizes == [9 if stride == 1 else 8 for stride in strides]
    with pytest.raises(SpecError, match="repvgg_a0 has no universal inverted bottleneck to choose"):
        find_space("repvgg_a0")
    with pytest.raises(UnknownNameError, match="mobilenetv4_conv_smal"):
        find_space("mobilenetv4_conv_smal")


def test_a_space_from_a_file(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: mobilenetv4_conv_small\nchoices:\n  stages[2][1].mid_kernel: [3, 5]\n  act: [relu, hard_swish]\n"
    )
    found = find_space(str(path))
    assert (found.name, found.num_networks) == ("mobilenetv4_conv_small_space", 4)
    for text, why in (
        ("choices: {act: [relu, hard_swish]}\n", "base is missing"),
        ("base: mobilenetv4_conv_small\nchoices: 3\n", "choices is '3'; must be options by path"),
        ("base: mobilenetv4_conv_small\nchoices: {act: relu}\n", "choices: 'act' is 'relu'; must be a list of options"),
        ("base: mobilenetv4_conv_small\nchoice: {}\n", "unknown field 'choice'; accepted: base, name, choices"),
        ("base: mobilenetv4_conv_small\nname: 3\nchoices: {act: [relu, hard_swish]}\n", "name is '3'; must be text"),
    ):
        path.write_text(text)
        with pytest.raises(SpecError, match=why) as raised:
            find_space(str(path))
        assert "mine.yaml" in str(raised.value)
