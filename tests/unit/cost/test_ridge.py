import numpy as np
import pytest
from tests.unit.cost.test_roofline import kernel, report

from edgewise.cost.ridge import RidgeCurve, op_class, pareto_members, ridge_curve, sweep


def test_a_sweep_from_0_has_0_and_then_even_steps_of_the_logarithm():
    points = sweep(0, 500, 5)
    assert points[[0, 1, -1]] == pytest.approx([0, 1, 500])
    assert np.diff(np.log(points[1:])) == pytest.approx([np.log(500) / 3] * 3)
    assert sweep(2, 8, 3) == pytest.approx([2, 4, 8])


def test_a_curve_is_macs_at_0_and_bytes_in_the_end():
    counted = report(kernel(1000, 10), kernel(30, 6, 2, 2, kind="depthwise"), kernel(50, 50, kind="linear"))
    curve = ridge_curve("net", 0.7, counted, np.array([0.0, 3.0, 1000.0]))
    assert curve.total == pytest.approx([1080, 1000 + 30 + 150, 70_000])
    assert curve.by_class["depthwise"] == pytest.approx([30, 30, 10_000])
    assert curve.by_class["classifier"] == pytest.approx([50, 150, 50_000])
    assert not curve.by_class["attention"].any()


def test_pointwise_convolutions_of_one_pixel_belong_to_the_classifier():
    head = kernel(1, 1).model_copy(update={"out_shape": (1, 1280, 1, 1)})
    body = kernel(1, 1).model_copy(update={"out_shape": (1, 1280, 7, 7)})
    assert (op_class(head), op_class(body), op_class(kernel(1, 1, kind="pool"))) == (
        "classifier",
        "convolution",
        "other",
    )


def test_the_front_has_what_nothing_cheaper_matches():
    def curve(name, top1, *cost):
        return RidgeCurve(name, top1, {"convolution": np.array(cost, dtype=float)})

    curves = [
        curve("small", 0.6, 1, 5),
        curve("beaten late", 0.7, 2, 9),
        curve("large", 0.8, 9, 8),
        curve("worse", 0.55, 1, 6),
        curve("unknown", None, 0.5, 0.5),
        curve("twin", 0.8, 9, 8),
    ]
    assert pareto_members(curves).tolist() == [
        [True, True],
        [True, False],
        [True, True],
        [False, False],
        [False, False],
        [True, True],
    ]
