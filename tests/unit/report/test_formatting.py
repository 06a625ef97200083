"""Numbers as people read them."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from edgewise.report import formatting as f


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (7, "7"), (999, "999"), (1_000, "1.00 k"), (9_994, "9.99 k"), (9_996, "10.0 k"), (999_949, "999.9 k"),
        (999_999, "1.00 M"), (3_774_024, "3.77 M"), (186_005_568, "186.0 M"), (2_860_000_000, "2.86 G"),
        (-1_500, "-1.50 k"),
    ],
)  # fmt: skip
def test_counts(number, text):
    assert f.format_count(number) == text


def test_sizes_are_decimal():
    assert f.format_bytes(812) == "812 B"
    assert f.format_bytes(14_936_123) == "14.9 MB"
    assert f.format_bytes(2_600_000) == "2.60 MB"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0.012345, "0.0123 ms"), (0.5432, "0.543 ms"), (1.2345, "1.23 ms"), (9.996, "10.0 ms"), (15.8, "15.8 ms"),
        (999.6, "1,000 ms"), (1234.5, "1,234 ms"), (0.0, "0 ms"),
    ],
)  # fmt: skip
def test_times_have_three_digits(milliseconds, text):
    assert f.format_ms(milliseconds) == text


def test_only_one_is_shown_as_hundred_per_cent():
    assert f.format_percent(1.0) == "100.0 %"
    assert f.format_percent(0.9997) == "99.97 %"
    assert f.format_percent(0.99996) == "99.996 %"
    assert f.format_percent(0.978) == "97.8 %"
    assert f.format_percent(0.84, 0) == "84 %"


def test_points_are_signed_and_zero_is_not():
    assert f.format_points(-0.0028) == "−0.3"
    assert f.format_points(0.012) == "+1.2"
    assert f.format_points(-0.0001) == "0.0"


def test_durations():
    assert f.format_duration(48.24) == "48.2 s"
    assert f.format_duration(59.97) == "1 min 00 s"
    assert f.format_duration(112) == "1 min 52 s"
    assert f.format_duration(2 * 3600 + 3 * 60 + 10) == "2 h 03 min"


def test_dates_are_utc_and_other_texts_stay():
    assert f.format_date("2026-10-03T16:22:00+02:00") == "2026-10-03 14:22 UTC"
    assert f.format_date("2026-10-03T16:22:00") == "2026-10-03 16:22"
    assert f.format_date("last week") == "last week"


def test_the_rest():
    assert f.format_loss(0.43215) == "0.4321"
    assert f.format_difference(3.14e-6) == "3.1e-06"
    assert f.format_difference(0.0) == "0"
    assert f.format_plain(5.0) == "5"
    assert f.format_threads(1) == "1 thread"
    assert f.format_threads(4) == "4 threads"
    assert f.format_shape((1, 3, 32, 32)) == "1 × 3 × 32 × 32"
    assert f.shorten("abcdef", 4) == "abc…"
    assert f.shorten("abcd", 4) == "abcd"


@pytest.mark.parametrize("absent", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "function",
    [
        f.format_count, f.format_bytes, f.format_ms, f.format_significant, f.format_percent, f.format_points,
        f.format_loss, f.format_difference, f.format_duration,
    ],
)  # fmt: skip
def test_absent_values_are_a_dash(function, absent):
    assert function(absent) == "–"


def test_importing_the_report_loads_nothing_heavy():
    modules = ("formatting", "html", "plots", "ranking", "sheet", "tables")
    heavy = ("torch", "matplotlib", "PIL", "jinja2", "onnxruntime", "sklearn")
    code = "import sys\n" + "".join(f"import edgewise.report.{module}\n" for module in modules)
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
