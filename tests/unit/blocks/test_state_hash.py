import torch

from edgewise.blocks.state_hash import sha256_of_state, tensor_bytes


def state():
    generator = torch.Generator().manual_seed(0)
    return {"a": torch.randn(2, 3, 4, 5, generator=generator), "b": torch.tensor(7), "c": torch.zeros(0, 3)}


def test_order_memory_format_and_gradients_do_not_matter():
    plain = state()
    other = {name: plain[name] for name in reversed(plain)}
    other["a"] = plain["a"].to(memory_format=torch.channels_last).requires_grad_()
    assert sha256_of_state(other) == sha256_of_state(plain)


def test_every_bit_name_shape_and_dtype_matters():
    hashes = {sha256_of_state(state())}
    for change in (
        {"a": state()["a"].reshape(3, 2, 4, 5)},
        {"b": torch.tensor(8)},
        {"b": torch.tensor(7, dtype=torch.int32)},
        {"b": torch.tensor([7])},
        {"c": torch.zeros(0, 4)},
        {"d": torch.tensor(7)},
        {"b": torch.tensor(0.0)},
        {"b": torch.tensor(-0.0)},
    ):
        hashes.add(sha256_of_state({**state(), **change}))
    assert len(hashes) == 9


def test_bytes_are_in_row_major_order():
    values = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    assert bytes(tensor_bytes(values.t())) == bytes([0, 3, 1, 4, 2, 5])
    assert bytes(tensor_bytes(torch.tensor(1.0, dtype=torch.bfloat16))) == b"\x80\x3f"
    assert bytes(tensor_bytes(torch.tensor(True))) == b"\x01"
