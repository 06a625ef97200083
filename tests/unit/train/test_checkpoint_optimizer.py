import pytest
import torch
from torch import nn

from edgewise.errors import CheckpointError
from edgewise.train.checkpoint import CheckpointStore
from edgewise.train.optimizer_state import flatten_optimizer, restore_optimizer

MAKERS = {
    "AdamW": lambda groups: torch.optim.AdamW(groups, lr=0.1 + 0.2, betas=(0.9, 1 / 3), amsgrad=True),
    "AdamW foreach": lambda groups: torch.optim.AdamW(groups, lr=1e-3, foreach=True),
    "AdamW lr tensor": lambda groups: torch.optim.AdamW(groups, lr=torch.tensor(1e-3)),
    "SGD": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True),
    "SGD plain": lambda groups: torch.optim.SGD(groups, lr=0.1),
    "RMSprop": lambda groups: torch.optim.RMSprop(groups, lr=0.01, momentum=0.9, centered=True),
}


def make(maker):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 2))
    model = model.to(memory_format=torch.channels_last)
    matrices = [param for param in model.parameters() if param.dim() > 1]
    vectors = [param for param in model.parameters() if param.dim() == 1]
    return model, maker([{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}])


def train(model, optimizer, steps, first=0):
    for step in range(first, first + steps):
        torch.manual_seed(step)
        loss = model(torch.randn(4, 3, 5, 5)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("name", MAKERS)
def test_going_on_from_a_checkpoint_equals_never_stopping(tmp_path, name):
    model, optimizer = make(MAKERS[name])
    train(model, optimizer, 3)
    tensors, plain = flatten_optimizer(optimizer)
    weights = {f"model.{key}": value for key, value in model.state_dict().items()}
    assert CheckpointStore(tmp_path).save(3, {**weights, **tensors}, {"optimizer": plain}).ok
    groups = [dict(group, params=None) for group in optimizer.param_groups]
    train(model, optimizer, 3, first=3)

    loaded = CheckpointStore(tmp_path).load_latest()
    other, restored = make(MAKERS[name])
    other.load_state_dict({key[6:]: value for key, value in loaded.tensors.items() if key.startswith("model.")})
    restore_optimizer(restored, loaded.tensors, loaded.state["optimizer"])
    assert [dict(group, params=None) for group in restored.param_groups] == groups
    assert [type(group.get("betas")) for group in restored.param_groups] == [
        type(group.get("betas")) for group in groups
    ]
    train(other, restored, 3, first=3)
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_moments_get_the_strides_of_their_parameters_and_are_copies():
    model, optimizer = make(MAKERS["AdamW"])
    train(model, optimizer, 1)
    tensors, plain = flatten_optimizer(optimizer)
    stored = {name: value.clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    before = {name: value.clone() for name, value in stored.items()}
    other, restored = make(MAKERS["AdamW"])
    restore_optimizer(restored, stored, plain)
    assert restored.state[other[0].weight]["exp_avg"].stride() == other[0].weight.stride()
    train(other, restored, 1)
    assert all(torch.equal(stored[name], before[name]) for name in stored)


def test_what_does_not_belong_is_refused_and_changes_nothing():
    model, optimizer = make(MAKERS["AdamW"])
    train(model, optimizer, 1)
    tensors, plain = flatten_optimizer(optimizer)
    _, sgd = make(MAKERS["SGD"])
    with pytest.raises(CheckpointError, match="holds the state of AdamW, the run uses SGD"):
        restore_optimizer(sgd, tensors, plain)
    _, fresh = make(MAKERS["AdamW"])
    lacking = {name: value for name, value in tensors.items() if name != "state.1.exp_avg"}
    with pytest.raises(CheckpointError, match=r"lacks the optimiser's tensor 'state\.1\.exp_avg'"):
        restore_optimizer(fresh, lacking, plain)
    wrong = {**tensors, "state.0.exp_avg": torch.zeros(1, 2)}
    with pytest.raises(CheckpointError, match=r"'0\.exp_avg' has shape \(1, 2\), its parameter \(4, 3, 3, 3\)"):
        restore_optimizer(fresh, wrong, plain)
    one_group = torch.optim.AdamW(make(MAKERS["AdamW"])[0].parameters())
    with pytest.raises(CheckpointError, match=r"parameter groups of \[2, 4\], the run's of \[6\]"):
        restore_optimizer(one_group, tensors, plain)
    assert not fresh.state


def test_an_optimiser_that_keeps_objects_is_refused():
    _, optimizer = make(MAKERS["AdamW"])
    optimizer.param_groups[0]["hook"] = object()
    with pytest.raises(CheckpointError, match=r"'group\.0\.hook' is a object, which a checkpoint cannot hold"):
        flatten_optimizer(optimizer)
