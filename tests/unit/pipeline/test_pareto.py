import json
import re
import xml.etree.ElementTree as ET

import pytest

from edgewise.cli.render_pareto import render_pareto
from edgewise.errors import ConfigError, InputError, UnknownNameError
from edgewise.models.facts.phones import on_device
from edgewise.pipeline.bench_folder import BenchFolder
from edgewise.pipeline.pareto_job import ParetoRequest, pareto
from edgewise.records.bench import Accuracy, BenchCase, BenchRequest
from edgewise.records.environment import capture_environment
from edgewise.records.limit import Limit
from edgewise.records.measurement import MachineSpeed, Measurement
from edgewise.report.figure_files import as_svg
from edgewise.report.pareto import ParetoPoint, answer, front, measured_points
from edgewise.report.pareto_chart import draw_pareto
from edgewise.report.speed import speed_varied

ENVIRONMENT = capture_environment()
LIMIT = Limit(
    limit_ms=2.0,
    share=0.5,
    bound="compute",
    compute_ms=2.0,
    memory_ms=0.1,
    memory_level="L3",
    macs=80_000_000,
    bytes_moved=1000,
    precision="fp32",
    macs_per_s=4e10,
    bytes_per_s=1e10,
    kernel="numpy matmul",
    profile_made_at="2026-11-27T10:00:00+00:00",
)


def point(name, latency_ms, top1, **changes):
    fields = {"where": "onnxruntime", "precision": "fp32", "source": "published"}
    return ParetoPoint(
        name=name, latency_ms=latency_ms, low_ms=latency_ms, high_ms=latency_ms, top1=top1, **(fields | changes)
    )


def case(model, latency_ms, top1=None, *, precision="fp32", verdict="trusted", speed=1.0, **accuracy):
    measured = Measurement(
        name=model,
        runtime="onnxruntime",
        format="onnx",
        precision=precision,
        threads=1,
        batch=1,
        input_shape=(1, 3, 224, 224),
        latency_ms=latency_ms,
        ci_low_ms=0.99 * latency_ms,
        ci_high_ms=1.01 * latency_ms,
        p90_ms=None,
        min_ms=latency_ms,
        images_per_s=1e3 / latency_ms,
        load_ms=1.0,
        peak_rss_bytes=1,
        file_bytes=1,
        verdict=verdict,
        reason="",
        block_medians_ms=(latency_ms,) * 3,
        samples_ms=((latency_ms,),) * 3,
        speed=MachineSpeed(kernel="k", times_ms=(0.2 * speed,) * 3, change=""),
        environment=ENVIRONMENT,
    )
    known = {"source": "published", "of_this_file": precision == "fp32"} | accuracy
    return BenchCase(
        what=model,
        model=model,
        runtime="onnxruntime",
        format="onnx",
        precision=precision,
        threads=1,
        accuracy=None if top1 is None else Accuracy(top1=top1, **known),
        measurement=measured,
    )


POINTS = [point("small", 2.0, 0.70), point("slow", 3.0, 0.69), point("middle", 4.0, 0.75), point("large", 9.0, 0.80)]


def test_the_front_holds_what_none_beats():
    assert [each.name for each in front(POINTS)] == ["small", "middle", "large"]


def test_of_two_equally_fast_the_more_accurate_is_on_the_front():
    assert [each.name for each in front([point("a", 2.0, 0.7), point("b", 2.0, 0.8)])] == ["b"]


def test_what_is_doubtful_or_published_is_never_recommended():
    better = [point("int8", 1.0, 0.9, doubt="not judged"), point("phone", 0.5, 0.9, published=True)]
    assert front([*POINTS, *better]) == front(POINTS)
    assert "int8" not in answer([*POINTS, *better], max_ms=1.0)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"max_ms": 5.0}, "Most accurate within 5.00 ms: middle, onnxruntime fp32: 4.00 ms, 75.0 %."),
        ({"min_top1": 0.75}, "Fastest with at least 75 % top-1: middle, onnxruntime fp32: 4.00 ms, 75.0 %."),
        ({"min_top1": 0.7, "max_ms": 3}, "Most accurate within 3.00 ms and with at least 70 % top-1: small, "),
        ({"max_ms": 1.0}, "Nothing measured is within 1.00 ms; the front goes from small, "),
        ({}, "3 of 4 files are beaten by none, from small, onnxruntime fp32: 2.00 ms, 70.0 %, to large, "),
    ],
)
def test_the_sentence_answers_the_question(asked, sentence):
    assert answer(POINTS, **asked).startswith(sentence)


def test_nothing_to_recommend_is_said():
    assert answer([point("a", 1.0, 0.9, doubt="x")]).startswith("Nothing to recommend")


def test_cases_become_points_with_their_doubts():
    cases = [
        case("a", 4.0, 0.7),
        case("b", 2.0, 0.69, precision="bf16"),
        case("c", 1.0, 0.6, precision="int8", source="labelled", of_this_file=True, drop=0.1, max_drop=0.01),
        case("d", 3.0, 0.695, precision="int8", source="labelled", of_this_file=True, drop=0.005, max_drop=0.01),
        case("rejected", 0.1, 0.99, verdict="rejected"),
        case("unknown accuracy", 0.1),
    ]
    points = measured_points(cases)
    assert [each.name for each in points] == ["c", "b", "d", "a"]
    assert points[0].doubt == "top-1 falls by 10 points, more than 1"
    assert points[1].doubt == "the accuracy is the float32 model's; bf16 was not judged on labelled images"
    assert [each.name for each in front(points)] == ["d", "a"]


def test_latencies_are_brought_to_one_speed_of_the_machine():
    cases = [case("a", 4.0, 0.7), case("b", 8.0, 0.8, speed=2.0), case("c", 4.0, 0.6)]
    points = {each.name: each for each in measured_points(cases)}
    assert points["b"].latency_ms == pytest.approx(4.0)
    assert points["b"].high_ms == pytest.approx(4.04)
    assert speed_varied([each.measurement for each in cases])
    assert not speed_varied([each.measurement for each in cases if each.model != "b"])


def test_the_chart_names_the_front_and_points_nowhere_outside():
    text = as_svg(draw_pareto([*POINTS, point("phone", 2.4, 0.73, where="pixel6_cpu", published=True)], title="here"))
    ET.fromstring(text)
    for name in ("small", "middle", "large"):
        assert f">{name}<" in text
    assert ">slow<" not in text
    assert "pixel6_cpu (published)" in text
    assert set(re.findall(r"https?://[^\"' <]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


@pytest.fixture
def bench(tmp_path):
    folder = BenchFolder.create(BenchRequest(what=("a", "b")), tmp_path / "bench")
    folder.keep(1, case("a<b>", 4.0, 0.7).model_copy(update={"limit": LIMIT}))
    folder.keep(2, case("b", 8.0, 0.8))
    return folder.path


def test_chart_page_and_table_are_written(bench, tmp_path):
    found = pareto(ParetoRequest(benches=(bench,), max_ms=5.0, published=("pixel6_cpu",)), tmp_path / "out")
    assert found.sentence.startswith("Most accurate within 5.00 ms: a<b>, ")
    assert (tmp_path / "out/pareto.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out/pareto.html").read_text()
    assert "a&lt;b&gt;" in page
    assert "a<b>" not in page
    assert "MNv4-<wbr>Conv-<wbr>S" in page
    assert '<td class="number">50 % compute</td>' in page
    rows = (tmp_path / "out/pareto.csv").read_text().splitlines()
    assert rows[1] == "a<b>,onnxruntime,fp32,1,4,3.96,4.04,0.7000,published,1,,2,0.5,compute"
    assert len(rows) == 3 + len(on_device("pixel6_cpu"))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"max_ms": 0.0}, ConfigError, "max_ms is 0.0"),
        ({"min_top1": 75.0}, ConfigError, "min_top1 is 7500 %; must be above 0 and below 100"),
        ({"benches": ()}, ConfigError, "give the folder of a bench"),
        ({"published": ("pixel99",)}, UnknownNameError, "unknown device"),
    ],
)
def test_what_means_nothing_is_refused(bench, changes, error, message):
    with pytest.raises(error, match=message):
        pareto(ParetoRequest(**({"benches": (bench,)} | changes)))


def test_a_bench_without_known_accuracy_says_what_has_one(tmp_path):
    folder = BenchFolder.create(BenchRequest(what=("a",)), tmp_path / "bench")
    folder.keep(1, case("a", 4.0))
    with pytest.raises(InputError, match="none of the measured files has a known accuracy"):
        pareto(ParetoRequest(benches=(folder.path,)))
    folder.keep(1, case("a", 4.0, 0.7, verdict="rejected"))
    with pytest.raises(InputError, match="no case of these benches has a usable latency"):
        pareto(ParetoRequest(benches=(folder.path,)))


def test_the_limit_is_shown_only_where_it_is_known(bench, tmp_path, capsys):
    render_pareto(pareto(ParetoRequest(benches=(bench,)), tmp_path / "out"), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert "of limit" in lines[1]
    assert any("4.00 ms" in line and "50 % compute" in line for line in lines)
    render_pareto(pareto(ParetoRequest(benches=(bench,)), tmp_path / "out"), as_json=True)
    points = json.loads(capsys.readouterr().out)["points"]
    assert [point["limit"] and point["limit"]["share"] for point in points] == [0.5, None]
    folder = BenchFolder.create(BenchRequest(what=("b",)), tmp_path / "other")
    folder.keep(1, case("b", 8.0, 0.8))
    render_pareto(pareto(ParetoRequest(benches=(folder.path,)), tmp_path / "out"), as_json=False)
    assert "of limit" not in capsys.readouterr().out
    assert "Of the limit" not in (tmp_path / "out/pareto.html").read_text()
