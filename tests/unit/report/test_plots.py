"""PNG plots and the CSV of a training."""

from __future__ import annotations

import csv
import math

import pytest
from PIL import Image
from report_runs import make_epochs, make_evaluation

from edgewise.records.training import EpochRecord
from edgewise.report.plots import plot_confusion, plot_curves
from edgewise.report.tables import write_results_csv


def ink(path):
    """Share of the pixels that are not white."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        histogram = image.convert("L").histogram()
    return 1 - sum(histogram[250:]) / sum(histogram)


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_curves_of_any_length(tmp_path, count):
    path = tmp_path / "curves.png"
    plot_curves(make_epochs(count), path)
    with Image.open(path) as image:
        assert 1150 <= image.width <= 1250
        assert 420 <= image.height <= 500
    assert ink(path) > 0.01


def test_curves_skip_values_that_are_not_finite(tmp_path):
    epochs = [epoch.model_copy(update={"val_loss": math.nan}) for epoch in make_epochs(3)]
    plot_curves(epochs, tmp_path / "curves.png")
    assert ink(tmp_path / "curves.png") > 0.01


@pytest.mark.parametrize("classes", [2, 40, 200])
def test_confusion_of_any_number_of_classes(tmp_path, classes):
    path = tmp_path / "confusion.png"
    plot_confusion(make_evaluation(tuple(f"class {i}" for i in range(classes))), path)
    with Image.open(path) as image:
        assert 500 <= image.width <= 1900
        assert 450 <= image.height <= 1800
    assert ink(path) > 0.005


def test_labels_of_any_script_and_with_dollars_are_drawn(tmp_path):
    # matplotlib warns of a missing glyph and fails on bad mathematics; warnings are errors here
    labels = (r"$\frac{1$", "猫", "a\nb", "🙂" * 50)
    plot_confusion(make_evaluation(labels), tmp_path / "confusion.png")
    assert ink(tmp_path / "confusion.png") > 0.01


def test_the_csv_comes_back_as_it_went(tmp_path):
    path = tmp_path / "results.csv"
    epochs = make_epochs(3)
    write_results_csv(make_epochs(9), path)
    write_results_csv(epochs, path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(EpochRecord.model_fields)
    assert tuple(EpochRecord.model_validate(row) for row in rows) == epochs
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]


def test_a_csv_without_epochs_has_its_header(tmp_path):
    write_results_csv([], tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_text() == ",".join(EpochRecord.model_fields) + "\n"
