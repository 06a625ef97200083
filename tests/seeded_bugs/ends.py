"""What is done to images before a right network and to its logits after it: ranges, places, channels, batches, names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from tests.seeded_bugs.bug import Bug, Right, Seed
from tests.seeded_bugs.modules import write
from tests.seeded_bugs.onnx_edit import OnnxFile, edited
from tests.seeded_bugs.specimen import PREPROCESSING
from tests.seeded_bugs.weights import head

MEAN, STD = (np.array(values, np.float32)[:, None, None] for values in (PREPROCESSING.mean, PREPROCESSING.std))


def _nan_on_zeros(file: OnnxFile) -> None:
    size = file.make("ReduceL2", [file.input], keepdims=1)
    ones = file.make("Div", [size.output[0], size.output[0]])
    file.before(size, ones, file.make("Mul", [file.input, ones.output[0]]))


def _nan_when_saturated(file: OnnxFile) -> None:
    """Overflow of exp() where the mean of an image goes beyond white."""

    def chain(logits: str) -> list[onnx.NodeProto]:
        axes = file.constant([1, 2, 3], np.int64)
        mean = file.make("ReduceMean", [file.input, axes], keepdims=0)
        steep = file.make("Mul", [mean.output[0], file.constant(40.0)])
        grown = file.make("Exp", [steep.output[0]])
        ones = file.make("Div", [grown.output[0], grown.output[0]])
        column = file.make("Unsqueeze", [ones.output[0], file.constant([1], np.int64)])
        return [mean, steep, grown, ones, column, file.make("Mul", [logits, column.output[0]])]

    file.after(chain)


def _clamped_input(file: OnnxFile) -> None:
    file.before(file.make("Clip", [file.input, file.constant(-3.0), file.constant(3.0)]))


def _quantised_input(file: OnnxFile) -> None:
    steps = file.make("Mul", [file.input, file.constant(32.0)])
    rounded = file.make("Round", [steps.output[0]])
    file.before(steps, rounded, file.make("Mul", [rounded.output[0], file.constant(1 / 32)]))


def _last_row_lost(file: OnnxFile) -> None:
    """Cut the last row and column off, and pad them again with zeros."""
    ends, starts = file.constant([-1, -1], np.int64), file.constant([0, 0], np.int64)
    cut = file.make("Slice", [file.input, starts, ends, file.constant([2, 3], np.int64)])
    file.before(cut, file.make("Pad", [cut.output[0], file.constant([0, 0, 0, 0, 0, 0, 1, 1], np.int64)]))


def _shifted_crop(file: OnnxFile) -> None:
    """Move the picture by one pixel, as a crop that starts one too early."""
    ends, starts = file.constant([-1, -1], np.int64), file.constant([0, 0], np.int64)
    cut = file.make("Slice", [file.input, starts, ends, file.constant([2, 3], np.int64)])
    file.before(cut, file.make("Pad", [cut.output[0], file.constant([0, 0, 1, 1, 0, 0, 0, 0], np.int64)], mode="edge"))


def _frozen_channel(file: OnnxFile) -> None:
    file.before(file.make("Mul", [file.input, file.constant([[[1.0]], [[1.0]], [[0.0]]])]))


def _reinterpreted(file: OnnxFile) -> None:
    """Take (N, C, H, W) for (N, H, W, C) without moving a number."""
    side = PREPROCESSING.img_size
    shaped = file.make("Reshape", [file.input, file.constant([-1, side, side, 3], np.int64)])
    file.before(shaped, file.make("Transpose", [shaped.output[0]], perm=[0, 3, 1, 2]))


def _rows_and_columns(file: OnnxFile) -> None:
    file.before(file.make("Transpose", [file.input], perm=[0, 1, 3, 2]))


def _mirrored(file: OnnxFile) -> None:
    minus = file.constant([-1], np.int64)
    least = file.constant([np.iinfo(np.int64).min], np.int64)
    file.before(file.make("Slice", [file.input, minus, least, file.constant([3], np.int64), minus]))


def _prepared(scale: object, offset: object) -> Seed:
    """Return a seed that sends the images through a scale and an offset first."""

    def change(file: OnnxFile) -> None:
        scaled = file.make("Mul", [file.input, file.constant(scale)])
        file.before(scaled, file.make("Add", [scaled.output[0], file.constant(offset)]))

    return edited(change)


def _first_for_all(file: OnnxFile) -> None:
    def chain(logits: str) -> list[onnx.NodeProto]:
        zero, one, axis = (file.constant([value], np.int64) for value in (0, 1, 0))
        first = file.make("Slice", [logits, zero, one, axis])
        shape = file.make("Shape", [logits])
        return [shape, first, file.make("Expand", [first.output[0], shape.output[0]])]

    file.after(chain)


def _mixed_batch(file: OnnxFile) -> None:
    """Reshape logits as if they lay class by class."""

    def chain(logits: str) -> list[onnx.NodeProto]:
        shape = file.make("Shape", [logits])
        turned = file.make("Transpose", [logits], perm=[1, 0])
        return [shape, turned, file.make("Reshape", [turned.output[0], shape.output[0]])]

    file.after(chain)


def _centred_batch(file: OnnxFile) -> None:
    """Take off what the batch has in common."""

    def chain(logits: str) -> list[onnx.NodeProto]:
        mean = file.make("ReduceMean", [logits, file.constant([0], np.int64)], keepdims=1)
        small = file.make("Mul", [mean.output[0], file.constant(0.01)])
        return [mean, small, file.make("Sub", [logits, small.output[0]])]

    file.after(chain)


def _one_class_less(file: OnnxFile) -> None:
    for name in head(file).input[1:]:
        file.change(name, lambda values: values[:-1])
    del file.graph.output[0].type.tensor_type.shape.dim[:]
    file.graph.output[0].type.tensor_type.ClearField("shape")


def _half_logits(file: OnnxFile) -> None:
    def chain(logits: str) -> list[onnx.NodeProto]:
        half = file.make("Cast", [logits], to=onnx.TensorProto.FLOAT16)
        return [half, file.make("Cast", [half.output[0]], to=onnx.TensorProto.FLOAT)]

    file.after(chain)


def _logits_through(op: str, **attrs: object) -> Seed:
    return edited(lambda file: file.after(lambda logits: [file.make(op, [logits], **attrs)]))


def _frozen_batch(file: OnnxFile) -> None:
    for each in (file.graph.input[0], file.graph.output[0]):
        each.type.tensor_type.shape.dim[0].Clear()
        each.type.tensor_type.shape.dim[0].dim_value = 1


def _other_name(file: OnnxFile) -> None:
    file.rewire(file.input, "input.1")
    file.graph.input[0].name = "input.1"


def _other_size(right: Right, path: Path) -> None:
    batch, chans, height, width = right.artifact.input.shape
    write(right.model, right, path, shape=(batch, chans, height + 8, width + 8))


BUGS = (
    Bug(
        name="softmax at the end",
        imitates="probabilities are exported where logits were promised",
        seed=_logits_through("Softmax", axis=1),
    ),
    Bug(
        name="log-softmax at the end",
        imitates="the loss's first half is exported along; top-1 stays the same",
        seed=_logits_through("LogSoftmax", axis=1),
    ),
    Bug(
        name="logits in half precision",
        imitates="the output passes through float16 for the accelerator's sake",
        seed=edited(_half_logits),
    ),
    Bug(
        name="one class missing",
        imitates="a background class is taken off that was never there",
        seed=edited(_one_class_less),
    ),
    Bug(
        name="NaN on zeros",
        imitates="an image is divided by its own norm",
        seed=edited(_nan_on_zeros),
    ),
    Bug(
        name="NaN on saturated images",
        imitates="an exponential overflows where an image is white all over",
        seed=edited(_nan_when_saturated),
    ),
    Bug(
        name="clamped input",
        imitates="normalised pixels are clipped to the range of an accelerator's input",
        seed=edited(_clamped_input),
    ),
    Bug(
        name="rounded input",
        imitates="the input is quantised to eight bits in a file that says float32",
        seed=edited(_quantised_input),
    ),
    Bug(
        name="last row and column lost",
        imitates="a crop ends one too early",
        seed=edited(_last_row_lost),
    ),
    Bug(
        name="crop shifted by one",
        imitates="a crop starts one too late",
        seed=edited(_shifted_crop),
    ),
    Bug(
        name="one channel frozen",
        imitates="tracing folds an input channel into a constant",
        seed=edited(_frozen_channel),
    ),
    Bug(
        name="channels last taken for channels first",
        imitates="numbers in the order (N, H, W, C) are read as (N, C, H, W)",
        seed=edited(_reinterpreted),
    ),
    Bug(
        name="rows and columns swapped",
        imitates="width and height are confused on a square input",
        seed=edited(_rows_and_columns),
    ),
    Bug(
        name="mirrored",
        imitates="a flip of the augmentation is captured along",
        seed=edited(_mirrored),
    ),
    Bug(
        name="normalised twice",
        imitates="the file normalises pictures that were normalised already",
        seed=_prepared(1 / STD, -MEAN / STD),
    ),
    Bug(
        name="normalisation undone",
        imitates="the model was trained on pixels in 0-1, and the file takes them so",
        seed=_prepared(STD, MEAN),
    ),
    Bug(
        name="mean and deviation of BGR",
        imitates="the normalisation inside the file has its channels in the other order",
        seed=_prepared(STD / STD[::-1], (MEAN - MEAN[::-1]) / STD[::-1]),
    ),
    Bug(
        name="pixels of 0-255 expected",
        imitates="the file divides by 255 once more",
        seed=_prepared(1 / 255, 0.0),
    ),
    Bug(
        name="first answer for all",
        imitates="a batch of one was captured, and its answer is repeated",
        seed=edited(_first_for_all),
    ),
    Bug(
        name="answers of a batch mixed",
        imitates="a reshape takes the batch for the classes",
        seed=edited(_mixed_batch),
    ),
    Bug(
        name="batch taken into account",
        imitates="a norm over the batch leaves a hundredth of its mean in every answer",
        seed=edited(_centred_batch),
    ),
    Bug(
        name="frozen batch",
        imitates="the example's batch of one became the file's",
        seed=edited(_frozen_batch),
    ),
    Bug(
        name="frozen size",
        imitates="the file is made for the example's size instead of the model's",
        seed=_other_size,
    ),
    Bug(
        name="input under another name",
        imitates="a converter numbers its inputs, and programs that feed by name fail",
        seed=edited(_other_name),
    ),
)
