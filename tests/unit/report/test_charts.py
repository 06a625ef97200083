"""Scales, ticks, confused pairs and the interval of an accuracy, against numbers worked out by hand."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from report_runs import make_evaluation

from edgewise.report.axes import Scale, round_ticks, spread, tick_label
from edgewise.report.confusion import ConfusedPair, confusion_picture, most_confused
from edgewise.report.svg import Point, Series, interval_bar, line_chart, scatter_chart, share_bar
from edgewise.report.uncertainty import wilson_interval


def test_linear_and_logarithmic_scales():
    linear = Scale(0.0, 10.0, 100.0, 200.0)
    assert [linear(0), linear(5), linear(10)] == [100, 150, 200]
    log = Scale(0.01, 100.0, 0.0, 400.0, log=True)
    assert log(1.0) == pytest.approx(200)
    assert log.ticks() == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert Scale(0.9, 11.0, 0.0, 1.0, log=True).ticks() == pytest.approx([1, 2, 5, 10])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (72.7, 84.1, [74, 76, 78, 80, 82, 84]), (3, 1000, [200, 400, 600, 800, 1000])],
)
def test_ticks_are_round(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)


def test_whole_ticks_never_fall_between_epochs():
    assert round_ticks(1, 3, 6, whole=True) == [1, 2, 3]
    assert round_ticks(0.5, 1.5, 6, whole=True) == [1]


def test_tick_labels_have_no_binary_dust():
    assert tick_label(3 * 0.1) == "0.3"
    assert tick_label(20.0) == "20"


def test_spread_is_never_empty():
    assert spread([2.0, 4.0], margin=0.5) == (1.0, 5.0)
    for values in ([0.0], [3.0, 3.0], [-2.0]):
        low, high = spread(values)
        assert low < values[0] < high


def test_wilson_interval_of_a_known_case():
    # 9 of 10: Wilson's interval is 0.5958-0.9821
    assert wilson_interval(0.9, 10) == pytest.approx((0.59585, 0.98212), abs=1e-5)
    assert wilson_interval(1.0, 360)[1] == 1.0
    assert wilson_interval(0.0, 5)[0] == pytest.approx(0.0, abs=1e-12)


def test_confused_pairs_are_counted_by_hand():
    evaluation = make_evaluation(("a", "b", "c")).model_copy(
        update={"confusion": ((8, 2, 0), (0, 5, 0), (5, 1, 4)), "labels": ("a", "b", "c")}
    )
    assert most_confused(evaluation) == (
        ConfusedPair("c", "a", 5, 0.5),
        ConfusedPair("a", "b", 2, 0.2),
        ConfusedPair("c", "b", 1, 0.1),
    )
    assert len(most_confused(evaluation, limit=2)) == 2


def test_a_large_matrix_is_one_pixel_a_cell():
    confusion = np.zeros((60, 60), dtype=int)
    np.fill_diagonal(confusion, 3)
    confusion[4, 9] = 1
    confusion[7, 7] = 0  # a class without images
    labels = tuple(f"c{i}" for i in range(60))
    evaluation = make_evaluation(labels).model_copy(update={"confusion": tuple(map(tuple, confusion.tolist()))})
    source = re.search(r"base64,([^\"]+)", str(confusion_picture(evaluation)))[1]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
    assert pixels.shape == (60, 60, 4)
    assert pixels[0, 0, 3] == 255
    assert pixels[4, 9].tolist() == [208, 74, 60, 128]  # the root of a quarter
    assert pixels[7, 7, 3] == 0
    assert pixels[0, 1, 3] == 0


def test_one_epoch_is_a_dot_and_many_are_a_line():
    one = line_chart("t", [1.0], [Series("x", [0.5], "a")])
    assert 'class="dot-a"' in one
    assert "<polyline" not in one
    many = line_chart("t", [float(i) for i in range(1000)], [Series("x", [0.5] * 1000, "a")])
    assert many.count("<polyline") == 1
    assert line_chart("t", [1.0], [Series("x", [float("nan")], "a")]) == ""


def test_far_off_values_bring_a_logarithmic_axis():
    series = [Series("x", [90.0, 2.0, 1.5, 1.0, 0.9], "a")]
    assert "logarithmic scale" in line_chart("t", [1.0, 2.0, 3.0, 4.0, 5.0], series)
    assert "logarithmic" not in line_chart("t", [1.0, 2.0], [Series("x", [3.0, 1.0], "a")])


def test_scatter_shows_points_and_budget_and_escapes():
    chart = scatter_chart(
        "t", [Point(2.0, 74.0, 1, "<b>", chosen=True), Point(8.0, 80.0, 2, "m")], "ms", "%", limit_x=5.0
    )
    assert "&lt;b&gt;" in chart
    assert chart.count("<circle") == 2
    assert chart.count('class="point chosen"') == 1
    assert chart.count('class="limit"') == 1
    assert scatter_chart("t", [], "ms", "%") == ""
    assert 'class="limit"' not in scatter_chart("t", [Point(0.0, 74.0, 1, "m")], "ms", "%")


def test_bars_are_clipped_shares():
    assert 'width="25.00%"' in share_bar(0.25)
    assert 'width="100.00%"' in share_bar(1.7)
    assert 'width="0%"' in share_bar(float("nan"))
    bar = interval_bar(2.0, 1.0, 3.0, 4.0)
    assert 'class="value" width="50.00%"' in bar
    assert 'x1="25.00%" x2="75.00%"' in bar
