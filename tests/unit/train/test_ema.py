import torch
from torch import nn

from edgewise.train.ema import Ema


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_the_average_is_the_one_computed_by_hand_with_its_decay_warmed_up():
    model = net()
    ema = Ema(model, 0.5)
    expected = {key: value.clone().double() for key, value in model.state_dict().items()}
    for update in range(20):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(update)))
        model(torch.randn(4, 3, generator=torch.Generator().manual_seed(update)))
        ema.update(update)
        decay = min(0.5, (1 + update) / (10 + update))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                expected[key] = decay * expected[key] + (1 - decay) * value.double()
            else:
                expected[key] = value.double()
    for key, value in ema.model.state_dict().items():
        torch.testing.assert_close(value.double(), expected[key], rtol=1e-5, atol=1e-6, msg=key)


def test_the_shadow_learns_nothing_itself_and_shares_nothing():
    model = net()
    ema = Ema(model, 0.9)
    assert not ema.model.training
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())
    mine = {tensor.data_ptr() for tensor in ema.model.state_dict().values()}
    assert mine.isdisjoint(tensor.data_ptr() for tensor in model.state_dict().values())


def test_loaded_weights_are_followed_too():
    """A resumed run loads states into both models after the pairs were made."""
    model = net()
    ema = Ema(model, 0.5)
    model.load_state_dict({key: torch.full_like(value, 3) for key, value in model.state_dict().items()})
    ema.model.load_state_dict({key: torch.full_like(value, 1) for key, value in model.state_dict().items()})
    ema.update(1000)
    assert torch.equal(ema.model[0].weight, torch.full((2, 3), 2.0))
