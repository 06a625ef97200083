"""Random damage to sound files: a file is loaded whole, or refused in one line with the model as it was."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import randomise
from tests.unit.models.tiny_specs import ALL, OF_OTHERS

import edgewise
from edgewise.errors import WeightsError
from edgewise.models.build import build
from edgewise.models.weights import load_weights

DAMAGES = {
    "lost": lambda name, value: {},
    "renamed": lambda name, value: {f"{name}_": value},
    "moved": lambda name, value: {f"backbone.{name}": value},
    "prefixed": lambda name, value: {f"module.{name}": value},
    "doubled": lambda name, value: {name: value, f"module.{name}": value},
    "longer": lambda name, value: {name: torch.cat([value.reshape(-1), value.reshape(-1)[:1]])},
    "scalar": lambda name, value: {name: torch.ones((), dtype=value.dtype)},
    "empty": lambda name, value: {name: value.reshape(-1)[:0]},
    "whole numbers": lambda name, value: {name: value.long() if value.is_floating_point() else value.float()},
    "complex": lambda name, value: {name: value.to(torch.complex64)},
    "not a number": lambda name, value: {name: torch.full_like(value.float(), float("nan"))},
    "no tensor": lambda name, value: {name: value.tolist()},
    "sparse": lambda name, value: {name: value.reshape(1, -1).to_sparse()},
    "none": lambda name, value: {name: None},
}
LAYOUTS = [("timm" if spec.name != "tiny_former" else "authors", spec) for spec in ALL]
LAYOUTS += [(layout, spec) for layout, specs in OF_OTHERS.items() for spec in specs]
SOURCES = {
    (layout, spec.name): (
        spec,
        dict(edgewise.convert_state_dict(randomise(build(spec), seed=1), layout)),
        randomise(build(spec), seed=1).state_dict(),
    )
    for layout, spec in LAYOUTS
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "net.pth"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_a_file_is_loaded_whole_or_not_at_all(path, data):
    spec, sound, wanted = SOURCES[data.draw(st.sampled_from(sorted(SOURCES)))]
    content, is_sound = dict(sound), True
    for name in data.draw(st.lists(st.sampled_from(sorted(sound)), max_size=3, unique=True)):
        damage = data.draw(st.sampled_from(sorted(DAMAGES)))
        value = content.pop(name)
        content |= DAMAGES[damage](name, value)
        # scalars that stay what they are, and counters, are no damage
        is_harmless = damage == "lost" and name.endswith("num_batches_tracked")
        is_sound &= is_harmless or (damage == "scalar" and not value.dim())
    torch.save({"state_dict": content} if data.draw(st.booleans()) else content, path)
    network = build(spec)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    if is_sound:
        load_weights(network, path)
        names = [name for name in wanted if not name.endswith("num_batches_tracked")]
        assert all(torch.equal(network.state_dict()[name], wanted[name]) for name in names)
        return
    with pytest.raises(WeightsError) as caught:
        load_weights(network, path)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
