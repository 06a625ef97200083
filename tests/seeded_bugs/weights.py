"""Wrong numbers in a right graph: biases lost, channels and axes mixed up, precision lost, other weights than the model's."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import onnx
import torch
from torch import nn

from tests.seeded_bugs import specimen
from tests.seeded_bugs.bug import Bug, Seed
from tests.seeded_bugs.modules import norms, of_wrong_model
from tests.seeded_bugs.onnx_edit import Array, OnnxFile, edited
from tests.seeded_bugs.subjects import catalogue_model


def stem(file: OnnxFile) -> onnx.NodeProto:
    """Return the first convolution."""
    return file.nodes("Conv")[0]


def depthwise(file: OnnxFile) -> onnx.NodeProto:
    """Return the first depthwise convolution."""
    return file.convs(lambda weights, _: weights.shape[1] == 1 and weights.shape[2] > 1)[0]


def grouped(file: OnnxFile) -> onnx.NodeProto:
    """Return the convolution in four groups."""
    return file.convs(lambda _, attrs: attrs.get("group") == 4)[0]


def head(file: OnnxFile) -> onnx.NodeProto:
    """Return the classifier."""
    return file.nodes("Gemm")[-1]


def every_weight(file: OnnxFile) -> list[str]:
    """Return the names of all weights that are stored as float32."""
    return [each.name for each in file.graph.initializer if each.data_type == onnx.TensorProto.FLOAT and each.dims]


def _changed(where: Callable[[OnnxFile], onnx.NodeProto], index: int, how: Callable[[Array], Array]) -> Seed:
    """Return a seed that alters one input (1 = weights, 2 = bias) of one node."""
    return edited(lambda file: file.change(where(file).input[index], how))


def _one_channel_zero(bias: Array) -> Array:
    bias[3] = 0
    return bias


def _one_sign(weights: Array) -> Array:
    weights.reshape(-1)[weights.size // 2] *= -1
    return weights


def _half(values: Array) -> Array:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


def _half_without_subnormals(values: Array) -> Array:
    """As hardware that flushes to zero and clips to the largest number keeps it."""
    kept = np.clip(values, -65504, 65504)
    return np.where(np.abs(kept) < 6.1e-5, 0, kept).astype(np.float32)


def _bfloat(values: Array) -> Array:
    return torch.from_numpy(values).bfloat16().float().numpy()


def _eight_bits(values: Array) -> Array:
    scale = np.abs(values).max() / 127
    return (np.round(values / scale) * scale).astype(np.float32)


def _all(how: Callable[[Array], Array], *, least_dims: int = 1) -> Seed:
    """Return a seed that sends all weights of a file through ``how``."""

    def change(file: OnnxFile) -> None:
        before = {name: file.array(name) for name in every_weight(file)}
        for name, values in before.items():
            if values.ndim >= least_dims:
                file.put(name, how(values))
        assert any(not np.array_equal(file.array(name), values) for name, values in before.items())

    return edited(change)


def _swap_two(weights: Array) -> Array:
    weights[:, [0, 1]] = weights[:, [1, 0]]
    return weights


def _shuffled_groups(weights: Array) -> Array:
    return weights.reshape(4, -1, *weights.shape[1:]).swapaxes(0, 1).reshape(weights.shape)


def _rolled_classes(file: OnnxFile) -> None:
    for name in head(file).input[1:]:
        file.change(name, lambda values: np.roll(values, 1, axis=0))


def other_epsilon(model: nn.Module) -> None:
    """Give every norm the other framework's default."""
    for norm in norms(model):
        norm.eps = 1e-3


def _batch_statistics(model: nn.Module) -> None:
    for norm in norms(model):
        norm.running_mean = norm.running_var = None
        norm.track_running_stats = False


def _fresh_statistics(model: nn.Module) -> None:
    norms(model)[1].reset_running_stats()


def _folded_twice(model: nn.Module) -> None:
    norm = model.down.bn
    model.down.conv.weight *= (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None, None]


def _folded_without_mean(model: nn.Module) -> None:
    model.expand.bn.running_mean.zero_()


def _before_last_update(model: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.add_(1e-3 * parameter.abs().mean() * torch.randn(parameter.shape, generator=generator))


def _keys_for_values(model: nn.Module) -> None:
    attention = model.attention
    attention.k, attention.v = attention.v, attention.k


def _average_weights(model: nn.Module) -> nn.Module:
    """Return the moving average of the training instead of the weights."""
    other = specimen.specimen(seed=1).state_dict()
    averaged = copy.deepcopy(model)
    state = {
        key: value.lerp(other[key], 0.01) if value.is_floating_point() else value
        for key, value in averaged.state_dict().items()
    }
    averaged.load_state_dict(state)
    return averaged


BUGS = (
    Bug(
        name="classifier bias dropped",
        imitates="a converter maps a linear layer to a product of matrices and forgets its bias",
        seed=_changed(head, 2, np.zeros_like),
    ),
    Bug(
        name="bias of one channel zero",
        imitates="an off-by-one in a loop over channels leaves one bias behind",
        seed=_changed(depthwise, 2, _one_channel_zero),
    ),
    Bug(
        name="red and blue swapped",
        imitates="the file is made for pictures as OpenCV reads them, BGR",
        seed=_changed(stem, 1, lambda weights: weights[:, ::-1]),
    ),
    Bug(
        name="two input channels swapped",
        imitates="pruning or channel shuffling renumbers a layer's inputs and not its producer's outputs",
        seed=_changed(grouped, 1, _swap_two),
    ),
    Bug(
        name="square head transposed",
        imitates="row-major and column-major weights are confused; with as many classes as features the shapes still fit",
        seed=_changed(head, 1, np.transpose),
    ),
    Bug(
        name="classes shifted by one",
        imitates="a background class is counted in one place and not in the other",
        seed=edited(_rolled_classes),
    ),
    Bug(
        name="kernel transposed",
        imitates="HWIO weights are read as WHIO",
        seed=_changed(stem, 1, lambda weights: weights.swapaxes(2, 3)),
    ),
    Bug(
        name="depthwise kernel flipped",
        imitates="a convolution of mathematics is taken for the correlation of networks",
        seed=_changed(depthwise, 1, lambda weights: weights[:, :, ::-1, ::-1]),
    ),
    Bug(
        name="groups interleaved",
        imitates="a grouped convolution's outputs come channel by channel over the groups, not group by group",
        seed=_changed(grouped, 1, _shuffled_groups),
    ),
    Bug(
        name="one sign flipped",
        imitates="a single bit of the file flips on its way",
        seed=_changed(stem, 1, _one_sign),
    ),
    Bug(
        name="weights through half precision",
        imitates="weights are saved as float16 to halve a file that says float32",
        seed=_all(_half),
    ),
    Bug(
        name="weights of a deep network through half precision",
        imitates="the same, where rounding averages out over fifty layers",
        seed=_all(_half),
        subject="mobilenetv3_small_050",
    ),
    Bug(
        name="weights through bfloat16",
        imitates="weights of a mixed-precision checkpoint are exported as they were computed with",
        seed=_all(_bfloat),
    ),
    Bug(
        name="weights through eight bits",
        imitates="a compressing step quantises weights in a file that says float32",
        seed=_all(_eight_bits, least_dims=2),
    ),
    Bug(
        name="half precision overflows",
        imitates="weights beyond 65504 become infinite in half precision",
        seed=_all(_half),
        subject="wide_specimen",
    ),
    Bug(
        name="half precision underflows",
        imitates="weights below 6e-5 are flushed to zero, those beyond 65504 clipped",
        seed=_all(_half_without_subnormals),
        subject="wide_specimen",
    ),
    Bug(
        name="norms in training mode",
        imitates="a model is exported without eval(), and norms take the batch's own statistics",
        seed=of_wrong_model(_batch_statistics),
    ),
    Bug(
        name="norms with another epsilon",
        imitates="TensorFlow's default of 1e-3 meets PyTorch's of 1e-5",
        seed=of_wrong_model(other_epsilon),
    ),
    Bug(
        name="norms of a deep network with another epsilon",
        imitates="the same, in a network of the catalogue",
        seed=of_wrong_model(other_epsilon),
        subject="repvit_m0_6",
    ),
    Bug(
        name="statistics of one norm lost",
        imitates="buffers are left out of a checkpoint, and one norm starts from 0 and 1",
        seed=of_wrong_model(_fresh_statistics),
    ),
    Bug(
        name="norm folded twice",
        imitates="a folded convolution keeps its norm's scale and is folded again",
        seed=of_wrong_model(_folded_twice),
    ),
    Bug(
        name="norm folded without its mean",
        imitates="folding scales the weights and forgets to move the bias",
        seed=of_wrong_model(_folded_without_mean),
    ),
    Bug(
        name="stale weights",
        imitates="the file is written before the last step of the training, a thousandth away",
        seed=of_wrong_model(_before_last_update),
    ),
    Bug(
        name="averaged weights",
        imitates="the moving average is exported where the weights themselves were judged",
        seed=of_wrong_model(_average_weights),
    ),
    Bug(
        name="weights of another run",
        imitates="two runs of one architecture are mixed up",
        seed=of_wrong_model(lambda _: specimen.specimen(seed=1)),
    ),
    Bug(
        name="fresh weights",
        imitates="a deep network is loaded without its checkpoint, and fresh weights are exported",
        seed=of_wrong_model(lambda _: _reseeded("mobilenetv3_small_050")),
        subject="mobilenetv3_small_050",
    ),
    Bug(
        name="keys and values swapped",
        imitates="a fused projection is cut into query, key and value in another order",
        seed=of_wrong_model(_keys_for_values),
    ),
)


def _reseeded(name: str) -> nn.Module:
    model = catalogue_model(name)
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    return model
